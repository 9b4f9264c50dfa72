#include "llm/window.h"

#include <string.h>

static int64_t *bucket(struct window *w, int64_t s)
{
    return &w->bucket[(s % WINDOW_S + WINDOW_S) % WINDOW_S]; /* a second before 1970 too */
}

/* Drops what is older than a minute; returns the second that is now. */
static int64_t move_to(struct window *w, int64_t now_s)
{
    if (now_s < w->last_s && w->last_s - now_s < WINDOW_S)
        return w->last_s;
    if (now_s < w->last_s || now_s - w->last_s >= WINDOW_S) {
        memset(w, 0, sizeof *w);
        w->last_s = now_s;
    }
    while (w->last_s < now_s) {
        int64_t *b = bucket(w, ++w->last_s);
        w->sum -= *b;
        *b = 0;
    }
    return now_s;
}

int64_t window_sum(struct window *w, int64_t now_s)
{
    move_to(w, now_s);
    return w->sum;
}

int64_t window_take(struct window *w, int64_t now_s, int64_t n)
{
    int64_t s = move_to(w, now_s);
    *bucket(w, s) += n;
    w->sum += n;
    return s;
}

void window_correct(struct window *w, int64_t now_s, int64_t taken_s, int64_t delta)
{
    int64_t s = move_to(w, now_s);
    if (taken_s > s || s - taken_s >= WINDOW_S)
        return;
    int64_t *b = bucket(w, taken_s);
    if (*b + delta < 0)
        delta = -*b;
    *b += delta;
    w->sum += delta;
}

int64_t window_wait_s(struct window *w, int64_t now_s, int64_t most)
{
    int64_t s = move_to(w, now_s), left = w->sum;
    for (int64_t old = s - WINDOW_S + 1; old <= s; old++) {
        if (left <= most)
            return old - (s - WINDOW_S + 1);
        left -= *bucket(w, old);
    }
    return WINDOW_S;
}
