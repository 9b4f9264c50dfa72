#include "llm/route.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "llm/money.h"

#define NAME_LEN_MAX     128
#define FALLBACK_LEN_MAX 65536
#define WEIGHT_MAX       1000000

static const char *const strategies[STRATEGIES] = {"PRIORITY", "WEIGHTED", "CHEAPEST", "FASTEST", "LEAST-BUSY", "BEST"};
static const char *const stickies[] = {"NO", "SESSION", "USER"};

const char *strategy_name(enum strategy s)
{
    return strategies[s];
}

const char *route_sticky_name(enum route_sticky s)
{
    return stickies[s];
}

static struct slice key_of(const void *entry)
{
    return slice_str(((const struct route_name *)entry)->name);
}

static void route_free(struct route *r)
{
    if (!r)
        return;
    for (int i = 0; i < r->n; i++)
        mem_free(r->members[i].model);
    mem_free(r->members);
    mem_free(r->fallback);
    mem_free(r);
}

static void name_free(void *entry)
{
    struct route_name *r = entry;
    if (!r)
        return;
    for (int i = 0; i < r->n; i++)
        route_free(r->versions[i]);
    mem_free(r->name);
    mem_free(r);
}

static const struct dict_type by_name = {.key = key_of, .free = name_free};

void routes_init(struct routes *rs)
{
    dict_init(&rs->by_name, &by_name);
}

void routes_release(struct routes *rs)
{
    dict_release(&rs->by_name);
}

struct route_name *routes_find(struct routes *rs, struct slice name)
{
    return dict_find(&rs->by_name, name);
}

const struct route *route_now(const struct route_name *r)
{
    return r->versions[r->n - 1];
}

/* ---- from words ---- */

struct words {
    const struct slice *v;
    int n, at;
    struct err *err;
};

/* The value behind the option at `at`; NULL with an error when there is none. */
static const struct slice *value(struct words *w)
{
    if (w->at + 1 < w->n)
        return &w->v[++w->at];
    err_set(w->err, ERR_INVALID, "%.*s needs a value", (int)utf8_cut(w->v[w->at], 40), w->v[w->at].p);
    return NULL;
}

static int take_word(struct words *w, const char *const *names, int count, int *to, const char *sentence)
{
    const struct slice *v = value(w);
    for (int i = 0; v && i < count; i++)
        if (slice_is(*v, names[i])) {
            *to = i;
            return 0;
        }
    return v ? err_set(w->err, ERR_INVALID, "%s", sentence) : ERR_INVALID;
}

static int take_strategy(struct words *w, struct route *r)
{
    int i, rc = take_word(w, strategies, STRATEGIES, &i,
                          "STRATEGY must be PRIORITY, WEIGHTED, CHEAPEST, FASTEST, LEAST-BUSY or BEST");
    if (rc == 0)
        r->strategy = (enum strategy)i;
    return rc;
}

static int take_sticky(struct words *w, struct route *r)
{
    int i, rc = take_word(w, stickies, 3, &i, "STICKY must be SESSION, USER or NO");
    if (rc == 0)
        r->sticky = (enum route_sticky)i;
    return rc;
}

static int take_i64(struct words *w, const char *what, int64_t max, int64_t *to)
{
    const struct slice *v = value(w);
    if (!v)
        return ERR_INVALID;
    if (num_to_i64(*v, to) && *to >= 0 && *to <= max)
        return 0;
    return err_set(w->err, ERR_INVALID, "%s must be a whole number from 0 to %lld", what, (long long)max);
}

static int take_quality(struct words *w, double *to)
{
    const struct slice *v = value(w);
    if (!v)
        return ERR_INVALID;
    if (num_to_double(*v, to) && *to >= 0 && *to <= 1e6)
        return 0;
    return err_set(w->err, ERR_INVALID, "QUALITY must be a number from 0 to 1000000");
}

static int take_ceiling(struct words *w, struct route *r)
{
    const struct slice *v = value(w);
    r->has_ceiling = true;
    return v ? price_parse(*v, "CEILING", &r->ceiling, w->err) : ERR_INVALID;
}

static int take_fallback(struct words *w, struct route *r)
{
    const struct slice *v = value(w);
    if (!v)
        return ERR_INVALID;
    if (v->len == 0 || v->len > FALLBACK_LEN_MAX || !utf8_valid(*v) || memchr(v->p, 0, v->len))
        return err_set(w->err, ERR_INVALID, "FALLBACK must be 1 to %d bytes of UTF-8", FALLBACK_LEN_MAX);
    mem_free(r->fallback);
    r->fallback = mem_dup(v->p, v->len);
    return 0;
}

static int add_member(struct words *w, struct route *r, struct slice model)
{
    if (r->n == ROUTE_MEMBERS_MAX)
        return err_set(w->err, ERR_INVALID, "a route has at most %d models", ROUTE_MEMBERS_MAX);
    if (model.len == 0 || model.len > NAME_LEN_MAX || memchr(model.p, 0, model.len))
        return err_set(w->err, ERR_INVALID, "a model's name is 1 to %d bytes of text", NAME_LEN_MAX);
    for (int i = 0; i < r->n; i++)
        if (slice_eq(slice_str(r->members[i].model), model))
            return err_set(w->err, ERR_INVALID, "model '%.60s' is named twice", r->members[i].model);
    r->members = mem_realloc(r->members, (size_t)(r->n + 1) * sizeof *r->members);
    r->members[r->n++] = (struct route_member){.model = mem_dup(model.p, model.len), .weight = 1};
    return 0;
}

static bool is_option(struct slice word)
{
    static const char *const options[] = {"strategy", "models", "fallback", "sticky", "ceiling", "version", "at"};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (slice_is(word, options[i]))
            return true;
    return false;
}

/* MODELS m [WEIGHT w] [QUALITY q] [m ...], up to the next option. */
static int take_members(struct words *w, struct route *r)
{
    int rc = 0, first = r->n;
    while (rc == 0 && w->at + 1 < w->n && !is_option(w->v[w->at + 1])) {
        struct slice word = w->v[++w->at];
        struct route_member *last = r->n > first ? &r->members[r->n - 1] : NULL;
        if (last && slice_is(word, "weight"))
            rc = take_i64(w, "WEIGHT", WEIGHT_MAX, &last->weight);
        else if (last && slice_is(word, "quality"))
            rc = take_quality(w, &last->quality);
        else
            rc = add_member(w, r, word);
    }
    return rc;
}

static int take_option(struct words *w, struct route *r)
{
    struct slice o = w->v[w->at];
    if (slice_is(o, "strategy"))
        return take_strategy(w, r);
    if (slice_is(o, "models"))
        return take_members(w, r);
    if (slice_is(o, "fallback"))
        return take_fallback(w, r);
    if (slice_is(o, "sticky"))
        return take_sticky(w, r);
    if (slice_is(o, "ceiling"))
        return take_ceiling(w, r);
    if (slice_is(o, "version"))
        return take_i64(w, "VERSION", INT64_MAX - 1, &r->version);
    if (slice_is(o, "at"))
        return take_i64(w, "AT", INT64_MAX, &r->time_ms);
    return err_set(w->err, ERR_INVALID, "unknown option '%.*s' of LLM.ROUTE SET", (int)utf8_cut(o, 40), o.p);
}

static struct route *parse(const struct slice *words, int n, struct err *err)
{
    struct words w = {words, n, 1, err};
    struct route *r = mem_zero(sizeof *r);
    bool strategy = false;
    int rc = 0;
    for (; rc == 0 && w.at < n; w.at++) {
        strategy |= slice_is(words[w.at], "strategy");
        rc = take_option(&w, r);
    }
    if (rc == 0 && !strategy)
        rc = err_set(err, ERR_INVALID, "a route needs a STRATEGY");
    if (rc == 0 && r->n == 0)
        rc = err_set(err, ERR_INVALID, "a route needs MODELS");
    if (rc == 0 && r->has_ceiling && r->strategy != ROUTE_BEST)
        rc = err_set(err, ERR_INVALID, "CEILING belongs to STRATEGY BEST");
    if (rc == 0)
        return r;
    route_free(r);
    return NULL;
}

/* ---- versions ---- */

static void add_version(struct route_name *to, struct route *r)
{
    if (to->n == ROUTE_VERSIONS) {
        route_free(to->versions[0]);
        memmove(to->versions, to->versions + 1, sizeof *to->versions * (ROUTE_VERSIONS - 1));
        to->n--;
    }
    to->versions[to->n++] = r;
}

static struct route_name *find_or_make(struct routes *rs, struct slice name)
{
    struct route_name *r = routes_find(rs, name);
    if (r)
        return r;
    r = mem_zero(sizeof *r);
    r->name = mem_dup(name.p, name.len);
    dict_add(&rs->by_name, r);
    return r;
}

int routes_set(struct routes *rs, const struct slice *words, int n, int64_t now_ms, const struct route **out,
               struct err *err)
{
    if (n < 1 || words[0].len == 0 || words[0].len > NAME_LEN_MAX || !utf8_valid(words[0]) ||
        memchr(words[0].p, 0, words[0].len))
        return err_set(err, ERR_INVALID, "a route's name is 1 to %d bytes of text", NAME_LEN_MAX);
    struct route *r = parse(words, n, err);
    if (!r)
        return ERR_INVALID;
    struct route_name *to = find_or_make(rs, words[0]);
    if (r->version == 0)
        r->version = to->n ? route_now(to)->version + 1 : 1;
    if (r->time_ms == 0)
        r->time_ms = now_ms;
    add_version(to, r);
    *out = r;
    return 0;
}

static int no_such(struct slice name, struct err *err)
{
    int n = (int)utf8_cut(name, 60);
    return err_set(err, ERR_STATE, "there is no route '%.*s'; make it with LLM.ROUTE SET", n, name.p ? name.p : "");
}

static struct route *copy_of(const struct route *old)
{
    struct route *r = mem_dup(old, sizeof *old);
    r->members = mem_alloc((size_t)r->n * sizeof *r->members);
    for (int i = 0; i < r->n; i++) {
        r->members[i] = old->members[i];
        r->members[i].model = mem_strdup(old->members[i].model);
    }
    r->fallback = old->fallback ? mem_strdup(old->fallback) : NULL;
    return r;
}

int routes_rollback(struct routes *rs, struct slice name, int64_t version, int64_t now_ms, const struct route **out,
                    struct err *err)
{
    struct route_name *to = routes_find(rs, name);
    const struct route *old = NULL;
    if (!to)
        return no_such(name, err);
    if (version == 0 && to->n > 1)
        old = to->versions[to->n - 2];
    for (int i = 0; version && i < to->n; i++)
        old = to->versions[i]->version == version ? to->versions[i] : old;
    if (!old)
        return err_set(err, ERR_STATE, "route '%.60s' has no such older version; LLM.ROUTE HISTORY lists them",
                       to->name);
    struct route *r = copy_of(old);
    r->version = route_now(to)->version + 1;
    r->time_ms = now_ms;
    add_version(to, r);
    *out = r;
    return 0;
}

int routes_del(struct routes *rs, struct slice name, struct err *err)
{
    struct route_name *r = dict_remove(&rs->by_name, name);
    name_free(r);
    return r ? 0 : no_such(name, err);
}

static int compare(const void *a, const void *b)
{
    return strcmp((*(struct route_name *const *)a)->name, (*(struct route_name *const *)b)->name);
}

void routes_each(struct routes *rs, void (*fn)(void *arg, struct route_name *r), void *arg)
{
    struct route_name **all = mem_alloc((dict_count(&rs->by_name) + 1) * sizeof *all), *r;
    size_t n = 0;
    struct dict_iter it;
    for (dict_iter_begin(&it, &rs->by_name); (r = dict_iter_next(&it));)
        all[n++] = r;
    dict_iter_end(&it);
    qsort(all, n, sizeof *all, compare);
    for (size_t i = 0; i < n; i++)
        fn(arg, all[i]);
    mem_free(all);
}

/* ---- to words ---- */

struct sink {
    void (*emit)(void *arg, struct slice word);
    void *arg;
};

static void pair(const struct sink *s, const char *name, struct slice value)
{
    s->emit(s->arg, slice_str(name));
    s->emit(s->arg, value);
}

static void number(const struct sink *s, const char *name, int64_t v)
{
    char text[NUM_I64_MAX];
    pair(s, name, slice_of(text, num_from_i64(text, v)));
}

static void give_member(const struct sink *s, const struct route_member *m)
{
    char text[NUM_DOUBLE_MAX];
    s->emit(s->arg, slice_str(m->model));
    if (m->weight != 1)
        number(s, "WEIGHT", m->weight);
    if (m->quality != 0)
        pair(s, "QUALITY", slice_of(text, num_from_double(text, m->quality)));
}

void route_words(const char *name, const struct route *r, void (*emit)(void *arg, struct slice word), void *arg)
{
    struct sink s = {emit, arg};
    char text[MONEY_TEXT];
    emit(arg, slice_str(name));
    pair(&s, "STRATEGY", slice_str(strategies[r->strategy]));
    emit(arg, SLICE("MODELS"));
    for (int i = 0; i < r->n; i++)
        give_member(&s, &r->members[i]);
    if (r->fallback)
        pair(&s, "FALLBACK", slice_str(r->fallback));
    if (r->sticky != STICKY_NO)
        pair(&s, "STICKY", slice_str(stickies[r->sticky]));
    if (r->has_ceiling)
        pair(&s, "CEILING", slice_of(text, price_text(text, r->ceiling)));
    number(&s, "VERSION", r->version);
    number(&s, "AT", r->time_ms);
}
