/* /v1/messages/count_tokens, as Anthropic has it: about how many tokens a request's input will be. No vendor is asked;
 * it is the estimate that limits and budgets reserve with, and the answer says so. */
#include "api/door.h"
#include "llm/copy.h"
#include "llm/wire_anthropic.h"

static bool known(struct slice model)
{
    return models_find(llm_models(api_gate->llm()), model) || routes_find(llm_routes(api_gate->llm()), model);
}

static void reply_count(struct door *d, const struct wire_chat *w)
{
    struct llm_request q = w->q;
    struct llm_asked asked = {.kind = MODEL_CHAT, .chat = &q};
    struct buf body = {0};
    struct err err;
    if (q.model.len && !known(q.model)) {
        err_set(&err, ERR_STATE, "there is no model '%.*s'", q.model.len < 100 ? (int)q.model.len : 100, q.model.p);
        door_fail(d, &err, NULL, NULL);
        return;
    }
    buf_addf(&body, "{\"input_tokens\":%lld,\"estimated\":true}\n", (long long)asked_tokens(&asked));
    door_reply(d, NULL, "application/json", &body);
}

static void count(struct httpd_req *r)
{
    struct door d = {0};
    struct wire_chat w = {0};
    struct err err;
    cJSON *root;
    if (door_begin(&d, r, "count_tokens", DOOR_ANTHROPIC) && door_may(&d, "llm.ask", (struct slice){0}) &&
        (root = door_json(&d))) {
        if (!cJSON_HasObjectItem(root, "max_tokens")) /* which nobody sends here, and the form wants */
            cJSON_AddNumberToObject(root, "max_tokens", 1);
        if (wire_anthropic_chat_tree(root, &w, &err) < 0)
            door_fail(&d, &err, NULL, NULL);
        else
            reply_count(&d, &w);
    }
    wire_chat_release(&w);
    door_end(&d);
}

static const struct api_route rows[] = {
    {"POST", "/v1/messages/count_tokens", count},
};

const struct api_family api_count = API_FAMILY(rows);
