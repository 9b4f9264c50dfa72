#include "llm/wire.h"

#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"

int wire_wrong(struct wire_body *b, struct err *err, const char *field, const char *what)
{
    snprintf(b->param, sizeof b->param, "%s", field);
    return err_set(err, ERR_INVALID, "%s %s", field, what);
}

struct slice wire_print(struct wire_body *b, const cJSON *v)
{
    struct buf text = {0};
    size_t len;
    json_print(&text, v);
    b->texts = mem_realloc(b->texts, (size_t)(b->ntexts + 1) * sizeof *b->texts);
    char *p = buf_take(&text, &len);
    b->texts[b->ntexts++] = p;
    return slice_of(p, len);
}

void wire_body_release(struct wire_body *b)
{
    for (int i = 0; i < b->ntexts; i++)
        mem_free(b->texts[i]);
    mem_free(b->texts);
    cJSON_Delete(b->root);
    b->texts = NULL;
    b->ntexts = 0;
    b->root = NULL;
}

void wire_chat_release(struct wire_chat *w)
{
    mem_free(w->messages);
    mem_free(w->stop);
    w->messages = NULL;
    w->stop = NULL;
    wire_body_release(&w->body);
}

void wire_embed_release(struct wire_embed *w)
{
    mem_free(w->texts);
    w->texts = NULL;
    wire_body_release(&w->body);
}

void wire_rerank_release(struct wire_rerank *w)
{
    mem_free(w->docs);
    w->docs = NULL;
    wire_body_release(&w->body);
}

void wire_speech_release(struct wire_speech *w)
{
    wire_body_release(&w->body);
}
