/* Expanding templates. Parsed anew each time: a template is a few hundred bytes and a flow runs it once per model call.
 */
#include "flow/template.h"

#include <ctype.h>

#include "base/num.h"
#include "base/utf8.h"

static bool is_word_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-';
}

static struct slice trim(struct slice s)
{
    while (s.len && isspace((unsigned char)s.p[0]))
        s = slice_of(s.p + 1, s.len - 1);
    while (s.len && isspace((unsigned char)s.p[s.len - 1]))
        s.len--;
    return s;
}

bool template_path_valid(struct slice path)
{
    int words = 1;
    size_t len = 0;
    for (size_t i = 0; i < path.len; i++) {
        if (path.p[i] == '.') {
            if (len == 0 || ++words > TEMPLATE_WORDS)
                return false;
            len = 0;
        } else if (!is_word_byte(path.p[i]) || ++len > 64) {
            return false;
        }
    }
    return len > 0;
}

static bool find_filter(struct slice name, enum template_filter *out)
{
    static const struct {
        const char *name;
        enum template_filter filter;
    } filters[] = {{"json", FILTER_JSON},      {"url", FILTER_URL},     {"trim", FILTER_TRIM},
                   {"upper", FILTER_UPPER},    {"lower", FILTER_LOWER}, {"length", FILTER_LENGTH},
                   {"default", FILTER_DEFAULT}};
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        if (slice_eq(name, slice_str(filters[i].name))) {
            *out = filters[i].filter;
            return true;
        }
    return false;
}

/* What stands between the braces. */
static int parse_place(struct slice inside, struct template_part *part, struct err *err)
{
    const char *bar = memchr(inside.p, '|', inside.len);
    struct slice path = trim(slice_of(inside.p, bar ? (size_t)(bar - inside.p) : inside.len));
    int shown = (int)utf8_cut(path, 40);
    *part = (struct template_part){.is_ref = true, .text = path};
    if (!template_path_valid(path))
        return err_set(err, ERR_INVALID, "'{{%.*s}}' is no variable, write {{node.field}}", shown, path.p);
    if (!bar)
        return 1;
    struct slice filter = trim(slice_of(bar + 1, (size_t)(inside.p + inside.len - bar - 1)));
    const char *colon = memchr(filter.p, ':', filter.len);
    if (colon) {
        part->filter_arg = trim(slice_of(colon + 1, (size_t)(filter.p + filter.len - colon - 1)));
        filter = trim(slice_of(filter.p, (size_t)(colon - filter.p)));
    }
    if (!find_filter(filter, &part->filter) || (colon != NULL) != (part->filter == FILTER_DEFAULT))
        return err_set(
            err, ERR_INVALID,
            "unknown filter '%.*s' in '{{%.*s | ...}}', use json, url, trim, upper, lower, length or default: text",
            (int)utf8_cut(filter, 20), filter.p, shown, path.p);
    return 1;
}

int template_next(struct slice text, size_t *at, struct template_part *part, struct err *err)
{
    if (*at >= text.len)
        return 0;
    const char *from = text.p + *at, *end = text.p + text.len;
    if (end - from >= 3 && memcmp(from, "\\{{", 3) == 0) {
        *part = (struct template_part){.text = slice_of(from + 1, 2)};
        *at += 3;
        return 1;
    }
    if (end - from >= 2 && memcmp(from, "{{", 2) == 0) {
        const char *close = memmem(from + 2, (size_t)(end - from - 2), "}}", 2);
        if (!close)
            return err_set(err, ERR_INVALID, "'{{' without '}}' at byte %zu of the text (write \\{{ for plain braces)",
                           *at);
        *at = (size_t)(close + 2 - text.p);
        return parse_place(slice_of(from + 2, (size_t)(close - from - 2)), part, err);
    }
    const char *next = memmem(from, (size_t)(end - from), "{{", 2);
    if (!next)
        next = end;
    else if (next > from && next[-1] == '\\')
        next--;
    *part = (struct template_part){.text = slice_of(from, (size_t)(next - from))};
    *at = (size_t)(next - text.p);
    return 1;
}

int template_refs(struct slice text, void (*ref)(void *arg, struct slice path), void *arg, struct err *err)
{
    struct template_part part;
    size_t at = 0;
    int r;
    while ((r = template_next(text, &at, &part, err)) == 1)
        if (part.is_ref && ref)
            ref(arg, part.text);
    return r;
}

int template_refs_json(const cJSON *v, void (*ref)(void *arg, struct slice path), void *arg, struct err *err)
{
    if (cJSON_IsString(v))
        return template_refs(slice_str(v->valuestring), ref, arg, err);
    int rc = 0;
    for (const cJSON *e = v ? v->child : NULL; e && rc == 0; e = e->next)
        rc = template_refs_json(e, ref, arg, err);
    return rc;
}

const cJSON *template_find(const cJSON *scope, struct slice path)
{
    while (scope && path.len) {
        const char *dot = memchr(path.p, '.', path.len);
        size_t len = dot ? (size_t)(dot - path.p) : path.len;
        char word[65];
        uint64_t index;
        if (len >= sizeof word)
            return NULL;
        memcpy(word, path.p, len);
        word[len] = 0;
        if (cJSON_IsArray(scope))
            scope = num_to_u64(slice_of(word, len), &index) && index < TEMPLATE_INDEX_MAX
                        ? cJSON_GetArrayItem(scope, (int)index)
                        : NULL;
        else
            scope = cJSON_GetObjectItemCaseSensitive(scope, word);
        path = dot ? slice_of(dot + 1, path.len - len - 1) : slice_of(path.p, 0);
    }
    return scope;
}

static bool is_missing(const cJSON *v)
{
    return !v || cJSON_IsNull(v);
}

static void put_value(struct buf *out, const cJSON *v)
{
    if (cJSON_IsString(v))
        buf_add_str(out, v->valuestring);
    else if (!is_missing(v))
        json_print(out, v);
}

static void put_url(struct buf *out, struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (isalnum(c) || strchr("-_.~", c))
            buf_add_char(out, (char)c);
        else
            buf_addf(out, "%%%02X", c);
    }
}

static size_t length_of(const cJSON *v, struct slice text)
{
    if (cJSON_IsArray(v) || cJSON_IsObject(v))
        return (size_t)cJSON_GetArraySize(v);
    size_t n = 0;
    for (size_t at = 0; at < text.len; n++)
        utf8_next(text, &at);
    return n;
}

static void put_filtered(const struct template_part *part, const cJSON *v, struct slice s, struct buf *out)
{
    switch (part->filter) {
    case FILTER_URL: put_url(out, s); break;
    case FILTER_LENGTH: buf_addf(out, "%zu", length_of(v, s)); break;
    case FILTER_TRIM:
        s = trim(s);
        buf_add(out, s.p, s.len);
        break;
    case FILTER_DEFAULT:
        s = s.len ? s : part->filter_arg;
        buf_add(out, s.p, s.len);
        break;
    default:
        for (size_t i = 0; i < s.len; i++)
            buf_add_char(out, (char)(part->filter == FILTER_UPPER ? toupper((unsigned char)s.p[i])
                                                                  : tolower((unsigned char)s.p[i])));
    }
}

void template_put(const struct template_part *part, const cJSON *scope, struct buf *out)
{
    if (!part->is_ref) {
        buf_add(out, part->text.p, part->text.len);
        return;
    }
    const cJSON *v = template_find(scope, part->text);
    if (part->filter == FILTER_NONE) {
        put_value(out, v);
    } else if (part->filter == FILTER_JSON) {
        if (is_missing(v))
            buf_add_str(out, "null");
        else
            json_print(out, v);
    } else {
        struct buf plain = {.max = out->max};
        put_value(&plain, v);
        out->full |= plain.full;
        put_filtered(part, v, slice_of(plain.p ? plain.p : "", plain.len), out);
        buf_release(&plain);
    }
}

int template_expand(struct slice text, const cJSON *scope, struct buf *out, struct err *err)
{
    struct template_part part;
    size_t at = 0;
    int r;
    while ((r = template_next(text, &at, &part, err)) == 1) {
        template_put(&part, scope, out);
        if (out->full)
            return err_set(err, ERR_INVALID, "the text grows over %zu bytes when its variables are filled in",
                           out->max);
    }
    return r;
}

struct expansion {
    const cJSON *scope;
    size_t left;
    struct err *err;
};

static bool spend(struct expansion *x, size_t n)
{
    bool ok = n <= x->left;
    x->left -= ok ? n : x->left;
    return ok;
}

static size_t weight(const cJSON *v)
{
    size_t n = 16 + (v->string ? strlen(v->string) : 0) + (cJSON_IsString(v) ? strlen(v->valuestring) : 0);
    for (const cJSON *e = v->child; e; e = e->next)
        n += weight(e);
    return n;
}

static int too_large(struct expansion *x)
{
    return err_set(x->err, ERR_INVALID, "the value grows too large when its variables are filled in");
}

static int expand_string(struct expansion *x, struct slice text, cJSON **out)
{
    struct template_part part;
    size_t at = 0;
    if (template_next(text, &at, &part, x->err) == 1 && at == text.len && part.is_ref && part.filter == FILTER_NONE) {
        const cJSON *v = template_find(x->scope, part.text);
        if (v && !spend(x, weight(v)))
            return too_large(x);
        *out = v ? cJSON_Duplicate(v, 1) : cJSON_CreateNull();
        return 0;
    }
    struct buf b;
    buf_init(&b, x->left ? x->left : 1);
    int rc = template_expand(text, x->scope, &b, x->err);
    if (rc == 0 && !spend(x, b.len + 16))
        rc = too_large(x);
    *out = rc == 0 ? cJSON_CreateString(buf_cstr(&b)) : NULL;
    buf_release(&b);
    return rc;
}

static int expand_value(struct expansion *x, const cJSON *v, cJSON **out)
{
    *out = NULL;
    if (cJSON_IsString(v))
        return expand_string(x, slice_str(v->valuestring), out);
    if (!spend(x, 16))
        return too_large(x);
    if (!cJSON_IsArray(v) && !cJSON_IsObject(v)) {
        *out = cJSON_Duplicate(v, 0);
        return 0;
    }
    *out = cJSON_IsArray(v) ? cJSON_CreateArray() : cJSON_CreateObject();
    for (const cJSON *e = v->child; e; e = e->next) {
        cJSON *copy;
        int rc = expand_value(x, e, &copy);
        if (rc < 0) {
            cJSON_Delete(*out);
            *out = NULL;
            return rc;
        }
        if (cJSON_IsArray(v))
            cJSON_AddItemToArray(*out, copy);
        else
            cJSON_AddItemToObject(*out, e->string, copy);
    }
    return 0;
}

int template_expand_json(const cJSON *v, const cJSON *scope, size_t max, cJSON **out, struct err *err)
{
    struct expansion x = {.scope = scope, .left = max, .err = err};
    return expand_value(&x, v, out);
}
