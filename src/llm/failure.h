/* Why a vendor did not answer, in the classes that decide what is done about it.
 *
 *   class      examples                               what is done
 *   AUTH       401, 403, a key that is not known      the next key at once; this one rests
 *   CREDIT     402, insufficient_quota, arrears       the next key at once; this one rests
 *   RATE       429 with credit left                   wait (Retry-After), or the next model
 *   BAD        400, 404, 413, 422                     nothing: the request is wrong
 *   CONTENT    a content filter                       nothing, or the next model
 *   TRANSIENT  408, 409, 5xx, 529, no connection      wait and again, then the next model
 */
#ifndef LLM_FAILURE_H
#define LLM_FAILURE_H

#include "base/buf.h"

enum llm_class { LLM_FINE, LLM_AUTH, LLM_CREDIT, LLM_RATE, LLM_BAD, LLM_CONTENT, LLM_TRANSIENT };
#define LLM_CLASSES 7

const char *llm_class_name(enum llm_class c); /* "none" "auth" "quota" "rate" "bad_request" "content" "transient" */

/* What a provider reads from an error reply. */
struct llm_failure {
    enum llm_class class;
    struct buf text; /* the vendor's own words, at most 200 bytes of UTF-8 */
};
void llm_failure_init(struct llm_failure *f);
void llm_failure_release(struct llm_failure *f);

/* The class of an HTTP status, when the body says nothing better. */
enum llm_class llm_class_of_status(int status);

#endif
