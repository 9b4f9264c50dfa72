#include "llm/think_tags.h"

#include <string.h>

static const struct slice open_tag = {"<think>", 7}, close_tag = {"</think>", 8};

enum { START, INSIDE, AFTER, TEXT };

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool give_some(think_give_fn *give, void *arg, bool reasoning, struct slice s)
{
    return s.len == 0 || give(arg, reasoning, s);
}

static bool release_held(struct think_tags *t, bool reasoning, think_give_fn *give, void *arg)
{
    struct slice s = slice_of(t->held, t->nheld);
    t->nheld = 0;
    return give_some(give, arg, reasoning, s);
}

static size_t spaces(struct slice s)
{
    size_t n = 0;
    while (n < s.len && is_space(s.p[n]))
        n++;
    return n;
}

/* Takes one byte at the start: white space, then the tag, or it is text. */
static bool at_start(struct think_tags *t, char c, think_give_fn *give, void *arg)
{
    t->held[t->nheld++] = c;
    size_t blank = spaces(slice_of(t->held, t->nheld)), n = t->nheld - blank;
    bool may_be = n <= open_tag.len && memcmp(t->held + blank, open_tag.p, n) == 0;
    if (may_be && n == open_tag.len) {
        t->nheld = 0;
        t->state = INSIDE;
        return true;
    }
    if (may_be && t->nheld < THINK_HELD_MAX)
        return true;
    t->state = TEXT;
    return release_held(t, false, give, arg);
}

/* How many bytes at the end of the held ones could start the closing tag. */
static size_t tail_of_tag(const struct think_tags *t)
{
    size_t n = t->nheld < close_tag.len ? t->nheld : close_tag.len;
    while (n && memcmp(t->held + t->nheld - n, close_tag.p, n) != 0)
        n--;
    return n;
}

static bool inside(struct think_tags *t, char c, think_give_fn *give, void *arg)
{
    t->held[t->nheld++] = c;
    size_t keep = tail_of_tag(t);
    if (keep == close_tag.len) {
        t->nheld = 0;
        t->state = AFTER;
        return true;
    }
    struct slice sure = slice_of(t->held, t->nheld - keep);
    bool ok = give_some(give, arg, true, sure);
    memmove(t->held, t->held + sure.len, keep);
    t->nheld = keep;
    return ok;
}

/* The bytes of reasoning that cannot be part of a tag, in one piece. */
static size_t plain_run(const struct think_tags *t, struct slice s)
{
    if (t->state != INSIDE || t->nheld)
        return 0;
    const char *angle = memchr(s.p, '<', s.len);
    return angle ? (size_t)(angle - s.p) : s.len;
}

bool think_tags_feed(struct think_tags *t, struct slice s, think_give_fn *give, void *arg)
{
    bool ok = true;
    while (s.len && ok) {
        size_t n = plain_run(t, s);
        if (t->state == AFTER && !is_space(*s.p))
            t->state = TEXT;
        if (t->state == TEXT)
            return give(arg, false, s);
        if (n)
            ok = give(arg, true, slice_of(s.p, n));
        else if (t->state == START)
            ok = at_start(t, *s.p, give, arg);
        else if (t->state == INSIDE)
            ok = inside(t, *s.p, give, arg);
        n = n ? n : 1;
        s = slice_of(s.p + n, s.len - n);
    }
    return ok;
}

bool think_tags_end(struct think_tags *t, think_give_fn *give, void *arg)
{
    return release_held(t, t->state == INSIDE, give, arg);
}
