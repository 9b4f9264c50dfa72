/* /v1/models: the names that a request may give as its model: models that are enabled, and routes. */
#include <string.h>

#include "api/door.h"
#include "base/clock.h"
#include "llm/provider.h"

static void put_model(struct buf *to, const struct model *m)
{
    buf_add_str(to, "{\"id\":");
    json_quote(to, slice_str(m->name));
    buf_addf(to, ",\"object\":\"model\",\"created\":0,\"owned_by\":\"%s\"}", m->provider->name);
}

struct listing {
    struct buf *to;
    int n;
};

static void list_one(void *arg, struct model *m)
{
    struct listing *l = arg;
    if (!m->enabled)
        return;
    if (l->n++)
        buf_add_char(l->to, ',');
    put_model(l->to, m);
}

static void put_route(struct buf *to, const struct route_name *r)
{
    buf_add_str(to, "{\"id\":");
    json_quote(to, slice_str(r->name));
    buf_addf(to, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"skald\"}",
             (long long)(route_now(r)->time_ms / 1000));
}

static void list_route(void *arg, struct route_name *r)
{
    struct listing *l = arg;
    if (l->n++)
        buf_add_char(l->to, ',');
    put_route(l->to, r);
}

static bool put_named(struct buf *to, struct slice name)
{
    const struct model *m = models_find(llm_models(api_gate->llm()), name);
    const struct route_name *r = m ? NULL : routes_find(llm_routes(api_gate->llm()), name);
    if (m && m->enabled)
        put_model(to, m);
    else if (r)
        put_route(to, r);
    return to->len > 0;
}

static bool admit(struct door *d, struct httpd_req *r)
{
    if (!door_begin(d, r, "models", DOOR_OPENAI) || !door_may(d, "llm.model|list", (struct slice){0}))
        return false;
    door_hold(d, false);
    return true;
}

static void list(struct httpd_req *r)
{
    struct door d = {0};
    struct buf body = {0};
    struct listing l = {&body, 0};
    if (admit(&d, r)) {
        buf_add_str(&body, "{\"object\":\"list\",\"data\":[");
        models_each(llm_models(api_gate->llm()), list_one, &l);
        routes_each(llm_routes(api_gate->llm()), list_route, &l);
        buf_add_str(&body, "]}\n");
        door_reply(&d, NULL, "application/json", &body);
    }
    door_end(&d);
}

static void one(struct httpd_req *r)
{
    struct door d = {0};
    struct buf body = {0};
    struct err err;
    const char *name = httpd_path(r) + strlen("/v1/models/");
    if (admit(&d, r)) {
        if (put_named(&body, slice_str(name))) {
            buf_add_char(&body, '\n');
            door_reply(&d, NULL, "application/json", &body);
        } else {
            err_set(&err, ERR_STATE, "there is no model '%.100s'", name);
            door_fail(&d, &err, NULL, "model");
        }
    }
    door_end(&d);
}

static const struct api_route rows[] = {
    {"GET", "/v1/models", list},
    {"GET", "/v1/models/*", one},
};

const struct api_family api_models = API_FAMILY(rows);
