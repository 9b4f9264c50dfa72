/* BITFIELD: a string as an array of integers of any width. All operations are parsed first, so that a command with an
 * error anywhere does nothing, and the string is opened once, as far as the furthest write.
 *
 * Redis journals nothing when every write of a command overflowed under FAIL, although the key was made or grew for it;
 * here that counts as the change that it is. */
#include "base/mem.h"
#include "cmd/cmd_bitmap.h"
#include "store/bits.h"

enum field_kind { FIELD_GET, FIELD_SET, FIELD_INCRBY };

struct field {
    enum field_kind kind;
    bool is_signed;
    int bits;
    uint64_t at;
    int64_t num; /* the value or the increment */
    enum bits_overflow overflow;
};

struct fields {
    struct field *all;
    int n;
    bool writes;
    uint64_t last; /* the furthest bit that is written */
};

static bool parse_overflow(struct call *c, int i, enum bits_overflow *how)
{
    static const char *const words[] = {[BITS_WRAP] = "WRAP", [BITS_SAT] = "SAT", [BITS_FAIL] = "FAIL"};
    for (size_t w = 0; w < sizeof words / sizeof *words; w++)
        if (slice_is(c->argv[i], words[w])) {
            *how = (enum bits_overflow)w;
            return true;
        }
    reply_errorf(c->reply, "ERR Invalid OVERFLOW type specified");
    return false;
}

static bool parse_encoding(struct call *c, int i, struct field *f)
{
    struct slice s = c->argv[i];
    int64_t bits = 0;
    f->is_signed = s.len && s.p[0] == 'i';
    if (s.len && (f->is_signed || s.p[0] == 'u') && num_to_i64(slice_of(s.p + 1, s.len - 1), &bits) && bits >= 1 &&
        bits <= (f->is_signed ? 64 : 63)) {
        f->bits = (int)bits;
        return true;
    }
    reply_errorf(c->reply, "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but "
                           "i64 is.");
    return false;
}

/* One operation at argv[*i], which moves past it. */
static bool parse_field(struct call *c, int *i, enum bits_overflow how, struct fields *fs)
{
    struct field f = {.overflow = how};
    struct slice word = c->argv[*i];
    int more = c->argc - *i - 1;
    if (slice_is(word, "GET") && more >= 2) {
        f.kind = FIELD_GET;
    } else if (slice_is(word, "SET") && more >= 3) {
        f.kind = FIELD_SET;
    } else if (slice_is(word, "INCRBY") && more >= 3) {
        f.kind = FIELD_INCRBY;
    } else {
        call_syntax(c);
        return false;
    }
    if (!parse_encoding(c, *i + 1, &f) || !bitmap_offset(c, *i + 2, f.bits, &f.at))
        return false;
    if (f.kind != FIELD_GET) {
        uint64_t last = f.at + (unsigned)f.bits - 1;
        if (!call_i64(c, *i + 3, &f.num))
            return false;
        fs->last = !fs->writes || last > fs->last ? last : fs->last;
        fs->writes = true;
    }
    fs->all[fs->n++] = f;
    *i += f.kind == FIELD_GET ? 3 : 4;
    return true;
}

static bool parse(struct call *c, struct fields *fs)
{
    enum bits_overflow how = BITS_WRAP;
    for (int i = 2; i < c->argc;) {
        if (slice_is(c->argv[i], "OVERFLOW") && i + 1 < c->argc) {
            if (!parse_overflow(c, i + 1, &how))
                return false;
            i += 2;
        } else if (!parse_field(c, &i, how, fs)) {
            return false;
        }
    }
    return true;
}

/* The value of a field: a signed one with its sign up to bit 63. */
static uint64_t field_value(const struct field *f, struct slice s)
{
    uint64_t v = bits_field(s, f->at, f->bits);
    bool minus = f->is_signed && v >> (f->bits - 1);
    return minus && f->bits < 64 ? v | ~UINT64_C(0) << f->bits : v;
}

/* Runs one writing operation and replies; true when the number changed. */
static bool field_write(struct call *c, const struct field *f, char *p, size_t len)
{
    uint64_t old = field_value(f, slice_of(p, len)), fresh;
    bool set = f->kind == FIELD_SET;
    if (!bits_sum(f->is_signed, f->bits, set ? (uint64_t)f->num : old, set ? 0 : f->num, f->overflow, &fresh)) {
        reply_nil(c->reply);
        return false;
    }
    bits_field_put(p, f->at, f->bits, fresh);
    reply_int(c->reply, (int64_t)(set ? old : fresh));
    return old != fresh;
}

static void run_reads(struct call *c, const struct fields *fs)
{
    struct slice s;
    char tmp[NUM_I64_MAX];
    if (!bitmap_read(c, 1, &s, tmp))
        return;
    reply_array(c->reply, (size_t)fs->n);
    for (int i = 0; i < fs->n; i++)
        reply_int(c->reply, (int64_t)field_value(&fs->all[i], s));
}

static void run_writes(struct call *c, const struct fields *fs)
{
    char *p, tmp[NUM_I64_MAX];
    bool changed;
    if (!bitmap_open(c, fs->last, &p, &changed))
        return;
    size_t len = obj_str(db_peek(c->db, c->argv[1]), tmp).len;
    reply_array(c->reply, (size_t)fs->n);
    for (int i = 0; i < fs->n; i++) {
        const struct field *f = &fs->all[i];
        if (f->kind == FIELD_GET)
            reply_int(c->reply, (int64_t)field_value(f, slice_of(p, len)));
        else
            changed |= field_write(c, f, p, len);
    }
    if (changed)
        db_changed(c->db, c->argv[1], NOTIFY_STRING, "setbit");
}

static void run(struct call *c, bool readonly)
{
    struct fields fs = {.all = mem_alloc((size_t)c->argc * sizeof *fs.all)};
    if (parse(c, &fs)) {
        if (fs.writes && readonly)
            reply_errorf(c->reply, "ERR BITFIELD_RO only supports the GET subcommand");
        else if (fs.writes)
            run_writes(c, &fs);
        else
            run_reads(c, &fs);
    }
    mem_free(fs.all);
}

/* Reads (GET), sets (SET) and counts up (INCRBY) integers of any width at any bit. SET answers the old value, INCRBY
 * the new one; OVERFLOW says what those after it do when a number does not fit.
 *
 * > BITFIELD k SET u8 0 200 INCRBY u8 0 100 GET u4 0
 * < 1) (integer) 0
 * < 2) (integer) 44
 * < 3) (integer) 2
 * > BITFIELD k OVERFLOW SAT INCRBY i8 #1 127 INCRBY i8 #1 1
 * < 1) (integer) 127
 * < 2) (integer) 127
 * > BITFIELD k OVERFLOW FAIL INCRBY i8 #1 1
 * < 1) (nil)
 * > BITFIELD k GET u64 0
 * < (error) ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.
 */
void bitmap_field(struct call *c)
{
    run(c, false);
}

/* The same, GET only: allowed where nothing may be written.
 *
 * > SET k hello
 * < OK
 * > BITFIELD_RO k GET u8 0 GET i8 #1
 * < 1) (integer) 104
 * < 2) (integer) 101
 * > BITFIELD_RO k SET u8 0 1
 * < (error) ERR BITFIELD_RO only supports the GET subcommand
 */
void bitmap_field_ro(struct call *c)
{
    run(c, true);
}
