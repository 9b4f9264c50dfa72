#include "base/json.h"

#include "base/json_scan.h"
#include "base/mem.h"
#include "base/swar.h"
#include "base/utf8.h"

#define JSON_DEPTH 128

void json_boot(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = mem_try, .free_fn = mem_free});
}

/* Are there more brackets that open, in strings or not, than may be nested? Eight bytes a step; '[' and '{' differ in
 * one bit. */
static bool many_open(struct slice t)
{
    size_t n = 0, i = 0;
    for (uint64_t v; t.len - i >= sizeof v && n <= JSON_DEPTH; i += sizeof v) {
        memcpy(&v, t.p + i, sizeof v);
        v = (v | SWAR_EVERY(0x20)) ^ SWAR_EVERY('{');
        uint64_t zero = ~(((v & SWAR_EVERY(0x7f)) + SWAR_EVERY(0x7f)) | v |
                          SWAR_EVERY(0x7f)); /* the high bit of every byte that is */
        n += ((zero >> 7) * SWAR_EVERY(1)) >> 56;
    }
    for (; i < t.len; i++)
        n += t.p[i] == '[' || t.p[i] == '{';
    return n > JSON_DEPTH;
}

/* Depth is checked on the text, before cJSON recurses over it. */
static bool too_deep(struct slice t)
{
    int depth = 0;
    if (!many_open(t))
        return false;
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

void json_quote(struct buf *to, struct slice text)
{
    buf_add_char(to, '"');
    for (size_t i = 0; i < text.len;) {
        size_t from = i;
        i += json_plain(text.p + i, text.len - i, true);
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
