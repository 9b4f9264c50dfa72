/* Random sessions for the tests of this folder: histories with answered, half-answered and stray tool calls. */
#ifndef TESTS_SESSION_RANDOM_H
#define TESTS_SESSION_RANDOM_H

#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "session/session.h"

static inline void add(struct session *s, struct session_msg m, int64_t now)
{
    struct err err = {0};
    if (session_add(s, &m, 1, now, NULL, NULL, &err) < 0) {
        fprintf(stderr, "session_add: %s\n", err.msg);
        abort();
    }
}

static inline struct slice random_text(struct rng *r, char *to, size_t max)
{
    static const char *const words[] = {"where ", "is ", "the ",   "nearest ", "über ",
                                        "会话 ",  "42 ", "\"q\" ", "\\ \n",    "😀"};
    size_t n = 0, want = rng_below(r, max);
    for (;;) {
        const char *w = words[rng_below(r, sizeof words / sizeof *words)];
        if (n + strlen(w) > want)
            return slice_of(to, n);
        memcpy(to + n, w, strlen(w));
        n += strlen(w);
    }
}

/* A turn with up to three calls; its answers are complete, or one is missing, doubled or strange. */
static inline void random_tool_turn(struct rng *r, struct session *s, int64_t now)
{
    unsigned calls = 1 + (unsigned)rng_below(r, 3), base = (unsigned)rng_below(r, 1000);
    struct buf json = {0};
    for (unsigned i = 0; i < calls; i++)
        buf_addf(&json, "%s{\"id\":\"c%u\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}",
                 i ? "," : "[", base + i);
    buf_add_char(&json, ']');
    add(s, (struct session_msg){.role = SESSION_ASSISTANT, .tool_calls = buf_slice(&json)}, now);
    buf_release(&json);
    unsigned how = (unsigned)rng_below(r, 6);
    for (unsigned i = 0; i < calls; i++) {
        char id[16];
        if (how == 1 && i == 0)
            continue;
        int len = snprintf(id, sizeof id, "c%u", how == 2 && i == 0 ? 5000 : base + i);
        struct session_msg m = {
            .role = SESSION_TOOL, .content = SLICE("done"), .tool_call_id = slice_of(id, (size_t)len)};
        add(s, m, now);
        if (how == 3)
            add(s, m, now);
    }
}

static inline struct session *random_session(struct rng *r, unsigned turns)
{
    char text[2000];
    int64_t now = 1000 + (int64_t)rng_below(r, 1000);
    struct session *s = session_create(now);
    static const enum session_role roles[] = {SESSION_USER, SESSION_ASSISTANT, SESSION_SYSTEM, SESSION_DEVELOPER};
    if (rng_below(r, 2))
        session_set(s, SESSION_PROMPT, SLICE("You are brief."));
    if (rng_below(r, 4) == 0)
        session_set(s, SESSION_META, SLICE("{\"a\": [1, 2]}"));
    for (unsigned i = 0; i < turns; i++) {
        now += (int64_t)rng_below(r, 3);
        if (rng_below(r, 4) == 0) {
            random_tool_turn(r, s, now);
        } else if (rng_below(r, 10) == 0) {
            add(s, (struct session_msg){.role = SESSION_TOOL, .content = SLICE("x"), .tool_call_id = SLICE("stray")},
                now);
        } else {
            struct session_msg m = {.role = roles[rng_below(r, 4)]};
            m.content = random_text(r, text, rng_below(r, 8) ? 200 : sizeof text);
            if (rng_below(r, 8) == 0)
                m.name = SLICE("ann");
            if (rng_below(r, 8) == 0)
                m.meta = SLICE("{\"k\":\"v\"}");
            if (m.role == SESSION_ASSISTANT && rng_below(r, 4) == 0)
                m.reasoning = SLICE("First \"this\", then\nthat.");
            if (m.role == SESSION_ASSISTANT && rng_below(r, 4) == 0)
                m.thinking = SLICE("[{\"type\":\"thinking\",\"thinking\":\"Hm.\",\"signature\":\"AbC=\"}]");
            if (m.role == SESSION_USER && rng_below(r, 4) == 0)
                m.content_parts = SLICE("[{\"type\":\"text\",\"text\":\"What is it?\"},{\"type\":\"image_url\","
                                        "\"image_url\":{\"url\":\"https://example.org/a.png\"}}]");
            add(s, m, now);
        }
    }
    for (unsigned i = 0, n = (unsigned)rng_below(r, 5); i < n; i++) {
        char name[16];
        int len = snprintf(name, sizeof name, "v%u", (unsigned)rng_below(r, 100));
        session_var_set(s, slice_of(name, (size_t)len), random_text(r, text, 50), NULL, NULL);
    }
    if (rng_below(r, 3) == 0) {
        session_set(s, SESSION_SUMMARY, SLICE("They talked."));
        session_set_strategy(s, (struct session_strategy){SESSION_SUMMARISED, 3});
    }
    if (rng_below(r, 4) == 0)
        session_drop(s, (uint32_t)rng_below(r, session_count(s) + 1));
    return s;
}

#endif
