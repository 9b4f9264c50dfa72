/* Listpacks; the format is drawn in the header.
 *
 * Every change is one splice: cut some bytes at a place, open room for one encoded element, fix the two counts of the
 * header. Listpacks are small by policy (8 KiB in a list's node, 128 entries in a hash), so a splice's memmove and the
 * allocator's realloc within a size class are cheaper than any cleverness. */
#include "store/listpack.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

#define END           0xff
#define COUNT_UNKNOWN 65535

static uint32_t load32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void store32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static unsigned count_field(const uint8_t *lp)
{
    return lp[4] | (unsigned)lp[5] << 8;
}

static void set_count_field(uint8_t *lp, size_t n)
{
    unsigned v = n < COUNT_UNKNOWN ? (unsigned)n : COUNT_UNKNOWN;
    lp[4] = (uint8_t)v;
    lp[5] = (uint8_t)(v >> 8);
}

uint8_t *listpack_create(size_t room)
{
    uint8_t *lp = mem_alloc(LISTPACK_HEAD + 1 + room);
    store32(lp, LISTPACK_HEAD + 1);
    set_count_field(lp, 0);
    lp[LISTPACK_HEAD] = END;
    return lp;
}

uint8_t *listpack_dup(const uint8_t *lp)
{
    size_t n = listpack_bytes(lp);
    uint8_t *copy = mem_alloc(n);
    memcpy(copy, lp, n);
    return copy;
}

size_t listpack_bytes(const uint8_t *lp)
{
    return load32(lp);
}

bool listpack_fits(const uint8_t *lp, size_t add)
{
    return add <= LISTPACK_MAX && listpack_bytes(lp) + add <= LISTPACK_MAX;
}

/* --- elements --- */

/* How many bytes say what the element is, before a string's bytes; 0 when the first byte is no encoding. */
static size_t head_bytes(uint8_t b)
{
    if (b < 0xc0)
        return 1;
    if (b < 0xf0)
        return 2;
    static const uint8_t wide[] = {5, 3, 4, 5, 9};
    return b <= 0xf4 ? wide[b - 0xf0] : 0;
}

/* Bytes of the element without its back length. All head bytes must be readable. */
static size_t body_bytes(const uint8_t *p)
{
    uint8_t b = p[0];
    if ((b & 0xc0) == 0x80)
        return 1 + (size_t)(b & 0x3f);
    if ((b & 0xf0) == 0xe0)
        return 2 + ((size_t)(b & 0x0f) << 8 | p[1]);
    if (b == 0xf0)
        return 5 + (size_t)load32(p + 1);
    return head_bytes(b);
}

/* The limits are one lower than 7 bits a byte would allow, except the first: so Redis wrote them. */
static size_t back_bytes(size_t body)
{
    return body <= 127 ? 1 : body < 16383 ? 2 : body < 2097151 ? 3 : body < 268435455 ? 4 : 5;
}

/* Most significant group first; all but that one carry the high bit, which says "there is more" to who reads backwards.
 */
static void put_back(uint8_t *to, size_t body)
{
    size_t n = back_bytes(body);
    for (size_t i = n; i-- > 0; body >>= 7)
        to[i] = (uint8_t)((body & 127) | (i ? 128 : 0));
}

/* The number that ends at `last`; reads no byte before `low`. SIZE_MAX when it is not one. */
static size_t get_back(const uint8_t *last, const uint8_t *low)
{
    size_t v = 0;
    for (int shift = 0; shift <= 28 && last >= low; shift += 7, last--) {
        v |= (size_t)(*last & 127) << shift;
        if (!(*last & 128))
            return v;
    }
    return SIZE_MAX;
}

size_t listpack_entry_bytes(const uint8_t *at)
{
    size_t body = body_bytes(at);
    return body + back_bytes(body);
}

static uint8_t *unless_end(const uint8_t *p)
{
    return *p == END ? NULL : (uint8_t *)p;
}

uint8_t *listpack_first(const uint8_t *lp)
{
    return unless_end(lp + LISTPACK_HEAD);
}

uint8_t *listpack_next(const uint8_t *lp, const uint8_t *at)
{
    return unless_end(at + listpack_entry_bytes(at));
}

/* `at` may be the end mark. */
uint8_t *listpack_prev(const uint8_t *lp, const uint8_t *at)
{
    if (at == lp + LISTPACK_HEAD)
        return NULL;
    size_t body = get_back(at - 1, lp + LISTPACK_HEAD);
    return (uint8_t *)at - back_bytes(body) - body;
}

uint8_t *listpack_last(const uint8_t *lp)
{
    return listpack_prev(lp, lp + listpack_bytes(lp) - 1);
}

size_t listpack_count(const uint8_t *lp)
{
    size_t n = count_field(lp);
    if (n != COUNT_UNKNOWN)
        return n;
    n = 0;
    for (const uint8_t *p = listpack_first(lp); p; p = listpack_next(lp, p))
        n++;
    return n;
}

uint8_t *listpack_seek(const uint8_t *lp, long index)
{
    long n = count_field(lp);
    if (n != COUNT_UNKNOWN) {
        if (index >= n || index < -n)
            return NULL;
        if (index >= 0 && index > n / 2) /* nearer from the other end */
            index -= n;
        else if (index < 0 && -index > n / 2)
            index += n;
    }
    uint8_t *p = index >= 0 ? listpack_first(lp) : listpack_last(lp);
    for (; p && index > 0; index--)
        p = listpack_next(lp, p);
    for (; p && index < -1; index++)
        p = listpack_prev(lp, p);
    return p;
}

/* n little-endian bytes with their sign. */
static int64_t load_signed(const uint8_t *p, int n)
{
    uint64_t v = 0;
    for (int i = 0; i < n; i++)
        v |= (uint64_t)p[i] << 8 * i;
    int shift = 64 - 8 * n;
    return (int64_t)(v << shift) >> shift;
}

bool listpack_int(const uint8_t *p, int64_t *out)
{
    uint8_t b = p[0];
    if (b < 0x80)
        *out = b;
    else if ((b & 0xe0) == 0xc0)
        *out = (int64_t)((uint64_t)((b & 0x1fu) << 8 | p[1]) << 51) >> 51;
    else if (b > 0xf0)
        *out = load_signed(p + 1, b == 0xf4 ? 8 : b - 0xf0 + 1);
    else
        return false;
    return true;
}

/* A string of one of the two short kinds, as nearly all are; false: something else. */
static inline bool short_str(const uint8_t *at, struct slice *s)
{
    uint8_t b = at[0];
    if ((b & 0xc0) == 0x80)
        *s = slice_of((const char *)at + 1, b & 0x3f);
    else if ((b & 0xf0) == 0xe0)
        *s = slice_of((const char *)at + 2, (size_t)(b & 0x0f) << 8 | at[1]);
    else
        return false;
    return true;
}

struct listpack_val listpack_get(const uint8_t *at)
{
    struct listpack_val v = {0};
    if (short_str(at, &v.str))
        return v;
    v.is_int = listpack_int(at, &v.num);
    if (!v.is_int) {
        size_t head = head_bytes(at[0]);
        v.str = slice_of((const char *)at + head, body_bytes(at) - head);
    }
    return v;
}

struct slice listpack_str(const uint8_t *at, char tmp[NUM_I64_MAX])
{
    struct slice s;
    if (short_str(at, &s))
        return s;
    struct listpack_val v = listpack_get(at);
    return v.is_int ? slice_of(tmp, num_from_i64(tmp, v.num)) : v.str;
}

bool listpack_eq(const uint8_t *at, struct slice s)
{
    char tmp[NUM_I64_MAX];
    return slice_eq(listpack_str(at, tmp), s);
}

uint8_t *listpack_find(const uint8_t *lp, const uint8_t *at, struct slice s, unsigned skip)
{
    int64_t want;
    bool want_int = num_to_i64(s, &want);
    while (at) {
        struct listpack_val v = listpack_get(at);
        /* what could be an integer is stored as one, by us; a listpack from outside may not be so tidy */
        if (v.is_int ? want_int && v.num == want : slice_eq(v.str, s))
            return (uint8_t *)at;
        at = listpack_next(lp, at);
        for (unsigned i = 0; at && i < skip; i++)
            at = listpack_next(lp, at);
    }
    return NULL;
}

/* --- changes --- */

/* An element about to be written: its head, then a string's bytes (none for an integer). */
struct element {
    uint8_t head[9];
    uint8_t head_len;
    struct slice bytes;
};

static struct element element_of_int(int64_t v)
{
    struct element e = {.head_len = 1};
    if (v >= 0 && v <= 127) {
        e.head[0] = (uint8_t)v;
        return e;
    }
    if (v >= -4096 && v <= 4095) {
        e.head[0] = (uint8_t)(0xc0 | ((uint64_t)v >> 8 & 0x1f));
        e.head[1] = (uint8_t)v;
        e.head_len = 2;
        return e;
    }
    int n = v >= INT16_MIN && v <= INT16_MAX   ? 2
            : v >= -8388608 && v <= 8388607    ? 3
            : v >= INT32_MIN && v <= INT32_MAX ? 4
                                               : 8;
    e.head[0] = (uint8_t)(n == 8 ? 0xf4 : 0xf0 + n - 1);
    for (int i = 0; i < n; i++)
        e.head[1 + i] = (uint8_t)((uint64_t)v >> 8 * i);
    e.head_len = (uint8_t)(1 + n);
    return e;
}

static struct element element_of(struct slice s)
{
    int64_t v;
    if (s.len < NUM_I64_MAX && num_to_i64(s, &v))
        return element_of_int(v);
    struct element e = {.head_len = 1, .bytes = s};
    if (s.len < 64) {
        e.head[0] = (uint8_t)(0x80 | s.len);
    } else if (s.len < 4096) {
        e.head[0] = (uint8_t)(0xe0 | s.len >> 8);
        e.head[1] = (uint8_t)s.len;
        e.head_len = 2;
    } else {
        e.head[0] = 0xf0;
        store32(e.head + 1, (uint32_t)s.len);
        e.head_len = 5;
    }
    return e;
}

/* Replaces `cut` bytes at `at` by the element (NULL: by nothing); delta is the change in the number of elements. */
static uint8_t *splice(uint8_t **lpp, const uint8_t *at, size_t cut, const struct element *e, long delta)
{
    uint8_t *lp = *lpp;
    size_t offset = (size_t)(at - lp), old = listpack_bytes(lp);
    size_t body = e ? e->head_len + e->bytes.len : 0, open = e ? body + back_bytes(body) : 0;
    size_t total = old - cut + open;
    assert(total <= UINT32_MAX);
    if (total > old)
        lp = mem_realloc(lp, total);
    uint8_t *p = lp + offset;
    memmove(p + open, p + cut, old - offset - cut);
    if (total < old)
        lp = mem_realloc(lp, total);
    p = lp + offset;
    if (e) {
        memcpy(p, e->head, e->head_len);
        if (e->bytes.len)
            memcpy(p + e->head_len, e->bytes.p, e->bytes.len);
        put_back(p + body, body);
    }
    store32(lp, (uint32_t)total);
    if (count_field(lp) != COUNT_UNKNOWN)
        set_count_field(lp, (size_t)((long)count_field(lp) + delta));
    *lpp = lp;
    return p;
}

uint8_t *listpack_append(uint8_t **lp, struct slice s)
{
    struct element e = element_of(s);
    return splice(lp, *lp + listpack_bytes(*lp) - 1, 0, &e, 1);
}

uint8_t *listpack_append_int(uint8_t **lp, int64_t v)
{
    struct element e = element_of_int(v);
    return splice(lp, *lp + listpack_bytes(*lp) - 1, 0, &e, 1);
}

uint8_t *listpack_insert_before(uint8_t **lp, uint8_t *at, struct slice s)
{
    struct element e = element_of(s);
    return splice(lp, at, 0, &e, 1);
}

uint8_t *listpack_prepend(uint8_t **lp, struct slice s)
{
    return listpack_insert_before(lp, *lp + LISTPACK_HEAD, s);
}

uint8_t *listpack_insert_after(uint8_t **lp, uint8_t *at, struct slice s)
{
    return listpack_insert_before(lp, at + listpack_entry_bytes(at), s);
}

uint8_t *listpack_replace(uint8_t **lp, uint8_t *at, struct slice s)
{
    struct element e = element_of(s);
    return splice(lp, at, listpack_entry_bytes(at), &e, 0);
}

uint8_t *listpack_replace_int(uint8_t **lp, uint8_t *at, int64_t v)
{
    struct element e = element_of_int(v);
    return splice(lp, at, listpack_entry_bytes(at), &e, 0);
}

uint8_t *listpack_delete(uint8_t **lp, uint8_t *at, size_t count)
{
    const uint8_t *end = at;
    size_t n = 0;
    for (; n < count && *end != END; n++)
        end += listpack_entry_bytes(end);
    return unless_end(splice(lp, at, (size_t)(end - at), NULL, -(long)n));
}

/* --- bytes from outside --- */

/* The length of the element at p, `left` bytes before the end mark; 0 when it is not a whole, sound element. */
static size_t valid_element(const uint8_t *p, size_t left)
{
    size_t head = head_bytes(p[0]);
    if (!head || head > left)
        return 0;
    size_t body = body_bytes(p);
    if (body > left || back_bytes(body) > left - body)
        return 0;
    size_t whole = body + back_bytes(body);
    return get_back(p + whole - 1, p + body) == body ? whole : 0;
}

bool listpack_valid(const void *bytes, size_t n)
{
    const uint8_t *lp = bytes;
    if (n < LISTPACK_HEAD + 1 || n > LISTPACK_MAX || listpack_bytes(lp) != n || lp[n - 1] != END)
        return false;
    size_t count = 0;
    for (size_t at = LISTPACK_HEAD; at < n - 1; count++) {
        size_t step = valid_element(lp + at, n - 1 - at);
        if (!step)
            return false;
        at += step;
    }
    return count_field(lp) == COUNT_UNKNOWN || count_field(lp) == count;
}
