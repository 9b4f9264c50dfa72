/* Arbitrary bytes as journal records and as a manifest. For records: the parser must not read past the end (each parse
 * gets an exact copy), a record that is whole must be unfinished at every earlier cut and whole with more behind it,
 * and what it says must come back from the encoder's bytes. For manifests: what is accepted must print as something
 * that is accepted and prints the same. */
#include <stdlib.h>
#include <string.h>

#include "persist/manifest.h"
#include "persist/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum record_state parse(struct record *r, const uint8_t *p, size_t n)
{
    char *copy = malloc(n ? n : 1);
    if (n)
        memcpy(copy, p, n);
    enum record_state st = record_parse(r, copy, n);
    if (st == RECORD_OK && (r->size == 0 || r->size > n))
        abort();
    if (st == RECORD_MORE && r->need <= n)
        abort();
    if (st == RECORD_BAD && (r->bad_at > n || !r->why))
        abort();
    free(copy);
    return st;
}

static void check_encoding(const struct record *r)
{
    struct buf b = {0};
    struct record again = {0};
    record_encode(&b, r->argc, r->argv);
    if (record_parse(&again, b.p, b.len) != RECORD_OK || again.argc != r->argc || again.size != b.len)
        abort();
    for (int i = 0; i < r->argc; i++)
        if (!slice_eq(r->argv[i], again.argv[i]))
            abort();
    record_release(&again);
    buf_release(&b);
}

static void check_records(const uint8_t *data, size_t size)
{
    struct record r = {0}, part = {0};
    size_t at = 0;
    while (at < size && parse(&r, data + at, size - at) == RECORD_OK) {
        size_t n = r.size;
        for (size_t cut = 0; cut < n; cut += 1 + n / 50)
            if (parse(&part, data + at, cut) != RECORD_MORE || part.need > n)
                abort();
        if (parse(&part, data + at, n) != RECORD_OK || part.size != n)
            abort();
        if (record_parse(&r, (const char *)data + at, n) == RECORD_OK && r.argc > 0)
            check_encoding(&r);
        at += n;
    }
    record_release(&r);
    record_release(&part);
}

static void check_manifest(const uint8_t *data, size_t size)
{
    struct manifest m, again;
    struct buf a = {0}, b = {0};
    struct err err;
    if (manifest_parse(&m, slice_of((const char *)data, size), &err) < 0)
        return;
    manifest_print(&a, &m);
    if (manifest_parse(&again, buf_slice(&a), &err) < 0)
        abort();
    manifest_print(&b, &again);
    if (!slice_eq(buf_slice(&a), buf_slice(&b)))
        abort();
    manifest_release(&m);
    manifest_release(&again);
    buf_release(&a);
    buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_records(data, size);
    check_manifest(data, size);
    return 0;
}
