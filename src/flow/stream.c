/* Sending answers in order. Everything here can be computed again from the run's state; what is kept is the cursor. */
#include "flow/stream.h"

#include <string.h>

#include "base/mem.h"
#include "flow/kind.h"
#include "flow/run.h"
#include "flow/template.h"

void stream_init(struct answer_stream *s, const struct flow *f)
{
    *s = (struct answer_stream){.active = -1, .text.max = 2 * FLOW_TEXT_MAX};
    s->sent = mem_zero((size_t)f->nnodes);
}

void stream_release(struct answer_stream *s)
{
    buf_release(&s->text);
    mem_free(s->sent);
}

static void emit(struct answer_stream *s, struct buf *fresh, struct slice text)
{
    if (text.len && buf_add(&s->text, text.p, text.len))
        buf_add(fresh, text.p, text.len);
}

static struct slice answer_template(const struct flow_node *n)
{
    return slice_str(json_str(n->params, "text", ""));
}

/* The node a path names; -1 for input, sys. */
static int path_node(const struct flow *f, struct slice path)
{
    const char *dot = memchr(path.p, '.', path.len);
    return flow_find_node(f, slice_of(path.p, dot ? (size_t)(dot - path.p) : path.len));
}

/* Is the part's text what an llm node is streaming? */
static bool is_streaming(const struct flow_run *r, const struct flow *f, const struct template_part *part)
{
    int x = path_node(f, part->text);
    struct slice tail = slice_of(part->text.p + part->text.len - 5, 5);
    return x >= 0 && f->node[x].kind == &flow_llm && run_node_state(r, x) == NODE_RUNNING &&
           part->filter == FILTER_NONE && part->text.len == strlen(f->node[x].id) + 5 && slice_eq(tail, SLICE(".text"));
}

static bool is_settled(const struct flow_run *r, const struct flow *f, const struct template_part *part)
{
    int x = part->is_ref ? path_node(f, part->text) : -1;
    return x < 0 || run_node_state(r, x) >= NODE_SUCCEEDED;
}

/* Sends what the template of the active answer allows; its node has not ended. */
static void follow_template(struct answer_stream *s, const struct flow_run *r, const struct flow *f, struct buf *fresh)
{
    struct slice text = answer_template(&f->node[s->active]);
    struct template_part part;
    for (size_t at = s->at; template_next(text, &at, &part, NULL) == 1; s->at = at, s->within = 0) {
        if (is_settled(r, f, &part)) {
            struct buf b = {.max = FLOW_TEXT_MAX};
            template_put(&part, run_scope(r), &b);
            if (b.len > s->within)
                emit(s, fresh, slice_of(b.p + s->within, b.len - s->within));
            buf_release(&b);
            continue;
        }
        if (is_streaming(r, f, &part)) {
            struct slice p = run_node_pieces(r, path_node(f, part.text));
            if (p.len > s->within)
                emit(s, fresh, slice_of(p.p + s->within, p.len - s->within));
            s->within = p.len;
        }
        return;
    }
}

/* The answer's node has ended: the rest of its text. */
static void finish_active(struct answer_stream *s, const struct flow_run *r, const struct flow *f, struct buf *fresh)
{
    const struct flow_node *n = &f->node[s->active];
    const cJSON *outputs = cJSON_GetObjectItemCaseSensitive(run_scope(r), n->id);
    struct slice text = slice_str(json_str(outputs, "text", ""));
    size_t gone = s->text.len - s->begun;
    if (text.len > gone)
        emit(s, fresh, slice_of(text.p + gone, text.len - gone));
    s->sent[s->active] = 1;
    s->active = -1;
}

static bool leads_surely(const struct flow *f, int from, int to, uint8_t *seen)
{
    const struct flow_node *n = &f->node[from];
    if (from == to)
        return true;
    if (seen[from] || n->kind->has_branch || n->on_error == ON_ERROR_BRANCH)
        return false;
    seen[from] = 1;
    for (int i = 0; i < n->nout; i++)
        if (leads_surely(f, f->edge[n->out[i]].to, to, seen))
            return true;
    return false;
}

/* May this answer begin although its node does not run yet? Only when the first thing it lacks is being streamed. */
static bool is_certain(const struct flow_run *r, const struct flow *f, int answer)
{
    struct slice text = answer_template(&f->node[answer]);
    struct template_part part;
    size_t at = 0;
    int rc;
    while ((rc = template_next(text, &at, &part, NULL)) == 1 && is_settled(r, f, &part))
        ;
    if (rc != 1 || !is_streaming(r, f, &part))
        return false;
    uint8_t *seen = mem_zero((size_t)f->nnodes);
    bool sure = leads_surely(f, path_node(f, part.text), answer, seen);
    mem_free(seen);
    return sure;
}

static int next_answer(const struct answer_stream *s, const struct flow_run *r, const struct flow *f)
{
    for (int i = 0; i < f->nnodes; i++) {
        if (f->node[i].kind != &flow_answer || s->sent[i])
            continue;
        enum node_state state = run_node_state(r, i);
        if (state == NODE_SUCCEEDED || (state == NODE_PENDING && is_certain(r, f, i)))
            return i;
    }
    return -1;
}

void stream_pump(struct answer_stream *s, const struct flow_run *r, const struct flow *f, struct buf *fresh)
{
    for (;;) {
        if (s->active < 0) {
            s->active = next_answer(s, r, f);
            if (s->active < 0)
                return;
            s->any = true;
            s->begun = s->text.len;
            s->at = s->within = 0;
        }
        if (run_node_state(r, s->active) != NODE_SUCCEEDED) {
            follow_template(s, r, f, fresh);
            return;
        }
        finish_active(s, r, f, fresh);
    }
}
