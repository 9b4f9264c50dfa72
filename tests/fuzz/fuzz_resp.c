/* Arbitrary bytes as requests: cut into random pieces they must give the same commands, and the same error, as whole;
 * and the short way through a pipeline, which stops where it likes, the same commands up to there.
 * The first byte seeds the cutting, the second chooses the limits. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "net/resp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(struct buf *to, struct slice in, uint64_t seed, const struct resp_limits *limits)
{
    struct resp r;
    resp_init(&r);
    size_t start = 0, have = seed ? 0 : in.len;
    for (;;) {
        char *copy = malloc(have - start ? have - start : 1);
        if (have > start)
            memcpy(copy, in.p + start, have - start);
        enum resp_result got = resp_feed(&r, copy, have - start, limits);
        if (got == RESP_COMMAND) {
            if (r.used == 0 || r.used > have - start)
                abort();
            buf_addf(to, "%d:", r.argc);
            for (int i = 0; i < r.argc; i++) {
                buf_addf(to, "%zu:", r.argv[i].len);
                buf_add(to, r.argv[i].p, r.argv[i].len);
            }
            start += r.used;
        } else if (got == RESP_ERROR) {
            buf_add_str(to, r.error);
        } else if (r.need <= have - start) {
            abort();
        }
        free(copy);
        if (got == RESP_ERROR || (got == RESP_MORE && have == in.len))
            break;
        if (got == RESP_MORE) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            size_t piece = (seed >> 33) % ((seed >> 60) ? 7 : 4000);
            have = piece < in.len - have ? have + piece : in.len;
        }
    }
    resp_release(&r);
}

static void parse_whole(struct buf *to, struct slice in, int64_t bulk)
{
    struct resp_request r[8];
    struct slice args[20];
    char *copy = malloc(in.len ? in.len : 1);
    if (in.len)
        memcpy(copy, in.p, in.len);
    for (size_t at = 0, n; (n = (size_t)resp_whole(copy + at, in.len - at, bulk, r, 8, args, 20)) > 0;)
        for (size_t k = 0; k < n; k++) {
            if (r[k].used == 0 || r[k].used > in.len - at)
                abort();
            at += r[k].used;
            buf_addf(to, "%d:", r[k].argc);
            for (int i = 0; i < r[k].argc; i++) {
                buf_addf(to, "%zu:", r[k].argv[i].len);
                buf_add(to, r[k].argv[i].p, r[k].argv[i].len);
            }
        }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct resp_limits limits = {
        .args = data[1] & 1 ? 3 : RESP_MAX_ARGS, .bulk = data[1] & 2 ? 100 : RESP_MAX_BULK, .guest = data[1] & 4};
    struct slice in = slice_of((const char *)data + 2, size - 2);
    struct buf whole = {0}, pieces = {0};
    parse(&whole, in, 0, &limits);
    parse(&pieces, in, data[0] + 1u, &limits);
    if (!slice_eq(buf_slice(&whole), buf_slice(&pieces)))
        abort();
    buf_clear(&pieces);
    if (limits.args == RESP_MAX_ARGS && !limits.guest) {
        parse_whole(&pieces, in, limits.bulk);
        if (pieces.len > whole.len || memcmp(pieces.p ? pieces.p : "", whole.p ? whole.p : "", pieces.len) != 0)
            abort();
    }
    buf_release(&whole);
    buf_release(&pieces);
    return 0;
}
