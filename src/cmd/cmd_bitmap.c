/* Bit commands on strings: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP. The bits themselves are store/bits; BITFIELD is in
 * a file of its own.
 *
 * A command that leaves the string as it was (SETBIT of a bit that is so already) is no change: no event, nothing is
 * journaled. Replaying the journal obeys no limit on offsets, because the limit may have been lowered since. */
#include "cmd/cmd_bitmap.h"

#include "cmd/cmd.h"
#include "cmd/families.h"
#include "cmd/key_spec.h"
#include "net/conn.h"
#include "store/bits.h"

bool bitmap_offset(struct call *c, int i, int width, uint64_t *out)
{
    struct slice s = c->argv[i];
    bool times = width && s.len && s.p[0] == '#';
    int64_t at;
    if (times)
        s = slice_of(s.p + 1, s.len - 1);
    if (num_to_i64(s, &at) && at >= 0 && !__builtin_mul_overflow(at, times ? width : 1, &at) &&
        ((c->flags & CALL_REPLAY) || at >> 3 < conn_limits.bulk_max)) {
        *out = (uint64_t)at;
        return true;
    }
    reply_errorf(c->reply, "ERR bit offset is not an integer or out of range");
    return false;
}

bool bitmap_read(struct call *c, int i, struct slice *s, char tmp[NUM_I64_MAX])
{
    bool wrong;
    struct obj *o = db_read_type(c->db, c->argv[i], OBJ_STRING, &wrong);
    *s = o ? obj_str(o, tmp) : (struct slice){0};
    if (wrong)
        call_wrong_type(c);
    return !wrong;
}

bool bitmap_open(struct call *c, uint64_t last, char **p, bool *grew)
{
    bool wrong;
    char tmp[NUM_I64_MAX];
    struct obj *o = db_write_type(c->db, c->argv[1], OBJ_STRING, &wrong);
    if (wrong) {
        call_wrong_type(c);
        return false;
    }
    *grew = !o || obj_str(o, tmp).len <= last >> 3;
    if (!o)
        o = db_add(c->db, c->argv[1], value_string(SLICE("")));
    db_str_open(c->db, o, last >> 3, 1, p);
    return true;
}

/* Sets one bit; answers what it was. The string grows with zero bits.
 *
 * > SETBIT seen 7 1
 * < (integer) 0
 * > SETBIT seen 7 0
 * < (integer) 1
 * > GET seen
 * < "\x00"
 * > SETBIT seen 7 2
 * < (error) ERR bit is not an integer or out of range
 * > SETBIT seen -1 1
 * < (error) ERR bit offset is not an integer or out of range
 */
static void setbit(struct call *c)
{
    uint64_t at;
    int64_t on;
    char *p;
    bool grew;
    if (!bitmap_offset(c, 2, 0, &at))
        return;
    if (!num_to_i64(c->argv[3], &on) || (on != 0 && on != 1)) {
        reply_errorf(c->reply, "ERR bit is not an integer or out of range");
        return;
    }
    if (!bitmap_open(c, at, &p, &grew))
        return;
    uint8_t mask = (uint8_t)(0x80 >> (at & 7));
    bool was = p[at >> 3] & mask;
    if (grew || was != on) {
        p[at >> 3] = (char)(on ? p[at >> 3] | mask : p[at >> 3] & ~mask);
        db_changed(c->db, c->argv[1], NOTIFY_STRING, "setbit");
    }
    reply_int(c->reply, was);
}

/* One bit; 0 past the end.
 *
 * > SET k a
 * < OK
 * > GETBIT k 1
 * < (integer) 1
 * > GETBIT k 100
 * < (integer) 0
 */
static void getbit(struct call *c)
{
    uint64_t at;
    struct slice s;
    char tmp[NUM_I64_MAX];
    if (bitmap_offset(c, 2, 0, &at) && bitmap_read(c, 1, &s, tmp))
        reply_int(c->reply, at >> 3 < s.len && (s.p[at >> 3] & (0x80 >> (at & 7))));
}

/* A range as the client gave it, in bytes or bits, both ends included, negative ones counted from the end. */
struct range {
    int64_t start, end;
    bool bits, open; /* open: the client gave no end */
};

/* The same as bits of a string of `len` bytes; from >= to when it is empty. */
static void range_resolve(const struct range *r, size_t len, uint64_t *from, uint64_t *to)
{
    int64_t unit = r->bits ? 1 : 8, total = (int64_t)len * 8 / unit, start = r->start,
            end = r->open ? total - 1 : r->end;
    start = start < 0 ? start + total : start;
    end = end < 0 ? end + total : end;
    start = start < 0 ? 0 : start;
    end = end < 0 ? 0 : end;
    end = end >= total ? total - 1 : end;
    *from = *to = 0;
    if (start <= end) {
        *from = (uint64_t)(start * unit);
        *to = (uint64_t)((end + 1) * unit);
    }
}

static bool range_unit(struct call *c, int i, struct range *r)
{
    r->bits = slice_is(c->argv[i], "BIT");
    if (r->bits || slice_is(c->argv[i], "BYTE"))
        return true;
    call_syntax(c);
    return false;
}

/* How many bits are set, in the whole string or in a range of its bytes or bits.
 *
 * > SET k foobar
 * < OK
 * > BITCOUNT k
 * < (integer) 26
 * > BITCOUNT k 1 -2
 * < (integer) 18
 * > BITCOUNT k 5 30 BIT
 * < (integer) 17
 * > BITCOUNT k 5
 * < (error) ERR syntax error
 */
static void bitcount(struct call *c)
{
    struct range r = {.open = true};
    struct slice s;
    char tmp[NUM_I64_MAX];
    uint64_t from, to;
    if (c->argc == 3 || c->argc > 5) {
        call_syntax(c);
        return;
    }
    if (c->argc > 3) {
        r.open = false;
        if (!call_i64(c, 2, &r.start) || !call_i64(c, 3, &r.end) || (c->argc == 5 && !range_unit(c, 4, &r)))
            return;
    }
    if (!bitmap_read(c, 1, &s, tmp))
        return;
    range_resolve(&r, s.len, &from, &to);
    if (!r.open && r.start < 0 && r.end < 0 && r.start > r.end)
        to = from; /* turned round, though both may stand before the first byte */
    reply_int(c->reply, (int64_t)bits_count(s.p, from, to));
}

/* Where the first set or clear bit is, -1 when there is none. A string is followed by zeros for ever, unless an end is
 * given.
 *
 * > SET k "\xff\xf0\x00"
 * < OK
 * > BITPOS k 0
 * < (integer) 12
 * > BITPOS k 1 2
 * < (integer) -1
 * > BITPOS k 0 0 0
 * < (integer) -1
 * > BITPOS k 0 10 -1 BIT
 * < (integer) 12
 * > SET full "\xff"
 * < OK
 * > BITPOS full 0
 * < (integer) 8
 */
static void bitpos(struct call *c)
{
    int64_t bit;
    struct range r = {.open = true};
    struct slice s;
    char tmp[NUM_I64_MAX];
    uint64_t from, to;
    if (!call_i64(c, 2, &bit))
        return;
    if (bit != 0 && bit != 1) {
        reply_errorf(c->reply, "ERR The bit argument must be 1 or 0.");
        return;
    }
    if (c->argc > 6) {
        call_syntax(c);
        return;
    }
    r.open = c->argc < 5;
    if ((c->argc > 3 && !call_i64(c, 3, &r.start)) || (c->argc > 5 && !range_unit(c, 5, &r)) ||
        (c->argc > 4 && !call_i64(c, 4, &r.end)) || !bitmap_read(c, 1, &s, tmp))
        return;
    if (!s.p) {
        reply_int(c->reply, bit ? -1 : 0);
        return;
    }
    range_resolve(&r, s.len, &from, &to);
    int64_t at = bits_find(s.p, from, to, bit);
    if (at < 0 && !bit && r.open && from < to)
        at = (int64_t)to;
    reply_int(c->reply, at);
}

/* --- BITOP --- */

/* Checks the sources' types and finds the longest; the error is replied. */
static bool bitop_sources(struct call *c, size_t *longest)
{
    *longest = 0;
    for (int i = 3; i < c->argc; i++) {
        struct slice s;
        char tmp[NUM_I64_MAX];
        if (!bitmap_read(c, i, &s, tmp))
            return false;
        if (s.len > *longest)
            *longest = s.len;
    }
    return true;
}

/* One source after the other into r, whose room is the longest one's; a shorter one goes on as zeros. */
static void bitop_fold(struct call *c, enum bits_op op, struct rawstr *r, size_t len)
{
    memset(r->p, 0, len);
    r->len = len;
    for (int i = 3; i < c->argc; i++) {
        char tmp[NUM_I64_MAX];
        struct obj *o = db_peek(c->db, c->argv[i]);
        struct slice s = o ? obj_str(o, tmp) : (struct slice){0};
        bits_combine(i == 3 ? BITS_OR : op, r->p, s.p, s.len);
        if (i > 3 && op == BITS_AND)
            memset(r->p + s.len, 0, len - s.len);
    }
    if (op == BITS_NOT)
        bits_combine(BITS_NOT, r->p, NULL, len);
}

static bool bitop_parse(struct call *c, enum bits_op *op)
{
    static const char *const words[] = {[BITS_AND] = "AND", [BITS_OR] = "OR", [BITS_XOR] = "XOR", [BITS_NOT] = "NOT"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (slice_is(c->argv[1], words[i])) {
            *op = (enum bits_op)i;
            if (*op == BITS_NOT && c->argc != 4)
                reply_errorf(c->reply, "ERR BITOP NOT must be called with a single source key.");
            return *op != BITS_NOT || c->argc == 4;
        }
    call_syntax(c);
    return false;
}

/* Combines strings bit by bit into a key; answers its length. Absent keys and missing ends are zeros; an empty outcome
 * deletes the key.
 *
 * > MSET a abc b a
 * < OK
 * > BITOP AND both a b
 * < (integer) 3
 * > GET both
 * < "a\x00\x00"
 * > BITOP XOR none nothing
 * < (integer) 0
 * > BITOP NOT other a b
 * < (error) ERR BITOP NOT must be called with a single source key.
 */
static void bitop(struct call *c)
{
    enum bits_op op;
    size_t len;
    struct slice key = c->argv[2];
    if (!bitop_parse(c, &op) || !bitop_sources(c, &len))
        return;
    if (len) {
        struct rawstr *r = rawstr_make(SLICE(""), len);
        bitop_fold(c, op, r, len);
        db_set(c->db, key, (struct value){.type = OBJ_STRING, .enc = ENC_RAW, .ptr = r}, false);
        db_changed(c->db, key, NOTIFY_STRING, "set");
    } else if (db_delete(c->db, key)) {
        db_changed(c->db, key, NOTIFY_GENERIC, "del");
    }
    reply_int(c->reply, (int64_t)len);
}

/* Without SET and INCRBY nothing is changed. */
static unsigned bitfield_key_use(int argc, const struct slice *argv, int at)
{
    for (int i = 2; i < argc; i++)
        if (slice_is(argv[i], "set") || slice_is(argv[i], "incrby"))
            return KEY_RW | KEY_ACCESS | KEY_UPDATE;
    return KEY_RO | KEY_ACCESS;
}

#define GROW (CMD_WRITE | CMD_DENYOOM)
#define KEY  .acl = ACL_BITMAP, .first = 1, .last = 1, .step = 1

/* clang-format off */
static const struct cmd rows[] = {
    {.name = "setbit", .run = setbit, .arity = 4, .flags = GROW, KEY, .syntax = "key offset value:int",
     .summary = "Sets one bit of a string; the old one is the reply.", .since = "2.2.0", .complexity = "O(1)"},
    {.name = "getbit", .run = getbit, .arity = 3, .flags = CMD_READONLY | CMD_FAST, KEY, .syntax = "key offset",
     .summary = "One bit of a string.", .since = "2.2.0", .complexity = "O(1)"},
    {.name = "bitcount", .run = bitcount, .arity = -2, .flags = CMD_READONLY, KEY,
     .syntax = "key [start end:int [BYTE|BIT]]", .summary = "How many bits of a string are set.", .since = "2.6.0",
     .complexity = "O(N) where N is the number of bytes looked at"},
    {.name = "bitpos", .run = bitpos, .arity = -3, .flags = CMD_READONLY, KEY,
     .syntax = "key bit [start [end:int [BYTE|BIT]]]", .summary = "Where the first set or clear bit of a string is.",
     .since = "2.8.7", .complexity = "O(N) where N is the number of bytes looked at"},
    {.name = "bitop", .run = bitop, .arity = -4, .flags = GROW, .acl = ACL_BITMAP, .first = 2, .last = -1, .step = 1,
     .key_spec = "OW update @2; RO access @3 range -1 1 0",
     .syntax = "(AND|OR|XOR|NOT) destkey:key key...", .summary = "Combines strings bit by bit into a key.",
     .since = "2.6.0", .complexity = "O(N) where N is the length of all strings together"},
    {.name = "bitfield", .run = bitmap_field, .arity = -2, .flags = GROW, KEY,
     .key_spec = "RW access update variable_flags", .key_use = bitfield_key_use,
     .syntax = "key [GET encoding offset|[OVERFLOW (WRAP|SAT|FAIL)] "
               "(SET encoding offset value:int|INCRBY encoding offset increment)]...",
     .summary = "Reads, sets and counts up integers of any width inside a string.", .since = "3.2.0",
     .complexity = "O(1) for each operation"},
    {.name = "bitfield_ro", .run = bitmap_field_ro, .arity = -2, .flags = CMD_READONLY | CMD_FAST, KEY,
     .syntax = "key [GET encoding offset]...", .summary = "Reads integers of any width inside a string.",
     .since = "6.0.0", .complexity = "O(1) for each operation"},
};
/* clang-format on */

const struct cmd_family bitmap_family = CMD_FAMILY("bitmap", rows);
