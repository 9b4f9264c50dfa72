/* The raw head of a reply. */
#include <string.h>
#include <strings.h>

#include "net/http_client.h"

struct slice http_header(struct slice head, const char *name)
{
    struct slice found = {"", 0};
    size_t nlen = strlen(name);
    for (size_t at = 0; at < head.len;) {
        const char *line = head.p + at, *lf = memchr(line, '\n', head.len - at);
        size_t n = lf ? (size_t)(lf - line) : head.len - at;
        at += n + 1;
        if (n <= nlen || line[nlen] != ':' || strncasecmp(line, name, nlen) != 0)
            continue;
        const char *p = line + nlen + 1, *end = line + n;
        while (p < end && (*p == ' ' || *p == '\t'))
            p++;
        while (end > p && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
            end--;
        found = slice_of(p, (size_t)(end - p));
    }
    return found;
}
