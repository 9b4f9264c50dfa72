/* Values in the forms that Redis had before 7.0, as files and payloads from then hold them. Each is rewritten, checked, into
 * the form that took its place, and read as that: a zipmap or ziplist becomes a listpack with the same elements in the same
 * order, a list of ziplists a list of listpacks.
 *
 *   ziplist   u32 bytes, u32 offset of the last, u16 elements (65535: unknown), elements, 0xff
 *   element   length of the one before (u8, or 0xfe u32), then
 *             00xxxxxx bytes | 01xxxxxx u8 bytes (14 bits, big endian) | 0x80 u32 bytes (big endian)
 *             0xc0 i16 | 0xd0 i32 | 0xe0 i64 | 0xf0 i24 | 0xfe i8 | 1111xxxx: x - 1, for x of 1 to 13
 *   zipmap    u8 pairs (254 and more: unknown), then (length, key, length, u8 spare, value, spare bytes)*, 0xff
 *   length    u8 below 254, or 254 u32 */
#include <string.h>

#include "base/mem.h"
#include "store/listpack.h"
#include "store/rdb.h"

#define ZIPLIST_HEAD 10
#define END_MARK     0xff

struct bytes {
    const uint8_t *p, *end;
    bool bad;
};

static const uint8_t *take(struct bytes *b, uint64_t n)
{
    if (b->bad || n > (uint64_t)(b->end - b->p)) {
        b->bad = true;
        return NULL;
    }
    b->p += n;
    return b->p - n;
}

static int64_t get_le(struct bytes *b, int n)
{
    const uint8_t *p = take(b, (uint64_t)n);
    uint64_t v = 0;
    int shift = 64 - 8 * n;
    for (int i = 0; p && i < n; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return (int64_t)(v << shift) >> shift;
}

static uint64_t get_be(struct bytes *b, int n)
{
    const uint8_t *p = take(b, (uint64_t)n);
    uint64_t v = 0;
    for (int i = 0; p && i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static void add_str(struct bytes *b, uint8_t **lp, uint64_t len)
{
    const uint8_t *p = take(b, len);
    if (p && !listpack_fits(*lp, len))
        b->bad = true;
    else if (p)
        listpack_append(lp, slice_of((const char *)p, len));
}

static void add_element(struct bytes *b, uint8_t **lp, uint64_t before)
{
    uint64_t back = (uint8_t)get_le(b, 1);
    if (back == 0xfe)
        back = (uint32_t)get_le(b, 4);
    uint8_t e = (uint8_t)get_le(b, 1);
    if (back != before || !listpack_fits(*lp, 16)) {
        b->bad = true;
        return;
    }
    if (e >> 6 == 0)
        add_str(b, lp, e);
    else if (e >> 6 == 1)
        add_str(b, lp, (uint64_t)(e & 0x3f) << 8 | get_be(b, 1));
    else if (e == 0x80)
        add_str(b, lp, get_be(b, 4));
    else if (e == 0xc0 || e == 0xd0 || e == 0xe0 || e == 0xf0 || e == 0xfe)
        listpack_append_int(lp, get_le(b, e == 0xc0 ? 2 : e == 0xd0 ? 4 : e == 0xe0 ? 8 : e == 0xf0 ? 3 : 1));
    else if (e > 0xf0 && e < 0xfe)
        listpack_append_int(lp, (e & 0x0f) - 1);
    else
        b->bad = true;
}

static bool ziplist_to_listpack(struct slice s, uint8_t **lp)
{
    struct bytes b = {.p = (const uint8_t *)s.p, .end = (const uint8_t *)s.p + s.len};
    uint32_t total = (uint32_t)get_le(&b, 4);
    take(&b, 4);
    uint16_t claimed = (uint16_t)get_le(&b, 2);
    uint64_t n = 0, before = 0;
    if (b.bad || total != s.len || s.len < ZIPLIST_HEAD + 1)
        return false;
    for (; !b.bad && b.p < b.end && *b.p != END_MARK; n++) {
        const uint8_t *start = b.p;
        add_element(&b, lp, before);
        before = (uint64_t)(b.p - start);
    }
    return !b.bad && b.p + 1 == b.end && (claimed == UINT16_MAX || claimed == n);
}

static uint64_t zipmap_len(struct bytes *b)
{
    uint8_t n = (uint8_t)get_le(b, 1);
    if (n == END_MARK)
        b->bad = true;
    return n < 254 ? n : (uint32_t)get_le(b, 4);
}

static bool zipmap_to_listpack(struct slice s, uint8_t **lp)
{
    struct bytes b = {.p = (const uint8_t *)s.p, .end = (const uint8_t *)s.p + s.len};
    uint8_t claimed = (uint8_t)get_le(&b, 1);
    uint64_t n = 0;
    for (; !b.bad && b.p < b.end && *b.p != END_MARK; n++) {
        add_str(&b, lp, zipmap_len(&b));
        uint64_t len = zipmap_len(&b);
        uint8_t spare = (uint8_t)get_le(&b, 1);
        add_str(&b, lp, len);
        take(&b, spare);
    }
    return !b.bad && b.p + 1 == b.end && (claimed >= 254 || claimed == n);
}

/* One packed value of the input, as a listpack in the output. */
static bool put_listpack(struct rdb_in *in, bool zipmap, struct rdb_out *to)
{
    struct slice s = rdb_get_str(in);
    uint8_t *lp = listpack_create(0);
    bool ok = !in->bad && (zipmap ? zipmap_to_listpack(s, &lp) : ziplist_to_listpack(s, &lp));
    if (ok)
        rdb_put_str(to, slice_of((const char *)lp, listpack_bytes(lp)));
    mem_free(lp);
    return ok;
}

static bool put_nodes(struct rdb_in *in, uint64_t n, struct rdb_out *to)
{
    enum { PACKED = 2 };
    bool ok = rdb_fits(in, n, ZIPLIST_HEAD / 2);
    rdb_put_len(to, n);
    for (uint64_t i = 0; ok && i < n; i++) {
        rdb_put_len(to, PACKED);
        ok = put_listpack(in, false, to);
    }
    return ok;
}

bool rdb_is_old(uint8_t type)
{
    return type == RDB_HASH_ZIPMAP || type == RDB_LIST_ZIPLIST || type == RDB_ZSET_ZIPLIST ||
           type == RDB_HASH_ZIPLIST || type == RDB_LIST_QUICKLIST;
}

int rdb_get_old(uint8_t type, struct rdb_in *in, struct value *out, struct err *err)
{
    struct buf now = {0};
    struct rdb_out to = {.to = &now};
    uint8_t as = type == RDB_ZSET_ZIPLIST ? RDB_ZSET_LISTPACK : RDB_HASH_LISTPACK;
    bool ok;
    if (type == RDB_LIST_ZIPLIST || type == RDB_LIST_QUICKLIST) {
        as = RDB_LIST_QUICKLIST_2;
        ok = put_nodes(in, type == RDB_LIST_ZIPLIST ? 1 : rdb_get_len(in), &to);
    } else {
        ok = put_listpack(in, type == RDB_HASH_ZIPMAP, &to);
    }
    if (!ok) {
        buf_release(&now);
        return err_set(err, ERR_GENERIC, "a value in the form %u of an older Redis that is damaged", type);
    }
    struct rdb_in again = {.p = (const uint8_t *)now.p, .end = (const uint8_t *)now.p + now.len};
    int rc = rdb_get_value(as, &again, out, err);
    buf_release(&again.scratch);
    buf_release(&now);
    return rc;
}
