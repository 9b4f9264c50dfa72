/* What would surprise: a delimiter counts only at the start of a line, and the line break before it belongs to it.
 * Names are taken as they are: percent-encoding in them is left to whoever uses them. */
#include "net/multipart.h"

#include <string.h>
#include <strings.h>

#define BOUNDARY_MAX 70

/* The value of a parameter in a header such as `form-data; name="file"`; empty when it is absent. */
static struct slice parameter(struct slice header, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < header.len; i++) {
        if (header.p[i] != ';')
            continue;
        size_t at = i + 1;
        while (at < header.len && (header.p[at] == ' ' || header.p[at] == '\t'))
            at++;
        if (header.len - at <= len || strncasecmp(header.p + at, name, len) != 0 || header.p[at + len] != '=')
            continue;
        at += len + 1;
        char end = ';';
        if (at < header.len && header.p[at] == '"') {
            end = '"';
            at++;
        }
        const char *stop = memchr(header.p + at, end, header.len - at);
        size_t n = stop ? (size_t)(stop - header.p) - at : header.len - at;
        while (end == ';' && n > 0 && header.p[at + n - 1] == ' ')
            n--;
        return slice_of(header.p + at, n);
    }
    return SLICE("");
}

static struct slice trim(struct slice s)
{
    while (s.len && (*s.p == ' ' || *s.p == '\t'))
        s = slice_of(s.p + 1, s.len - 1);
    while (s.len && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static void read_header(struct slice line, struct multipart *part)
{
    const char *colon = memchr(line.p, ':', line.len);
    if (!colon)
        return;
    struct slice name = trim(slice_of(line.p, (size_t)(colon - line.p)));
    struct slice value = trim(slice_of(colon + 1, line.len - (size_t)(colon + 1 - line.p)));
    if (slice_is(name, "content-disposition")) {
        part->name = parameter(value, "name");
        part->filename = parameter(value, "filename");
    } else if (slice_is(name, "content-type")) {
        part->type = value;
    }
}

/* The headers of a part; what is left of it is its data. */
static int read_part(struct slice raw, struct multipart *part, struct err *err)
{
    *part = (struct multipart){0};
    for (size_t at = 0; at < MULTIPART_HEAD;) {
        const char *end = at < raw.len ? memmem(raw.p + at, raw.len - at, "\r\n", 2) : NULL;
        if (!end)
            break;
        struct slice line = slice_of(raw.p + at, (size_t)(end - raw.p) - at);
        at += line.len + 2;
        if (line.len == 0) {
            part->data = slice_of(raw.p + at, raw.len - at);
            return part->name.len ? 0 : err_set(err, ERR_INVALID, "a part of the form has no name");
        }
        read_header(line, part);
    }
    return err_set(err, ERR_INVALID, "the headers of a part of the form do not end within %d bytes", MULTIPART_HEAD);
}

/* "--boundary" with the line break before it. */
static int delimiter_of(const char *content_type, char *to, size_t *len, struct err *err)
{
    struct slice type = content_type ? slice_str(content_type) : SLICE("");
    if (type.len < 19 || strncasecmp(type.p, "multipart/form-data", 19) != 0)
        return err_set(err, ERR_INVALID, "the Content-Type must be multipart/form-data");
    struct slice boundary = parameter(type, "boundary");
    if (boundary.len < 1 || boundary.len > BOUNDARY_MAX)
        return err_set(err, ERR_INVALID, "the Content-Type must name a boundary of 1 to %d bytes", BOUNDARY_MAX);
    memcpy(to, "\r\n--", 4);
    memcpy(to + 4, boundary.p, boundary.len);
    *len = boundary.len + 4;
    return 0;
}

int multipart_parse(const char *content_type, struct slice body, struct multipart parts[MULTIPART_PARTS], int *n,
                    struct err *err)
{
    char mark[BOUNDARY_MAX + 4];
    size_t len = 0, at;
    *n = 0;
    if (delimiter_of(content_type, mark, &len, err) < 0)
        return ERR_INVALID;
    if (body.len >= len - 2 && memcmp(body.p, mark + 2, len - 2) == 0) {
        at = len - 2;
    } else {
        const char *first = body.len ? memmem(body.p, body.len, mark, len) : NULL;
        if (!first)
            return err_set(err, ERR_INVALID, "the form does not begin with its boundary");
        at = (size_t)(first - body.p) + len;
    }
    for (;;) { /* `at` is behind a delimiter */
        if (body.len - at >= 2 && memcmp(body.p + at, "--", 2) == 0)
            return 0;
        if (body.len - at < 2 || memcmp(body.p + at, "\r\n", 2) != 0)
            return err_set(err, ERR_INVALID, "the form is cut off");
        at += 2;
        const char *next = memmem(body.p + at, body.len - at, mark, len);
        if (!next)
            return err_set(err, ERR_INVALID, "the form is cut off");
        if (*n == MULTIPART_PARTS)
            return err_set(err, ERR_INVALID, "the form has more than %d parts", MULTIPART_PARTS);
        if (read_part(slice_of(body.p + at, (size_t)(next - body.p) - at), &parts[*n], err) < 0)
            return ERR_INVALID;
        ++*n;
        at = (size_t)(next - body.p) + len;
    }
}

const struct multipart *multipart_find(const struct multipart *parts, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (slice_eq(parts[i].name, slice_str(name)))
            return &parts[i];
    return NULL;
}
