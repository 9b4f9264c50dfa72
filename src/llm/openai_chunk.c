/* What would surprise: a member that is read here and comes twice is left to the parser, which takes the first. */
#include "llm/openai_chunk.h"

#include "base/json_scan.h"
#include "base/utf8.h"

#define MODEL_MAX 200 /* bytes */

static void take_text(struct json_scan *s, struct slice *to)
{
    if (to->p)
        s->no = true;
    *to = SLICE("");
    if (!json_scan_null(s))
        *to = json_scan_string(s);
}

/* Only what says nothing is taken. */
static void nothing(struct json_scan *s)
{
    if (!json_scan_null(s))
        s->no = true;
}

static void read_delta(struct json_scan *s, struct openai_chunk *to)
{
    struct slice name;
    if (json_scan_null(s))
        return;
    json_scan_open(s, '{');
    while (json_scan_member(s, &name)) {
        if (slice_eq(name, SLICE("content")))
            take_text(s, &to->content);
        else if (slice_eq(name, SLICE("reasoning_content")))
            take_text(s, &to->reasoning);
        else if (slice_eq(name, SLICE("reasoning")) || slice_eq(name, SLICE("refusal")) ||
                 slice_eq(name, SLICE("tool_calls")))
            nothing(s);
        else
            json_scan_skip(s);
    }
}

static void read_index(struct json_scan *s)
{
    const char *from = s->p;
    json_scan_skip(s);
    if (!s->no && (s->p - from < 1 || s->p[-1] != '0' || (s->p - from > 1 && s->p[-2] != ' ')))
        s->no = true;
}

static void read_choice(struct json_scan *s, struct openai_chunk *to)
{
    struct slice name;
    bool index = false, delta = false;
    json_scan_open(s, '{');
    while (json_scan_member(s, &name)) {
        if (slice_eq(name, SLICE("delta")) && !delta) {
            read_delta(s, to);
            delta = true;
        } else if (slice_eq(name, SLICE("index")) && !index) {
            read_index(s);
            index = true;
        } else if (slice_eq(name, SLICE("finish_reason")) || slice_eq(name, SLICE("usage"))) {
            nothing(s);
        } else if (slice_eq(name, SLICE("delta")) || slice_eq(name, SLICE("index"))) {
            s->no = true;
        } else {
            json_scan_skip(s);
        }
    }
}

static void read_choices(struct json_scan *s, struct openai_chunk *to)
{
    json_scan_open(s, '[');
    if (json_scan_item(s))
        read_choice(s, to);
    else
        s->no = true;
    if (json_scan_item(s)) /* a second one */
        s->no = true;
}

static bool tells_of_errors(struct slice name)
{
    return slice_eq(name, SLICE("error")) || slice_eq(name, SLICE("code")) || slice_eq(name, SLICE("base_resp")) ||
           slice_eq(name, SLICE("error_code"));
}

bool openai_chunk_read(struct slice json, struct openai_chunk *to)
{
    struct json_scan s;
    struct slice name;
    bool choices = false;
    *to = (struct openai_chunk){0};
    if (!utf8_valid(json))
        return false;
    json_scan_init(&s, json);
    json_scan_open(&s, '{');
    while (json_scan_member(&s, &name)) {
        if (slice_eq(name, SLICE("choices")) && !choices) {
            read_choices(&s, to);
            choices = true;
        } else if (slice_eq(name, SLICE("model")) && !to->model.p) {
            to->model = json_scan_string(&s);
        } else if (slice_eq(name, SLICE("usage"))) {
            nothing(&s);
        } else if (tells_of_errors(name) || slice_eq(name, SLICE("choices")) || slice_eq(name, SLICE("model"))) {
            s.no = true;
        } else {
            json_scan_skip(&s);
        }
    }
    for (size_t i = 0; i < to->model.len; i++)
        s.no |= to->model.p[i] == '\\';
    return json_scan_end(&s) && choices && to->model.len <= MODEL_MAX;
}
