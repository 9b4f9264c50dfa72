/* Encoding and parsing of journal records.
 *
 * What would surprise: the parser tells a record that is cut off (RECORD_MORE) from one that is wrong (RECORD_BAD) at
 * the first byte that no writer would have written, because recovery cuts the former at the end of the file and refuses
 * the latter. It says how many bytes a record needs at least, so that a reader of a 300 MB value parses it twice and
 * not once a chunk. Room for arguments grows as they are found: a header that promises a million costs nothing. */
#include "persist/record.h"

#include <string.h>

#include "base/mem.h"
#include "base/num.h"

#define MAX_ARGS   (16u << 20)
#define MAX_BULK   (1ULL << 32)
#define MAX_NOTE   1024
#define MAX_DIGITS 10

static enum record_state bad(struct record *r, size_t at, const char *why)
{
    r->bad_at = at;
    r->why = why;
    return RECORD_BAD;
}

static enum record_state more(struct record *r, size_t need)
{
    r->need = need;
    return RECORD_MORE;
}

/* Reads "<mark><digits>\r\n" at *at, which moves behind it. */
static enum record_state header(struct record *r, const char *p, size_t n, size_t *at, char mark, uint64_t *v)
{
    size_t i = *at;
    if (i >= n)
        return more(r, i + (mark == '$' ? 6 : 2)); /* "$0\r\n\r\n"; "#\n" is the shortest of all records */
    if (p[i] != mark)
        return bad(r, i, mark == '*' ? "a command does not start with '*'" : "an argument does not start with '$'");
    size_t from = ++i;
    while (i < n && p[i] >= '0' && p[i] <= '9' && i - from <= MAX_DIGITS)
        i++;
    if (i - from > MAX_DIGITS)
        return bad(r, i - 1, "a length has too many digits");
    if (i == n)
        return more(r, i + 2);
    if (p[i] != '\r' || !num_to_u64(slice_of(p + from, i - from), v))
        return bad(r, i, "a length is not a plain decimal number");
    if (i + 1 == n)
        return more(r, i + 2);
    if (p[i + 1] != '\n')
        return bad(r, i + 1, "a length is not followed by CR LF");
    *at = i + 2;
    return RECORD_OK;
}

static enum record_state note(struct record *r, const char *p, size_t n)
{
    const char *end = memchr(p, '\n', n < MAX_NOTE ? n : MAX_NOTE);
    if (!end)
        return n < MAX_NOTE ? more(r, n + 1) : bad(r, MAX_NOTE, "an annotation line has no end");
    r->size = (size_t)(end - p) + 1;
    return RECORD_OK;
}

static void push(struct record *r, struct slice s)
{
    if (r->argc == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 16;
        r->argv = mem_realloc(r->argv, (size_t)r->cap * sizeof *r->argv);
    }
    r->argv[r->argc++] = s;
}

static enum record_state argument(struct record *r, const char *p, size_t n, size_t *at)
{
    uint64_t len;
    enum record_state st = header(r, p, n, at, '$', &len);
    if (st != RECORD_OK)
        return st;
    if (len > MAX_BULK)
        return bad(r, *at, "an argument is longer than 4 GiB");
    size_t end = *at + (size_t)len;
    if (n < end + 2) {
        if (n > end && p[end] != '\r')
            return bad(r, end, "an argument is not followed by CR LF");
        return more(r, end + 2);
    }
    if (p[end] != '\r' || p[end + 1] != '\n')
        return bad(r, end, "an argument is not followed by CR LF");
    push(r, slice_of(p + *at, (size_t)len));
    *at = end + 2;
    return RECORD_OK;
}

enum record_state record_parse(struct record *r, const char *p, size_t n)
{
    size_t at = 0;
    uint64_t argc;
    r->argc = 0;
    if (n > 0 && p[0] == '#')
        return note(r, p, n);
    enum record_state st = header(r, p, n, &at, '*', &argc);
    if (st != RECORD_OK)
        return st;
    if (argc < 1 || argc > MAX_ARGS)
        return bad(r, 1, "a command has no arguments or more than 16 million");
    for (uint64_t i = 0; i < argc; i++) {
        st = argument(r, p, n, &at);
        if (st == RECORD_MORE) {
            size_t rest = (size_t)(argc - i - 1) * 6; /* "$0\r\n\r\n" is the shortest argument */
            r->need += rest;
        }
        if (st != RECORD_OK)
            return st;
    }
    r->size = at;
    return RECORD_OK;
}

void record_release(struct record *r)
{
    mem_free(r->argv);
    *r = (struct record){0};
}

static char *put_header(char *to, char mark, uint64_t v)
{
    *to++ = mark;
    to += num_from_u64(to, v);
    *to++ = '\r';
    *to++ = '\n';
    return to;
}

void record_encode(struct buf *to, int argc, const struct slice *argv)
{
    size_t most = 24;
    for (int i = 0; i < argc; i++)
        most += argv[i].len + 26;
    char *from = buf_room(to, most), *at = put_header(from, '*', (uint64_t)argc);
    for (int i = 0; i < argc; i++) {
        at = put_header(at, '$', argv[i].len);
        if (argv[i].len)
            memcpy(at, argv[i].p, argv[i].len);
        at += argv[i].len;
        *at++ = '\r';
        *at++ = '\n';
    }
    buf_grow(to, (size_t)(at - from));
}

void record_encode_select(struct buf *to, int db)
{
    char digits[NUM_I64_MAX];
    struct slice argv[] = {SLICE("SELECT"), {digits, num_from_i64(digits, db)}};
    record_encode(to, 2, argv);
}
