/* Finding messages by words, see search.h. One pass counts the query's words in each message and remembers those that
 * have any; how rare a word is, and so the order, is known only then. */
#include "session/search.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/words.h"

#define WORD_MAX 64 /* bytes of a folded word that are compared */

struct query {
    struct {
        char p[WORD_MAX];
        size_t len;
    } word[SESSION_QUERY_WORDS];
    int n;
    uint32_t holders[SESSION_QUERY_WORDS]; /* how many messages have it */
};

struct match {
    uint32_t index;
    float score;
    uint8_t count[SESSION_QUERY_WORDS];
};

static int query_find(const struct query *q, const char *p, size_t len)
{
    for (int i = 0; i < q->n; i++)
        if (q->word[i].len == len && memcmp(q->word[i].p, p, len) == 0)
            return i;
    return -1;
}

static void query_words(struct query *q, struct slice text, bool stops)
{
    struct word w;
    for (size_t at = 0; q->n < SESSION_QUERY_WORDS && word_next(text, &at, &w);) {
        char folded[WORD_MAX];
        size_t len = word_fold(w.text, folded, sizeof folded);
        if (query_find(q, folded, len) >= 0 || (!stops && word_is_stop(slice_of(folded, len))))
            continue;
        memcpy(q->word[q->n].p, folded, len);
        q->word[q->n++].len = len;
    }
}

/* False when the message has none of the words. */
static bool count_words(const struct query *q, struct slice text, struct match *m)
{
    struct word w;
    bool any = false;
    *m = (struct match){0};
    for (size_t at = 0; word_next(text, &at, &w);) {
        char folded[WORD_MAX];
        size_t len = word_fold(w.text, folded, sizeof folded);
        int i = query_find(q, folded, len);
        if (i < 0)
            continue;
        any = true;
        m->count[i] += m->count[i] < UINT8_MAX;
    }
    return any;
}

static float score(const struct query *q, const struct match *m, uint32_t messages)
{
    double sum = 0;
    for (int i = 0; i < q->n; i++) {
        double holders = q->holders[i], rare = log(1 + (messages - holders + 0.5) / (holders + 0.5));
        sum += rare * m->count[i] * 2.2 / (m->count[i] + 1.2);
    }
    return (float)sum;
}

static int better(const void *a, const void *b) /* the newer of two equals first */
{
    const struct match *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->index > y->index ? -1 : 1;
}

size_t session_search(const struct session *s, struct slice query, struct session_hit *hits, size_t k,
                      bool (*stop)(void *arg), void *arg)
{
    struct query q = {.n = 0};
    struct match *found = NULL, m;
    size_t n = 0, cap = 0;
    query_words(&q, query, false);
    if (q.n == 0)
        query_words(&q, query, true);
    for (uint32_t i = 0; q.n && i < session_count(s); i++) {
        if (i % 64 == 0 && stop && stop(arg)) {
            mem_free(found);
            return 0;
        }
        if (!count_words(&q, session_at(s, i).content, &m))
            continue;
        m.index = i;
        for (int w = 0; w < q.n; w++)
            q.holders[w] += m.count[w] > 0;
        if (n == cap) {
            cap = cap ? cap * 2 : 16;
            found = mem_realloc(found, cap * sizeof *found);
        }
        found[n++] = m;
    }
    for (size_t i = 0; i < n; i++)
        found[i].score = score(&q, &found[i], session_count(s));
    if (n)
        qsort(found, n, sizeof *found, better);
    n = n < k ? n : k;
    for (size_t i = 0; i < n; i++)
        hits[i] = (struct session_hit){found[i].index, (double)found[i].score};
    mem_free(found);
    return n;
}
