/* HyperLogLog, see hll.h for the bytes.
 *
 * An element's hash picks a register (14 bits) and offers it the position of the first set bit of the other 50. The
 * estimate is Ertl's (New cardinality estimation algorithms for HyperLogLog sketches, 2017), computed from how many
 * registers hold each value, and needs no tables of corrections.
 *
 * What would surprise: where runs are split and joined is part of the format, because GET shows it. Hence the rules in
 * sparse_join, which leave some neighbours apart that could be one run. */
#include "store/hll.h"

#include <math.h>
#include <string.h>

#include "base/setting.h"

#define INDEX_BITS 14
#define RANK_MAX   51 /* 64 - INDEX_BITS + 1 */
#define RUN_Z      64 /* the longest run of each kind */
#define RUN_V      4
#define VALUE_MAX  32 /* the largest in a sparse value */
#define STALE      0x80

static int64_t sparse_max;

static const struct setting settings[] = {
    {"hll-sparse-max-bytes", SETTING_BYTES, &sparse_max, "3000", .min = 0, .max = INT64_MAX,
     .help = "A HyperLogLog whose compact form would grow over this many bytes takes the 12 KB form."},
};

void hll_settings(void)
{
    SETTING_REGISTER(settings);
}

/* --- the hash: MurmurHash64A (Austin Appleby), little-endian on every machine --- */

static uint64_t le_bytes(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    while (n--)
        v = v << 8 | p[n];
    return v;
}

static uint64_t hash(struct slice s)
{
    const uint64_t m = UINT64_C(0xc6a4a7935bd1e995);
    const uint8_t *p = (const uint8_t *)s.p;
    uint64_t h = UINT64_C(0xadc83b19) ^ s.len * m;
    size_t left = s.len;
    for (; left >= 8; left -= 8, p += 8) {
        uint64_t k = le_bytes(p, 8) * m;
        h = (h ^ (k ^ k >> 47) * m) * m;
    }
    if (left)
        h = (h ^ le_bytes(p, left)) * m;
    h = (h ^ h >> 47) * m;
    return h ^ h >> 47;
}

static uint8_t rank(struct slice element, unsigned *reg)
{
    uint64_t h = hash(element);
    *reg = h & (HLL_REGISTERS - 1);
    return (uint8_t)(__builtin_ctzll(h >> INDEX_BITS | UINT64_C(1) << (RANK_MAX - 1)) + 1);
}

/* --- the header --- */

bool hll_is(struct slice hll)
{
    return hll.len >= HLL_HEAD && memcmp(hll.p, "HYLL", 4) == 0 && (uint8_t)hll.p[4] <= HLL_SPARSE &&
           (hll.p[4] != HLL_DENSE || hll.len == HLL_DENSE_BYTES);
}

enum hll_encoding hll_encoding(struct slice hll)
{
    return hll.p[4] == HLL_DENSE ? HLL_DENSE : HLL_SPARSE;
}

bool hll_cached(struct slice hll, uint64_t *n)
{
    *n = le_bytes((const uint8_t *)hll.p + 8, 8);
    return !((uint8_t)hll.p[15] & STALE);
}

void hll_cache(char *hll, uint64_t n)
{
    for (int i = 0; i < 8; i++)
        hll[8 + i] = (char)(uint8_t)(n >> 8 * i);
}

void hll_forget(char *hll)
{
    hll[15] = (char)((uint8_t)hll[15] | STALE);
}

/* --- dense: four registers in three bytes, so no access leaves the value --- */

static unsigned dense_get(const uint8_t *regs, unsigned reg)
{
    return (unsigned)le_bytes(regs + reg / 4 * 3, 3) >> reg % 4 * 6 & 63;
}

static bool dense_raise(uint8_t *regs, unsigned reg, unsigned to)
{
    uint8_t *p = regs + reg / 4 * 3;
    unsigned old = dense_get(regs, reg), v = (unsigned)le_bytes(p, 3) ^ (old ^ to) << reg % 4 * 6;
    if (old >= to)
        return false;
    for (int i = 0; i < 3; i++)
        p[i] = (uint8_t)(v >> 8 * i);
    return true;
}

enum hll_change hll_dense_add(char *hll, struct slice element)
{
    unsigned reg;
    uint8_t to = rank(element, &reg);
    if (!dense_raise((uint8_t *)hll + HLL_HEAD, reg, to))
        return HLL_SAME;
    hll_forget(hll);
    return HLL_CHANGED;
}

/* --- sparse: one run --- */

struct run {
    unsigned len, value; /* value 0: a run of zeros */
    unsigned bytes;
};

static bool run_read(const uint8_t *p, const uint8_t *end, struct run *r)
{
    if (p >= end)
        return false;
    if (*p & 0x80)
        *r = (struct run){(*p & 3u) + 1, (*p >> 2 & 31u) + 1, 1};
    else if (!(*p & 0x40))
        *r = (struct run){(*p & 63u) + 1, 0, 1};
    else if (end - p >= 2)
        *r = (struct run){((*p & 63u) << 8 | p[1]) + 1, 0, 2};
    else
        return false;
    return true;
}

static uint8_t *run_value(uint8_t *to, unsigned value, unsigned len)
{
    *to++ = (uint8_t)(0x80 | (value - 1) << 2 | (len - 1));
    return to;
}

/* A run of the value, 0 for zeros; nothing when it is empty. */
static uint8_t *run_write(uint8_t *to, unsigned value, unsigned len)
{
    if (len == 0)
        return to;
    if (value)
        return run_value(to, value, len);
    if (len > RUN_Z)
        *to++ = (uint8_t)(0x40 | (len - 1) >> 8);
    *to++ = (uint8_t)(len - 1);
    return to;
}

/* Walks the runs: true with the next one and the first register that it covers; false at the end. `whole` is then
 * whether they covered the registers exactly. */
struct walk {
    const uint8_t *p, *end;
    unsigned reg;
    bool whole;
};

static struct walk walk_begin(struct slice hll)
{
    return (struct walk){.p = (const uint8_t *)hll.p + HLL_HEAD, .end = (const uint8_t *)hll.p + hll.len};
}

static bool walk_next(struct walk *w, struct run *r, unsigned *first)
{
    if (!run_read(w->p, w->end, r) || r->len > HLL_REGISTERS - w->reg) {
        w->whole = w->p == w->end && w->reg == HLL_REGISTERS;
        return false;
    }
    *first = w->reg;
    w->reg += r->len;
    w->p += r->bytes;
    return true;
}

/* --- reading all registers --- */

bool hll_merge(uint8_t max[HLL_REGISTERS], struct slice hll)
{
    if (hll_encoding(hll) == HLL_DENSE) {
        for (unsigned i = 0; i < HLL_REGISTERS; i++) {
            unsigned v = dense_get((const uint8_t *)hll.p + HLL_HEAD, i);
            max[i] = v > max[i] ? (uint8_t)v : max[i];
        }
        return true;
    }
    struct walk w = walk_begin(hll);
    struct run r;
    unsigned first;
    while (walk_next(&w, &r, &first))
        for (unsigned i = first; r.value && i < first + r.len; i++)
            max[i] = r.value > max[i] ? (uint8_t)r.value : max[i];
    return w.whole;
}

/* Ertl's sigma and tau: series that end when a term no longer moves the sum. */
static double sigma(double x)
{
    double y = 1, z = x, before;
    if (x == 1)
        return INFINITY;
    do {
        x *= x;
        before = z;
        z += x * y;
        y += y;
    } while (before != z);
    return z;
}

static double tau(double x)
{
    double y = 1, z = 1 - x, before;
    if (x == 0 || x == 1)
        return 0;
    do {
        x = sqrt(x);
        before = z;
        y *= 0.5;
        z -= (1 - x) * (1 - x) * y;
    } while (before != z);
    return z / 3;
}

/* Registers above RANK_MAX come from no hash, only from a value that somebody made up: they count as no register. */
static uint64_t estimate(const unsigned histogram[64])
{
    const double m = HLL_REGISTERS, alpha = 0.721347520444481703680; /* 1 / (2 ln 2) */
    double z = m * tau((m - histogram[RANK_MAX]) / m);
    for (int i = RANK_MAX - 1; i >= 1; i--)
        z = (z + histogram[i]) * 0.5;
    z += m * sigma(histogram[0] / m);
    double e = round(alpha * m * m / z);
    return e < 0x1p63 ? (uint64_t)e : INT64_MAX;
}

bool hll_count(struct slice hll, uint64_t *n)
{
    unsigned histogram[64] = {0};
    if (hll_encoding(hll) == HLL_DENSE) {
        for (unsigned i = 0; i < HLL_REGISTERS; i++)
            histogram[dense_get((const uint8_t *)hll.p + HLL_HEAD, i)]++;
    } else {
        struct walk w = walk_begin(hll);
        struct run r;
        unsigned first;
        while (walk_next(&w, &r, &first))
            histogram[r.value] += r.len;
        if (!w.whole)
            return false;
    }
    *n = estimate(histogram);
    return true;
}

uint64_t hll_count_registers(const uint8_t regs[HLL_REGISTERS])
{
    unsigned histogram[64] = {0};
    for (unsigned i = 0; i < HLL_REGISTERS; i++)
        histogram[regs[i] & 63]++;
    return estimate(histogram);
}

/* --- changing --- */

void hll_init(struct buf *to)
{
    uint8_t zeros[2];
    buf_clear(to);
    buf_add(to, "HYLL\1\0\0\0\0\0\0\0\0\0\0\0", HLL_HEAD);
    buf_add(to, zeros, (size_t)(run_write(zeros, 0, HLL_REGISTERS) - zeros));
}

enum hll_change hll_to_dense(struct buf *hll)
{
    if (hll_encoding(buf_slice(hll)) == HLL_DENSE)
        return HLL_SAME;
    struct buf dense = {0};
    struct walk w = walk_begin(buf_slice(hll));
    struct run r;
    unsigned first;
    memset(buf_room(&dense, HLL_DENSE_BYTES), 0, HLL_DENSE_BYTES);
    buf_grow(&dense, HLL_DENSE_BYTES);
    memcpy(dense.p, hll->p, HLL_HEAD);
    dense.p[4] = HLL_DENSE;
    while (walk_next(&w, &r, &first))
        for (unsigned i = first; r.value && i < first + r.len; i++)
            dense_raise((uint8_t *)dense.p + HLL_HEAD, i, r.value);
    if (!w.whole) {
        buf_release(&dense);
        return HLL_DAMAGED;
    }
    buf_release(hll);
    *hll = dense;
    return HLL_CHANGED;
}

static enum hll_change raise_dense(struct buf *hll, unsigned reg, uint8_t to)
{
    if (!dense_raise((uint8_t *)hll->p + HLL_HEAD, reg, to))
        return HLL_SAME;
    hll_forget(hll->p);
    return HLL_CHANGED;
}

static enum hll_change raise_as_dense(struct buf *hll, unsigned reg, uint8_t to)
{
    return hll_to_dense(hll) == HLL_DAMAGED ? HLL_DAMAGED : raise_dense(hll, reg, to);
}

/* Puts n bytes in the place of `old` bytes at `at`. */
static void splice(struct buf *b, size_t at, size_t old, const uint8_t *bytes, size_t n)
{
    if (n > old)
        buf_room(b, n - old);
    memmove(b->p + at + n, b->p + at + old, b->len - at - old);
    memcpy(b->p + at, bytes, n);
    b->len = b->len - old + n;
}

/* Joins neighbours of one value into runs of up to four, among the five runs from `at` on. A join looks at the same
 * place again, and counts as one of the five. */
static void sparse_join(struct buf *hll, size_t at)
{
    for (int i = 0; i < 5 && at < hll->len; i++) {
        const uint8_t *p = (const uint8_t *)hll->p + at, *end = (const uint8_t *)hll->p + hll->len;
        struct run a, b;
        if (!run_read(p, end, &a))
            return;
        if (a.value && run_read(p + 1, end, &b) && b.value == a.value && a.len + b.len <= RUN_V) {
            uint8_t both;
            run_value(&both, a.value, a.len + b.len);
            splice(hll, at, 2, &both, 1);
        } else {
            at += a.bytes;
        }
    }
}

static enum hll_change raise_sparse(struct buf *hll, unsigned reg, uint8_t to)
{
    struct walk w = walk_begin(buf_slice(hll));
    struct run r;
    unsigned first;
    size_t at = HLL_HEAD, before = HLL_HEAD; /* of the run that covers reg, and of the one before it */
    uint8_t runs[5], *end = runs;
    for (;;) {
        if (!walk_next(&w, &r, &first))
            return HLL_DAMAGED;
        if (reg < first + r.len)
            break;
        before = at;
        at += r.bytes;
    }
    if (r.value >= to)
        return HLL_SAME;
    end = run_write(end, r.value, reg - first);
    end = run_value(end, to, 1);
    end = run_write(end, r.value, first + r.len - 1 - reg);
    size_t n = (size_t)(end - runs);
    if (n > r.bytes && hll->len + (n - r.bytes) > (uint64_t)sparse_max)
        return raise_as_dense(hll, reg, to);
    splice(hll, at, r.bytes, runs, n);
    sparse_join(hll, before);
    hll_forget(hll->p);
    return HLL_CHANGED;
}

enum hll_change hll_raise(struct buf *hll, unsigned reg, uint8_t to)
{
    if (hll_encoding(buf_slice(hll)) == HLL_DENSE)
        return raise_dense(hll, reg, to);
    return to > VALUE_MAX ? raise_as_dense(hll, reg, to) : raise_sparse(hll, reg, to);
}

enum hll_change hll_add(struct buf *hll, struct slice element)
{
    unsigned reg;
    uint8_t to = rank(element, &reg);
    return hll_raise(hll, reg, to);
}

/* --- for people and tests --- */

void hll_decode(struct slice hll, struct buf *to)
{
    const uint8_t *p = (const uint8_t *)hll.p + HLL_HEAD, *end = (const uint8_t *)hll.p + hll.len;
    struct run r;
    for (; run_read(p, end, &r); p += r.bytes) {
        if (to->len)
            buf_add_char(to, ' ');
        if (r.value)
            buf_addf(to, "v:%u,%u", r.value, r.len);
        else
            buf_addf(to, "%c:%u", r.bytes == 2 ? 'Z' : 'z', r.len);
    }
}

static int test_dense_registers(struct err *err)
{
    static uint8_t regs[HLL_DENSE_BYTES - HLL_HEAD];
    memset(regs, 0, sizeof regs);
    for (unsigned i = 0; i < HLL_REGISTERS; i++)
        dense_raise(regs, i, i * 7 % 64);
    for (unsigned i = 0; i < HLL_REGISTERS; i++)
        if (dense_get(regs, i) != i * 7 % 64)
            return err_set(err, ERR_GENERIC, "Register %u is %u and should be %u.", i, dense_get(regs, i), i * 7 % 64);
    return 0;
}

/* Sparse and dense must agree all the time, and the count must be near the truth. */
static int test_counts(struct err *err)
{
    struct buf sparse = {0}, dense = {0};
    int rc = 0;
    hll_init(&sparse);
    hll_init(&dense);
    hll_to_dense(&dense);
    for (uint64_t i = 1, check = 1; i <= 100000 && rc == 0; i++) {
        uint64_t a, b;
        struct slice element = slice_of((const char *)&i, sizeof i);
        hll_add(&sparse, element);
        hll_add(&dense, element);
        if (i != check)
            continue;
        check *= 10;
        if (!hll_count(buf_slice(&sparse), &a) || !hll_count(buf_slice(&dense), &b) || a != b)
            rc = err_set(err, ERR_GENERIC, "The sparse and the dense form disagree after %llu elements.",
                         (unsigned long long)i);
        else if (fabs((double)a - (double)i) > (double)i * 0.05)
            rc = err_set(err, ERR_GENERIC, "%llu elements were counted as %llu.", (unsigned long long)i,
                         (unsigned long long)a);
    }
    buf_release(&sparse);
    buf_release(&dense);
    return rc;
}

int hll_self_test(struct err *err)
{
    int rc = test_dense_registers(err);
    return rc < 0 ? rc : test_counts(err);
}
