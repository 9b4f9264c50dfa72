/* LLM.ROUTE: names that stand for several models. The rows are here, cmd_llm.c has the family's list. */
#include "base/clock.h"
#include "base/num.h"
#include "cmd/cmd_llm.h"
#include "cmd/durable.h"
#include "cmd/outbound.h"
#include "llm/llm.h"
#include "llm/money.h"

static struct routes *routes(void)
{
    return llm_routes(outbound_llm());
}

/* ---- a version as a command ---- */

#define WORDS_MAX (2 + ROUTE_WORDS_MAX)

struct collected {
    struct buf text; /* the words, one behind the other */
    size_t len[WORDS_MAX];
    int n;
};

static void collect(void *arg, struct slice word)
{
    struct collected *c = arg;
    if (c->n < WORDS_MAX) {
        buf_add(&c->text, word.p, word.len);
        c->len[c->n++] = word.len;
    }
}

/* LLM.ROUTE SET ... as it goes into the journal, number and time included. */
static void command_of(struct collected *c, const char *name, const struct route *r, struct slice words[WORDS_MAX])
{
    *c = (struct collected){.n = 0};
    collect(c, SLICE("LLM.ROUTE"));
    collect(c, SLICE("SET"));
    route_words(name, r, collect, c);
    const char *p = c->text.p;
    for (int i = 0; i < c->n; p += c->len[i++])
        words[i] = slice_of(p, c->len[i]);
}

/* The effect is the version that was made, whether SET or ROLLBACK made it. */
static void made(struct call *c, const struct route *r)
{
    struct route_name *name = routes_find(routes(), call_arg(c, 2));
    struct collected all;
    struct slice words[WORDS_MAX];
    command_of(&all, name->name, r, words);
    call_effect(c, all.n, words);
    buf_release(&all.text);
    reply_int(c->reply, r->version);
}

/* > LLM.MODEL SET first PROVIDER openai URL http://127.0.0.1:1/v1
 * < OK
 * > LLM.ROUTE SET chat STRATEGY WEIGHTED MODELS first WEIGHT 95 builtin/extract WEIGHT 5 STICKY SESSION
 * < (integer) 1
 * > LLM.ROUTE SET chat STRATEGY PRIORITY MODELS builtin/extract FALLBACK "Nobody can answer now."
 * < (integer) 2
 * > LLM.ASK "Who built it?" MODEL chat SYSTEM "[1] It was built by Gustave Eiffel."
 * < "It was built by Gustave Eiffel. [1]"
 * > LLM.ROUTE LIST
 * < 1) "chat"
 * > LLM.ROUTE ROLLBACK chat
 * < (integer) 3
 * > LLM.ROUTE SET first STRATEGY PRIORITY MODELS builtin/extract
 * < (error) STATE *
 * > LLM.ROUTE SET chat STRATEGY LUCK MODELS first
 * < (error) INVALID *
 * > LLM.ROUTE DEL chat
 * < OK
 * > LLM.ROUTE GET chat
 * < (error) STATE *
 * > LLM.MODEL DEL first
 * < OK
 */
static void route_set(struct call *c)
{
    struct slice name = call_arg(c, 2);
    const struct route *r;
    struct err err;
    int rc = 0;
    if (models_find(llm_models(outbound_llm()), name))
        rc = err_set(&err, ERR_STATE, "a model has this name already; routes and models share their names");
    if (rc == 0)
        rc = routes_set(routes(), c->argv + 2, c->argc - 2, clock_wall_ms(), &r, &err);
    if (rc < 0)
        call_err(c, &err);
    else
        made(c, r);
}

static void route_rollback(struct call *c)
{
    const struct route *r;
    int64_t version = 0;
    struct err err;
    if (c->argc > 4 || (c->argc == 4 && (!num_to_i64(call_arg(c, 3), &version) || version < 1))) {
        reply_errorf(c->reply, "INVALID a version is a whole number from 1 on; LLM.ROUTE HISTORY lists them");
        return;
    }
    if (routes_rollback(routes(), call_arg(c, 2), version, clock_wall_ms(), &r, &err) < 0)
        call_err(c, &err);
    else
        made(c, r);
}

static void route_del(struct call *c)
{
    struct err err;
    if (routes_del(routes(), call_arg(c, 2), &err) < 0) {
        call_err(c, &err);
        return;
    }
    call_effect(c, c->argc, c->argv);
    reply_ok(c->reply);
}

static struct route_name *find(struct call *c)
{
    struct route_name *r = routes_find(routes(), call_arg(c, 2));
    if (!r)
        reply_errorf(c->reply, "STATE there is no such route; make it with LLM.ROUTE SET");
    return r;
}

static void reply_members(struct reply *to, const struct route *r)
{
    reply_str(to, "models");
    reply_array(to, (size_t)r->n);
    for (int i = 0; i < r->n; i++) {
        reply_map(to, 3);
        reply_field_str(to, "model", r->members[i].model);
        reply_field_int(to, "weight", r->members[i].weight);
        reply_str(to, "quality");
        reply_double(to, r->members[i].quality);
    }
}

static void reply_version(struct reply *to, const char *name, const struct route *r)
{
    char ceiling[MONEY_TEXT];
    reply_map(to, 8);
    reply_field_str(to, "name", name);
    reply_field_int(to, "version", r->version);
    reply_field_int(to, "at", r->time_ms);
    reply_field_str(to, "strategy", strategy_name(r->strategy));
    reply_members(to, r);
    reply_field_str(to, "fallback", r->fallback ? r->fallback : "");
    reply_field_str(to, "sticky", route_sticky_name(r->sticky));
    reply_field_bulk(to, "ceiling",
                     r->has_ceiling ? slice_of(ceiling, price_text(ceiling, r->ceiling)) : (struct slice){"", 0});
}

static void route_get(struct call *c)
{
    struct route_name *r = find(c);
    if (r)
        reply_version(c->reply, r->name, route_now(r));
}

/* Newest first. */
static void route_history(struct call *c)
{
    struct route_name *r = find(c);
    if (!r)
        return;
    reply_array(c->reply, (size_t)r->n);
    for (int i = r->n; i-- > 0;)
        reply_version(c->reply, r->name, r->versions[i]);
}

struct listed {
    struct reply *to;
    size_t n;
};

static void list_one(void *arg, struct route_name *r)
{
    struct listed *l = arg;
    reply_str(l->to, r->name);
    l->n++;
}

static void route_list(struct call *c)
{
    struct listed l = {.to = c->reply};
    size_t place = reply_defer(c->reply);
    routes_each(routes(), list_one, &l);
    reply_defer_array(c->reply, place, l.n);
}

/* ---- for the compaction of the journal ---- */

struct emitting {
    durable_write *write;
    void *to;
    int rc;
};

static void emit_route(void *arg, struct route_name *name)
{
    struct emitting *e = arg;
    for (int i = 0; i < name->n && e->rc >= 0; i++) {
        struct collected all;
        struct slice words[WORDS_MAX];
        command_of(&all, name->name, name->versions[i], words);
        e->rc = e->write(e->to, 0, all.n, words);
        buf_release(&all.text);
    }
}

int llm_routes_emit(durable_write *write, void *to)
{
    struct emitting e = {.write = write, .to = to};
    routes_each(routes(), emit_route, &e);
    return e.rc;
}

/* ---- rows ---- */

const struct cmd llm_route_subs[LLM_ROUTE_NSUBS] = {
    {.name = "set",
     .run = route_set,
     .arity = -7,
     .flags = CMD_REGISTRY | CMD_ADMIN,
     .acl = ACL_LLM,
     .syntax =
         "name STRATEGY (PRIORITY|WEIGHTED|CHEAPEST|FASTEST|LEAST-BUSY|BEST) MODELS model [WEIGHT w] [QUALITY q]... "
         "[FALLBACK text] [STICKY (SESSION|USER|NO)] [CEILING price]",
     .summary = "Makes a route or a new version of it; the reply is the version.",
     .since = "1.0.0",
     .complexity = "O(N) where N is the models"},
    {.name = "get",
     .run = route_get,
     .arity = 3,
     .acl = ACL_LLM,
     .syntax = "name",
     .summary = "The present version of a route.",
     .since = "1.0.0",
     .complexity = "O(N) where N is the models"},
    {.name = "list",
     .run = route_list,
     .arity = 2,
     .acl = ACL_LLM,
     .syntax = "",
     .summary = "The names of all routes.",
     .since = "1.0.0",
     .complexity = "O(N log N) where N is the routes"},
    {.name = "del",
     .run = route_del,
     .arity = 3,
     .flags = CMD_REGISTRY | CMD_ADMIN,
     .acl = ACL_LLM,
     .syntax = "name",
     .summary = "Removes a route and its versions.",
     .since = "1.0.0",
     .complexity = "O(N) where N is the versions"},
    {.name = "history",
     .run = route_history,
     .arity = 3,
     .acl = ACL_LLM,
     .syntax = "name",
     .summary = "The last 20 versions of a route, newest first.",
     .since = "1.0.0",
     .complexity = "O(N) where N is the versions"},
    {.name = "rollback",
     .run = route_rollback,
     .arity = -3,
     .flags = CMD_REGISTRY | CMD_ADMIN,
     .acl = ACL_LLM,
     .syntax = "name [version]",
     .summary = "Makes a new version like an older one, by default like the one before the present.",
     .since = "1.0.0",
     .complexity = "O(N) where N is the models"},
};
