/* Scanning: the elements are written as RESP while they are met (their bytes may not outlive the step), and go behind
 * the cursor, which is known last. */
#include "cmd/scan.h"

#include <ctype.h>

#include "base/glob.h"

/* As Redis takes it: what strtoul reads, but for a space in front; the empty text is 0. */
bool scan_cursor(struct call *c, int i, uint64_t *cursor)
{
    struct slice s = c->argv[i];
    *cursor = 0;
    if (s.len == 0 || (!isspace((unsigned char)s.p[0]) && num_to_u64_lax(s, cursor)))
        return true;
    reply_errorf(c->reply, "ERR invalid cursor");
    return false;
}

bool scan_begin(struct scan *s, struct call *c, int from, bool keyspace)
{
    *s = (struct scan){.call = c, .count = 10, .all = true};
    for (int i = from; i < c->argc; i += 2) {
        struct slice word = c->argv[i];
        if (i + 1 == c->argc) {
            call_syntax(c);
            return false;
        }
        if (slice_is(word, "COUNT")) {
            if (!call_i64(c, i + 1, &s->count))
                return false;
            if (s->count < 1) {
                call_syntax(c);
                return false;
            }
        } else if (slice_is(word, "MATCH")) {
            s->pattern = c->argv[i + 1];
            s->all = slice_is(s->pattern, "*");
        } else if (slice_is(word, "TYPE") && keyspace) {
            s->type = c->argv[i + 1];
            s->has_type = true;
        } else {
            call_syntax(c);
            return false;
        }
    }
    s->steps = s->count > INT64_MAX / 10 ? INT64_MAX : s->count * 10;
    s->to = (struct reply){.out = &s->body, .resp = c->reply->resp};
    return true;
}

bool scan_seen(struct scan *s, struct slice name)
{
    s->sampled++;
    return s->all || glob_match(s->pattern, name, false);
}

void scan_emit(struct scan *s, struct slice bytes)
{
    reply_bulk(&s->to, bytes);
    s->replied++;
}

bool scan_more(struct scan *s, uint64_t cursor)
{
    return cursor && s->steps-- > 0 && s->sampled < (uint64_t)s->count;
}

void scan_end(struct scan *s, uint64_t cursor)
{
    struct reply *r = s->call->reply;
    char tmp[NUM_I64_MAX];
    reply_array(r, 2);
    reply_bulk(r, slice_of(tmp, num_from_u64(tmp, cursor)));
    reply_array(r, s->replied);
    reply_raw(r, buf_slice(&s->body));
    buf_release(&s->body);
}

void scan_reply_empty(struct call *c)
{
    reply_array(c->reply, 2);
    reply_str(c->reply, "0");
    reply_array(c->reply, 0);
}
