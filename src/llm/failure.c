#include "llm/failure.h"

#define VENDOR_TEXT_MAX 200

const char *llm_class_name(enum llm_class c)
{
    static const char *const names[LLM_CLASSES] = {"none",        "auth",    "quota",    "rate",
                                                   "bad_request", "content", "transient"};
    return names[c];
}

void llm_failure_init(struct llm_failure *f)
{
    f->class = LLM_FINE;
    buf_init(&f->text, VENDOR_TEXT_MAX + 1);
}

void llm_failure_release(struct llm_failure *f)
{
    buf_release(&f->text);
}

enum llm_class llm_class_of_status(int status)
{
    switch (status) {
    case 401:
    case 403: return LLM_AUTH;
    case 402: return LLM_CREDIT;
    case 429: return LLM_RATE;
    case 408:
    case 409: return LLM_TRANSIENT;
    }
    return status >= 200 && status < 300 ? LLM_FINE : status >= 400 && status < 500 ? LLM_BAD : LLM_TRANSIENT;
}
