#include "base/json.h"

#include "base/mem.h"
#include "base/utf8.h"

#define JSON_DEPTH 128

void json_boot(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = mem_try, .free_fn = mem_free});
}

/* Depth is checked on the text, before cJSON recurses over it. */
static bool too_deep(struct slice t)
{
    int depth = 0;
    for (size_t i = 0; i < t.len; i++) {
        char c = t.p[i];
        if (c == '"') {
            for (i++; i < t.len && t.p[i] != '"'; i++)
                if (t.p[i] == '\\')
                    i++;
        } else if (c == '[' || c == '{') {
            if (++depth > JSON_DEPTH)
                return true;
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return false;
}

cJSON *json_parse(struct slice text, size_t max, const char *what, struct err *err)
{
    if (text.len > max) {
        err_set(err, ERR_INVALID, "%s: JSON of %zu bytes is over the limit of %zu", what, text.len, max);
        return NULL;
    }
    if (!utf8_valid(text)) {
        err_set(err, ERR_INVALID, "%s: JSON is not valid UTF-8", what);
        return NULL;
    }
    if (too_deep(text)) {
        err_set(err, ERR_INVALID, "%s: JSON is nested deeper than %d", what, JSON_DEPTH);
        return NULL;
    }
    const char *end = text.p;
    cJSON *v = cJSON_ParseWithLengthOpts(text.p, text.len, &end, 0);
    size_t at = end ? (size_t)(end - text.p) : 0;
    if (v)
        while (at < text.len && memchr(" \t\r\n", text.p[at], 4))
            at++;
    if (v && at == text.len)
        return v;
    cJSON_Delete(v);
    while (at && at < text.len && (text.p[at] & 0xc0) == 0x80) /* not from the middle of a character */
        at--;
    size_t n = utf8_cut(slice_of(text.p + at, text.len - at), 24);
    err_set(err, ERR_INVALID, "%s: bad JSON at byte %zu near '%.*s'", what, at, (int)n, text.p + at);
    return NULL;
}

const char *json_str(const cJSON *o, const char *name, const char *dflt)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsString(v) ? v->valuestring : dflt;
}

double json_num(const cJSON *o, const char *name, double dflt)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsNumber(v) ? v->valuedouble : dflt;
}

int json_bool(const cJSON *o, const char *name, int dflt)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsBool(v) ? cJSON_IsTrue(v) : dflt;
}

void json_print(struct buf *to, const cJSON *v)
{
    char *s = cJSON_PrintUnformatted(v);
    if (s)
        buf_add_str(to, s);
    cJSON_free(s);
}

/* Where the bytes end that stand in a JSON string as they are, and are one each. */
static size_t plain_end(struct slice text, size_t i)
{
    while (i < text.len && (unsigned char)(text.p[i] - 0x20) < 0x60 && text.p[i] != '"' && text.p[i] != '\\')
        i++;
    return i;
}

void json_quote(struct buf *to, struct slice text)
{
    buf_add_char(to, '"');
    for (size_t i = 0; i < text.len;) {
        size_t from = i;
        i = plain_end(text, i);
        if (i > from) {
            buf_add(to, text.p + from, i - from);
            continue;
        }
        uint32_t cp = utf8_next(text, &i);
        if (cp == '"' || cp == '\\')
            buf_addf(to, "\\%c", (char)cp);
        else if (cp == '\n')
            buf_add_str(to, "\\n");
        else if (cp < 0x20)
            buf_addf(to, "\\u%04x", cp);
        else if (cp == 0xfffd)
            buf_add_str(to, "\xef\xbf\xbd");
        else
            buf_add(to, text.p + from, i - from);
    }
    buf_add_char(to, '"');
}
