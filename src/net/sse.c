/* The parser of text/event-stream.
 *
 * Built for model streams: events of some hundred bytes, thousands of streams at once. A line that lies whole in the
 * bytes given is used where it lies; only a line that is cut by their end is copied. What would surprise: a CR at the
 * end of the bytes ends its line at once (waiting for a possible LF would hold back the last event of a stream), and
 * the LF that may follow is dropped later. */
#include "net/sse.h"

#include "base/num.h"

void sse_init(struct sse *s, size_t max_event)
{
    *s = (struct sse){.retry_ms = -1};
    buf_init(&s->line, max_event);
    buf_init(&s->data, max_event + 1); /* the LF after the last line is cut off again */
    buf_init(&s->type, max_event);
    buf_init(&s->id, max_event);
}

void sse_release(struct sse *s)
{
    buf_release(&s->line);
    buf_release(&s->data);
    buf_release(&s->type);
    buf_release(&s->id);
}

static int too_big(struct sse *s, struct err *err)
{
    s->failed = true;
    return err_set(err, ERR_UPSTREAM, "an event of the stream is over the limit of %zu bytes", s->line.max);
}

static int dispatch(struct sse *s, sse_event_fn *on_event, void *arg)
{
    int r = 0;
    if (s->has_data) {
        struct sse_event e = {buf_slice(&s->type), slice_of(s->data.p, s->data.len - 1), buf_slice(&s->id)};
        r = on_event(arg, &e);
    }
    s->has_data = false;
    buf_clear(&s->data);
    buf_clear(&s->type);
    return r;
}

static bool set_field(struct sse *s, struct slice name, struct slice value)
{
    if (slice_eq(name, SLICE("data"))) {
        s->has_data = true;
        return buf_add(&s->data, value.p, value.len) && buf_add_char(&s->data, '\n');
    }
    if (slice_eq(name, SLICE("event"))) {
        buf_clear(&s->type);
        return buf_add(&s->type, value.p, value.len);
    }
    if (slice_eq(name, SLICE("id")) && !(value.len && memchr(value.p, 0, value.len))) {
        buf_clear(&s->id);
        return buf_add(&s->id, value.p, value.len);
    }
    uint64_t ms;
    if (slice_eq(name, SLICE("retry")) && num_to_u64(value, &ms) && ms <= INT64_MAX)
        s->retry_ms = (int64_t)ms;
    return true;
}

static int take_line(struct sse *s, struct slice line, sse_event_fn *on_event, void *arg, struct err *err)
{
    if (line.len > s->line.max)
        return too_big(s, err);
    if (!s->past_bom && line.len >= 3 && memcmp(line.p, "\xef\xbb\xbf", 3) == 0)
        line = slice_of(line.p + 3, line.len - 3);
    s->past_bom = true;
    if (line.len == 0)
        return dispatch(s, on_event, arg);
    const char *colon = memchr(line.p, ':', line.len);
    if (colon == line.p)
        return 0; /* a comment: providers send them to keep the connection alive */
    struct slice name = line, value = {line.p + line.len, 0};
    if (colon) {
        name.len = (size_t)(colon - line.p);
        value = slice_of(colon + 1, line.len - name.len - 1);
        if (value.len && value.p[0] == ' ')
            value = slice_of(value.p + 1, value.len - 1);
    }
    return set_field(s, name, value) ? 0 : too_big(s, err);
}

/* CR is rare, so it is looked for only in what LF leaves. */
static size_t line_length(struct slice b, size_t from)
{
    const char *p = b.p + from, *lf = memchr(p, '\n', b.len - from);
    size_t n = lf ? (size_t)(lf - p) : b.len - from;
    const char *cr = memchr(p, '\r', n);
    return cr ? (size_t)(cr - p) : n;
}

int sse_feed(struct sse *s, struct slice b, sse_event_fn *on_event, void *arg, struct err *err)
{
    if (s->failed)
        return too_big(s, err);
    size_t at = 0;
    while (at < b.len) {
        if (s->after_cr && b.p[at] == '\n')
            at++;
        s->after_cr = false;
        size_t n = line_length(b, at);
        bool whole = at + n < b.len;
        struct slice line = slice_of(b.p + at, n);
        if (!whole || s->line.len) {
            if (!buf_add(&s->line, line.p, line.len))
                return too_big(s, err);
            line = buf_slice(&s->line);
        }
        at += n;
        if (!whole)
            break;
        s->after_cr = b.p[at++] == '\r';
        int r = take_line(s, line, on_event, arg, err);
        buf_clear(&s->line);
        if (r != 0)
            return r;
    }
    return 0;
}

int sse_finish(struct sse *s, sse_event_fn *on_event, void *arg, struct err *err)
{
    if (s->failed)
        return too_big(s, err);
    int r = 0;
    if (s->line.len) {
        r = take_line(s, buf_slice(&s->line), on_event, arg, err);
        buf_clear(&s->line);
    }
    return r ? r : dispatch(s, on_event, arg);
}
