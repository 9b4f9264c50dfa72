/* RDB encoding, see rdb.h.
 *
 *   length    00xxxxxx                     6 bits
 *             01xxxxxx u8                  14 bits, big endian
 *             0x80 u32 | 0x81 u64          big endian
 *   string    length, bytes
 *             0xc0 i8 | 0xc1 i16 | 0xc2 i32     a canonical decimal integer, little endian
 *             0xc3 length length bytes          LZF: packed length, plain length
 *   module    module id as a length, then (opcode, value)* , then opcode 0; ours hold one string (opcode 5)
 *   payload   type byte, value, u16 version, u64 CRC-64 of all before; both little endian
 *
 * LZF is written only where the caller asks for it (snapshots): payloads of DUMP stay plain. */
#include "store/rdb.h"

#include <liblzf/lzf.h>
#include <string.h>

#include "base/hash.h"

#define OPCODE_END    0
#define OPCODE_UINT   2
#define OPCODE_STRING 5
#define FOOTER        10

/* --- writing --- */

static void put_le(struct rdb_out *o, uint64_t v, int n)
{
    char b[8];
    for (int i = 0; i < n; i++)
        b[i] = (char)(v >> 8 * i);
    buf_add(o->to, b, (size_t)n);
}

static void put_be(struct rdb_out *o, uint64_t v, int n)
{
    char b[8];
    for (int i = 0; i < n; i++)
        b[i] = (char)(v >> 8 * (n - 1 - i));
    buf_add(o->to, b, (size_t)n);
}

void rdb_put_u8(struct rdb_out *o, uint8_t v)
{
    buf_add_char(o->to, (char)v);
}

void rdb_put_u64(struct rdb_out *o, uint64_t v)
{
    put_le(o, v, 8);
}

void rdb_put_double(struct rdb_out *o, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_le(o, bits, 8);
}

void rdb_put_len(struct rdb_out *o, uint64_t len)
{
    if (len < 1 << 6) {
        rdb_put_u8(o, (uint8_t)len);
    } else if (len < 1 << 14) {
        put_be(o, 1 << 14 | len, 2);
    } else if (len <= UINT32_MAX) {
        rdb_put_u8(o, 0x80);
        put_be(o, len, 4);
    } else {
        rdb_put_u8(o, 0x81);
        put_be(o, len, 8);
    }
}

#define WORTH_PACKING 20

/* Packed behind the room that the two lengths may need, then moved up to them. */
static bool put_lzf(struct rdb_out *o, struct slice s)
{
    enum { LENGTHS = 1 + 5 + 5 };
    size_t start = o->to->len;
    char *room = s.len <= UINT32_MAX ? buf_room(o->to, LENGTHS + s.len) : NULL;
    unsigned packed = room ? lzf_compress(s.p, (unsigned)s.len, room + LENGTHS, (unsigned)s.len - 4) : 0;
    if (packed == 0)
        return false;
    rdb_put_u8(o, 0xc3);
    rdb_put_len(o, packed);
    rdb_put_len(o, s.len);
    memmove(o->to->p + o->to->len, o->to->p + start + LENGTHS, packed);
    buf_grow(o->to, packed);
    return true;
}

void rdb_put_str(struct rdb_out *o, struct slice s)
{
    int64_t v;
    if (s.len <= 11 && num_to_i64(s, &v) && v >= INT32_MIN && v <= INT32_MAX) {
        int kind = v >= INT8_MIN && v <= INT8_MAX ? 0 : v >= INT16_MIN && v <= INT16_MAX ? 1 : 2;
        rdb_put_u8(o, (uint8_t)(0xc0 | kind));
        put_le(o, (uint64_t)v, 1 << kind);
        return;
    }
    if (o->compress && s.len > WORTH_PACKING && put_lzf(o, s))
        return;
    rdb_put_len(o, s.len);
    if (s.len)
        buf_add(o->to, s.p, s.len);
}

/* --- reading --- */

static const uint8_t *take(struct rdb_in *in, uint64_t n)
{
    if (in->bad || n > (uint64_t)(in->end - in->p)) {
        in->bad = true;
        return NULL;
    }
    const uint8_t *p = in->p;
    in->p += n;
    return p;
}

static uint64_t get_le(struct rdb_in *in, int n)
{
    const uint8_t *p = take(in, (uint64_t)n);
    uint64_t v = 0;
    for (int i = 0; p && i < n; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

static uint64_t get_be(struct rdb_in *in, int n)
{
    const uint8_t *p = take(in, (uint64_t)n);
    uint64_t v = 0;
    for (int i = 0; p && i < n; i++)
        v = v << 8 | p[i];
    return v;
}

uint8_t rdb_get_u8(struct rdb_in *in)
{
    return (uint8_t)get_le(in, 1);
}

uint64_t rdb_get_u64(struct rdb_in *in)
{
    return get_le(in, 8);
}

double rdb_get_double(struct rdb_in *in)
{
    uint64_t bits = get_le(in, 8);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* A length, or (special set) the kind of a string that is packed. */
static uint64_t get_len(struct rdb_in *in, bool *special)
{
    uint8_t b = rdb_get_u8(in);
    *special = b >> 6 == 3;
    switch (b >> 6) {
    case 0: return b;
    case 1: return (uint64_t)(b & 0x3f) << 8 | rdb_get_u8(in);
    case 3: return b & 0x3f;
    default: break;
    }
    if (b != 0x80 && b != 0x81)
        in->bad = true;
    return get_be(in, b == 0x80 ? 4 : 8);
}

uint64_t rdb_get_len(struct rdb_in *in)
{
    bool special;
    uint64_t v = get_len(in, &special);
    if (special)
        in->bad = true;
    return in->bad ? 0 : v;
}

static struct slice get_integer(struct rdb_in *in, int bytes)
{
    int shift = 64 - 8 * bytes;
    int64_t v = (int64_t)(get_le(in, bytes) << shift) >> shift;
    buf_clear(&in->scratch);
    char *to = buf_room(&in->scratch, NUM_I64_MAX);
    if (to)
        buf_grow(&in->scratch, num_from_i64(to, v));
    return buf_slice(&in->scratch);
}

static struct slice get_lzf(struct rdb_in *in)
{
    uint64_t packed = rdb_get_len(in), plain = rdb_get_len(in);
    const uint8_t *p = take(in, packed);
    /* three packed bytes make at most 264 plain ones: a claim beyond that is a lie that would cost us memory */
    if (!p || plain == 0 || plain > UINT32_MAX || plain / 100 > packed) {
        in->bad = true;
        return SLICE("");
    }
    buf_clear(&in->scratch);
    char *to = buf_room(&in->scratch, plain);
    if (!to || lzf_decompress(p, (unsigned)packed, to, (unsigned)plain) != plain) {
        in->bad = true;
        return SLICE("");
    }
    buf_grow(&in->scratch, plain);
    return buf_slice(&in->scratch);
}

struct slice rdb_get_str(struct rdb_in *in)
{
    bool special;
    struct slice s = SLICE("");
    uint64_t len = get_len(in, &special);
    if (in->bad)
        return s;
    if (special && len <= 2) {
        s = get_integer(in, 1 << len);
    } else if (special && len == 3) {
        s = get_lzf(in);
    } else if (special) {
        in->bad = true;
    } else {
        const uint8_t *p = take(in, len);
        if (p)
            s = slice_of((const char *)p, len);
    }
    return in->bad ? SLICE("") : s;
}

/* --- payloads --- */

uint64_t rdb_module_id(const char name[9], int version)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint64_t id = 0;
    for (int i = 0; i < 9; i++) {
        const char *at = name[i] ? strchr(alphabet, name[i]) : NULL;
        if (!at)
            return 0;
        id = id << 6 | (uint64_t)(at - alphabet);
    }
    return version < 0 || version > 1023 ? 0 : id << 10 | (uint64_t)version;
}

static bool module_part(struct rdb_in *in, uint64_t opcode)
{
    if (rdb_get_len(in) != opcode)
        in->bad = true;
    return !in->bad;
}

uint64_t rdb_get_module_uint(struct rdb_in *in)
{
    return module_part(in, OPCODE_UINT) ? rdb_get_len(in) : 0;
}

struct slice rdb_get_module_str(struct rdb_in *in)
{
    return module_part(in, OPCODE_STRING) ? rdb_get_str(in) : SLICE("");
}

/* The value goes straight into the payload: its length, not known yet, is written over nine bytes kept for it. */
static void put_module(const struct obj *o, const struct type_ops *ops, struct rdb_out *out)
{
    rdb_put_len(out, ops->rdb_module);
    rdb_put_len(out, OPCODE_STRING);
    size_t place = out->to->len;
    rdb_put_u8(out, 0x81);
    rdb_put_u64(out, 0);
    ops->save(o, out);
    uint64_t len = out->to->len - place - 9;
    for (int i = 0; i < 8; i++)
        out->to->p[place + 1 + (size_t)i] = (char)(len >> 8 * (7 - i));
    rdb_put_len(out, OPCODE_END);
}

uint8_t rdb_value_type(const struct obj *o)
{
    const struct type_ops *ops = type_of(o);
    return ops->rdb_module ? RDB_MODULE_2 : ops->rdb_type(o);
}

void rdb_put_value(const struct obj *o, struct rdb_out *to)
{
    const struct type_ops *ops = type_of(o);
    if (ops->rdb_module)
        put_module(o, ops, to);
    else
        ops->save(o, to);
}

void rdb_dump(const struct obj *o, struct buf *to, bool by_reference)
{
    struct rdb_out out = {.to = to, .by_reference = by_reference};
    size_t start = to->len;
    rdb_put_u8(&out, rdb_value_type(o));
    rdb_put_value(o, &out);
    rdb_put_footer(&out, start);
}

void rdb_put_footer(struct rdb_out *o, size_t start)
{
    uint8_t type = start < o->to->len ? (uint8_t)o->to->p[start] : 0; /* no libraries are a payload of nothing */
    put_le(o, type == RDB_HASH_TIMED || type == RDB_HASH_LISTPACK_TIMED ? RDB_VERSION_TIMED : RDB_VERSION, 2);
    put_le(o, crc64_redis(0, o->to->p + start, o->to->len - start), 8);
}

bool rdb_open_payload(struct slice payload, struct rdb_in *in)
{
    const uint8_t *p = (const uint8_t *)payload.p;
    if (payload.len < FOOTER)
        return false;
    *in = (struct rdb_in){.p = p, .end = p + payload.len - FOOTER};
    struct rdb_in foot = {.p = in->end, .end = in->end + FOOTER};
    uint64_t version = get_le(&foot, 2), crc = get_le(&foot, 8);
    return version <= RDB_VERSION_READ && crc == crc64_redis(0, p, payload.len - 8);
}

/* Which type reads a type byte; the type itself tells the forms apart and refuses those that it does not read. */
static const struct type_ops *reader_of(uint8_t type)
{
    static const int8_t by_byte[] = {
        [0] = OBJ_STRING,  [1] = OBJ_LIST,  [2] = OBJ_SET,   [3] = OBJ_ZSET,  [4] = OBJ_HASH,    [5] = OBJ_ZSET,
        [6] = -1,          [7] = -1,        [8] = -1,        [9] = -1,        [10] = -1,         [11] = OBJ_SET,
        [12] = -1,         [13] = -1,       [14] = -1,       [15] = OBJ_STREAM, [16] = OBJ_HASH, [17] = OBJ_ZSET,
        [18] = OBJ_LIST,   [19] = OBJ_STREAM, [20] = OBJ_SET, [21] = OBJ_STREAM,
        [22] = OBJ_HASH,   [23] = OBJ_HASH, [24] = OBJ_HASH,  [25] = OBJ_HASH,
    };
    if (type >= sizeof by_byte || by_byte[type] < 0)
        return NULL;
    return type_by_id((enum obj_type)by_byte[type]);
}

/* After the value's parts, whose reading gave rc; what was read is given up when more follows or something lacks. */
static int end_module(struct rdb_in *in, int rc, bool whole, struct value *out, struct err *err)
{
    if (rc == 0 && !(whole && rdb_get_len(in) == OPCODE_END && !in->bad)) {
        value_release(out);
        rc = err_set(err, ERR_GENERIC, "a module value with bytes missing or left over");
    }
    return rc;
}

static int get_own_module(const struct type_ops *ops, struct rdb_in *in, struct value *out, struct err *err)
{
    struct slice s = rdb_get_module_str(in);
    if (in->bad)
        return err_set(err, ERR_GENERIC, "a module value of another form");
    struct rdb_in inner = {
        .p = (const uint8_t *)s.p, .end = (const uint8_t *)s.p + s.len, .by_reference = in->by_reference};
    int rc = ops->load(RDB_MODULE_2, &inner, out, err);
    rc = end_module(in, rc, !inner.bad && inner.p == inner.end, out, err);
    buf_release(&inner.scratch);
    return rc;
}

static int get_module(struct rdb_in *in, struct value *out, struct err *err)
{
    uint64_t id = rdb_get_len(in);
    for (int i = 0; id && i < OBJ_TYPES; i++) {
        const struct type_ops *ops = type_by_id((enum obj_type)i);
        if (ops && ops->rdb_module == id)
            return get_own_module(ops, in, out, err);
        if (ops && ops->rdb_foreign == id)
            return end_module(in, ops->load_foreign(in, out, err), true, out, err);
    }
    return err_set(err, ERR_GENERIC, "a value of a module that is not part of this server");
}

int rdb_get_value(uint8_t type, struct rdb_in *in, struct value *out, struct err *err)
{
    const struct type_ops *ops = reader_of(type);
    *out = (struct value){0};
    if (type == RDB_MODULE_2)
        return get_module(in, out, err);
    if (rdb_is_old(type))
        return rdb_get_old(type, in, out, err);
    if (!ops)
        return err_set(err, ERR_GENERIC, "type %u is unknown", type);
    int rc = ops->load(type, in, out, err);
    if (rc == 0 && in->bad) {
        value_release(out);
        rc = err_set(err, ERR_GENERIC, "bytes missing");
    }
    return rc;
}

int rdb_restore(struct slice payload, struct value *out, bool by_reference, struct err *err)
{
    struct err why = {0};
    struct rdb_in in;
    *out = (struct value){0};
    if (!rdb_open_payload(payload, &in))
        return err_set(err, ERR_GENERIC, "DUMP payload version or checksum are wrong");
    in.by_reference = by_reference;
    int rc = rdb_get_value(rdb_get_u8(&in), &in, out, &why);
    if (rc == 0 && in.p != in.end) {
        value_release(out);
        rc = err_set(&why, ERR_GENERIC, "bytes missing or left over");
    }
    buf_release(&in.scratch);
    if (rc < 0) {
        *out = (struct value){0};
        return err_set(err, ERR_GENERIC, "Bad data format%s%s", why.msg[0] ? ": " : "", why.msg);
    }
    return 0;
}
