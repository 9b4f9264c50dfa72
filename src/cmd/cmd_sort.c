/* SORT: the elements of a list, set or sorted set in another order, by themselves or by what other keys hold.
 *
 * Everything is copied first: elements and weights into one buffer, so that looking other keys up (which may expire and
 * delete them) cannot pull anything away. Equal weights are ordered by the elements' bytes: the result, which STORE
 * journals as the command that makes it, is the same on every run. */
#include "cmd/cmd.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/families.h"
#include "cmd/permission.h"
#include "store/t_hash.h"
#include "store/t_list.h"
#include "store/t_set.h"
#include "store/t_zset.h"

struct item {
    size_t at, len;   /* the element, in sort.bytes */
    size_t wat, wlen; /* what it is ordered by, for ALPHA; wat SIZE_MAX: nothing was found */
    double score;
};

struct sort {
    struct call *c;
    struct slice by, store; /* p NULL: not given */
    int *gets;              /* argv indexes of the GET patterns */
    int ngets;
    bool desc, alpha, keep; /* keep: the order stays as it is (BY without a *) */
    int64_t offset, limit;
    struct item *items;
    size_t n, from, to; /* of the items, from..to are answered */
    struct buf bytes;
};

/* ---- arguments ---- */

/* What BY and GET lead to depends on the data: only who may read every key may use them. */
static bool may_look_around(struct call *c, const char *option)
{
    if (permission_all_keys(c->client, c->cmd, c->argc, c->argv, SELECTOR_READ))
        return true;
    reply_errorf(c->reply, "ERR %s option of SORT denied due to insufficient ACL permissions.", option);
    return false;
}

static bool parse_option(struct sort *s, int *i, bool read_only)
{
    struct call *c = s->c;
    struct slice word = c->argv[*i];
    int left = c->argc - *i - 1;
    if (slice_is(word, "asc") || slice_is(word, "desc")) {
        s->desc = slice_is(word, "desc");
    } else if (slice_is(word, "alpha")) {
        s->alpha = true;
    } else if (slice_is(word, "limit") && left >= 2) {
        if (!call_i64(c, *i + 1, &s->offset) || !call_i64(c, *i + 2, &s->limit))
            return false;
        *i += 2;
    } else if (slice_is(word, "store") && left >= 1 && !read_only) {
        s->store = c->argv[++*i];
    } else if (slice_is(word, "by") && left >= 1) {
        s->by = c->argv[++*i];
        s->keep = !memchr(s->by.p, '*', s->by.len);
        return s->keep || may_look_around(c, "BY");
    } else if (slice_is(word, "get") && left >= 1) {
        s->gets[s->ngets++] = ++*i;
        return may_look_around(c, "GET"); /* as in Redis, GET # as well */
    } else {
        call_syntax(c);
        return false;
    }
    return true;
}

static bool parse(struct sort *s, bool read_only)
{
    for (int i = 2; i < s->c->argc; i++)
        if (!parse_option(s, &i, read_only))
            return false;
    return true;
}

/* ---- elements ---- */

static void add_item(struct sort *s, struct slice element)
{
    struct item *it = &s->items[s->n++];
    *it = (struct item){.at = s->bytes.len, .len = element.len, .wat = SIZE_MAX};
    buf_add(&s->bytes, element.p, element.len);
}

/* A list or a sorted set that keeps its order is walked from the end that DESC begins at. */
static void load_list(struct sort *s, struct obj *o)
{
    struct list_iter it;
    bool back = s->keep && s->desc;
    for (list_iter_begin(&it, o, back ? (int64_t)list_len(o) - 1 : 0, back); list_iter_next(&it);)
        add_item(s, it.value);
}

static void load_set(struct sort *s, struct obj *o)
{
    struct set_iter it;
    for (set_iter_begin(&it, o); set_iter_next(&it);)
        add_item(s, it.member);
}

static void load_zset(struct sort *s, struct obj *o)
{
    struct zset_iter it;
    bool back = s->keep && s->desc;
    for (zset_iter_begin(&it, o, back ? zset_len(o) - 1 : 0, back); zset_iter_next(&it);)
        add_item(s, it.member);
}

static bool load(struct sort *s)
{
    struct obj *o = db_read(s->c->db, s->c->argv[1]);
    if (!o)
        return true;
    if (o->type == OBJ_SET && s->keep && (s->store.p || (s->c->flags & CALL_SCRIPT))) {
        s->keep = false; /* a set has no order of its own, and what is stored must not depend on chance */
        s->alpha = true;
        s->by = (struct slice){0};
    }
    size_t n = o->type == OBJ_LIST   ? list_len(o)
               : o->type == OBJ_SET  ? set_len(o)
               : o->type == OBJ_ZSET ? zset_len(o)
                                     : 0;
    s->items = mem_alloc((n + 1) * sizeof *s->items);
    switch (o->type) {
    case OBJ_LIST: load_list(s, o); return true;
    case OBJ_SET: load_set(s, o); return true;
    case OBJ_ZSET: load_zset(s, o); return true;
    default: call_wrong_type(s->c); return false;
    }
}

/* ---- what a pattern leads to ---- */

static struct slice element_of(const struct sort *s, const struct item *it)
{
    return slice_of(s->bytes.p + it->at, it->len);
}

/* The value that a pattern leads to for an element: the string under its key, or a field of a hash with `->`. `to` gets
 * a copy; false: there is nothing. */
static bool look_up(struct sort *s, struct slice pattern, struct slice element, struct buf *to)
{
    const char *star, *arrow, *end = pattern.p + pattern.len;
    bool wrong, found = false;
    char tmp[NUM_I64_MAX];
    struct slice value;
    struct buf key = {0};
    if (slice_eq(pattern, SLICE("#"))) {
        buf_add(to, element.p, element.len);
        return true;
    }
    if (!pattern.len || !(star = memchr(pattern.p, '*', pattern.len)))
        return false;
    arrow = memmem(star + 1, (size_t)(end - star - 1), "->", 2);
    if (arrow && arrow + 2 == end)
        arrow = NULL;
    buf_add(&key, pattern.p, (size_t)(star - pattern.p));
    buf_add(&key, element.p, element.len);
    buf_add(&key, star + 1, (size_t)((arrow ? arrow : end) - star - 1));
    struct obj *o = db_read_type(s->c->db, buf_slice(&key), arrow ? OBJ_HASH : OBJ_STRING, &wrong);
    if (o && arrow) {
        found = hash_get(o, slice_of(arrow + 2, (size_t)(end - arrow - 2)), &value, tmp);
    } else if (o) {
        value = obj_str(o, tmp);
        found = true;
    }
    if (found)
        buf_add(to, value.p, value.len);
    buf_release(&key);
    return found;
}

/* A weight is read as C's strtod reads it, spaces in front and a NUL at the end included; but not what over- or underflows. */
static bool number_of(struct slice weight, double *score)
{
    char text[512];
    weight.len = weight.len ? strnlen(weight.p, weight.len) : 0;
    if (weight.len >= sizeof text)
        return false;
    if (weight.len)
        memcpy(text, weight.p, weight.len);
    text[weight.len] = 0;
    char *end;
    errno = 0;
    *score = strtod(text, &end);
    return *end == 0 && errno != ERANGE && !isnan(*score);
}

static bool weigh_one(struct sort *s, struct item *it, struct buf *value)
{
    struct slice element = element_of(s, it);
    buf_clear(value);
    if (s->by.p && !look_up(s, s->by, element, value))
        return true;
    struct slice weight = s->by.p ? buf_slice(value) : element;
    if (!s->alpha)
        return number_of(weight, &it->score);
    it->wat = s->by.p ? s->bytes.len : it->at;
    it->wlen = weight.len;
    if (s->by.p)
        buf_add(&s->bytes, weight.p, weight.len);
    return true;
}

static bool weigh(struct sort *s)
{
    struct buf value = {0};
    bool ok = true;
    for (size_t i = 0; i < s->n && ok; i++)
        ok = weigh_one(s, &s->items[i], &value);
    buf_release(&value);
    if (!ok)
        reply_errorf(s->c->reply, "ERR One or more scores can't be converted into double");
    return ok;
}

/* ---- ordering ---- */

static int compare_bytes(const struct sort *s, size_t a, size_t alen, size_t b, size_t blen)
{
    size_t n = alen < blen ? alen : blen;
    int d = n ? memcmp(s->bytes.p + a, s->bytes.p + b, n) : 0;
    return d ? d : (alen > blen) - (alen < blen);
}

static int compare(const void *pa, const void *pb, void *arg)
{
    const struct sort *s = arg;
    const struct item *a = pa, *b = pb;
    int d = 0;
    if (!s->alpha)
        d = (a->score > b->score) - (a->score < b->score);
    else if (a->wat == SIZE_MAX || b->wat == SIZE_MAX)
        d = (a->wat != SIZE_MAX) - (b->wat != SIZE_MAX);
    else
        d = compare_bytes(s, a->wat, a->wlen, b->wat, b->wlen);
    if (d == 0)
        d = compare_bytes(s, a->at, a->len, b->at, b->len);
    return s->desc ? -d : d;
}

static void cut(struct sort *s)
{
    size_t start = s->offset < 0 ? 0 : (size_t)s->offset;
    s->from = start < s->n ? start : s->n;
    s->to = s->limit < 0 || (uint64_t)s->limit > s->n - s->from ? s->n : s->from + (size_t)s->limit;
}

/* ---- answers ---- */

static void reply_items(struct sort *s)
{
    struct reply *r = s->c->reply;
    struct buf value = {0};
    size_t each = s->ngets ? (size_t)s->ngets : 1;
    reply_array(r, (s->to - s->from) * each);
    for (size_t i = s->from; i < s->to; i++) {
        struct slice element = element_of(s, &s->items[i]);
        if (!s->ngets)
            reply_bulk(r, element);
        for (int g = 0; g < s->ngets; g++) {
            buf_clear(&value);
            if (look_up(s, s->c->argv[s->gets[g]], element, &value))
                reply_bulk(r, buf_slice(&value));
            else
                reply_nil(r);
        }
    }
    buf_release(&value);
}

/* The result as a list under the key that STORE names, built before that key goes: a GET may lead to it. */
static void store_items(struct sort *s)
{
    struct db *db = s->c->db;
    struct value v = list_new();
    struct obj list = {.type = OBJ_LIST, .enc = v.enc, .v.ptr = v.ptr};
    struct buf value = {0};
    for (size_t i = s->from; i < s->to; i++) {
        struct slice element = element_of(s, &s->items[i]);
        if (!s->ngets)
            list_push(&list, false, &element, 1);
        for (int g = 0; g < s->ngets; g++) {
            buf_clear(&value);
            look_up(s, s->c->argv[s->gets[g]], element, &value);
            list_push(&list, false, &(struct slice){value.len ? value.p : "", value.len}, 1);
        }
    }
    buf_release(&value);
    size_t n = list_len(&list);
    bool was = db_delete(db, s->store);
    v = value_container(OBJ_LIST, (enum obj_enc)list.enc, list.v.ptr);
    if (n) {
        db_add(db, s->store, v);
        db_changed(db, s->store, NOTIFY_LIST, "sortstore");
    } else {
        value_release(&v);
        if (was)
            db_changed(db, s->store, NOTIFY_GENERIC, "del");
    }
    reply_int(s->c->reply, (int64_t)n);
}

static void run(struct call *c, bool read_only)
{
    struct sort s = {.c = c, .limit = -1};
    s.gets = mem_alloc((size_t)c->argc * sizeof *s.gets);
    if (parse(&s, read_only) && load(&s) && (s.keep || weigh(&s))) {
        if (!s.keep && s.n)
            qsort_r(s.items, s.n, sizeof *s.items, compare, &s);
        cut(&s);
        if (s.store.p)
            store_items(&s);
        else
            reply_items(&s);
    }
    mem_free(s.gets);
    mem_free(s.items);
    buf_release(&s.bytes);
}

/* The elements in order: as numbers, or as text with ALPHA; by what other keys hold with BY; GET answers what other
 * keys hold in place of the elements; STORE keeps the result as a list.
 *
 * > RPUSH l 3 1 2
 * < (integer) 3
 * > SORT l
 * < 1) "1"
 * < 2) "2"
 * < 3) "3"
 * > MSET weight_1 30 weight_2 10 weight_3 20
 * < OK
 * > SORT l BY weight_* GET # GET weight_* LIMIT 0 2
 * < 1) "2"
 * < 2) "10"
 * < 3) "3"
 * < 4) "20"
 * > SORT l DESC STORE to
 * < (integer) 3
 * > RPUSH l x
 * < (integer) 4
 * > SORT l
 * < (error) ERR One or more scores can't be converted into double
 */
static void sort(struct call *c)
{
    run(c, false);
}

/* The same without STORE.
 *
 * > RPUSH l b a
 * < (integer) 2
 * > SORT_RO l ALPHA
 * < 1) "a"
 * < 2) "b"
 */
static void sort_ro(struct call *c)
{
    run(c, true);
}

/* The key, and the last one that STORE names. */
static int sort_keys(int argc, const struct slice *argv, int *pos)
{
    int n = 1;
    if (argc < 2)
        return -1;
    pos[0] = 1;
    for (int i = 2; i < argc; i++) {
        if (slice_is(argv[i], "limit")) {
            i += 2;
        } else if (slice_is(argv[i], "get") || slice_is(argv[i], "by")) {
            i++;
        } else if (slice_is(argv[i], "store") && i + 1 < argc) {
            pos[1] = ++i;
            n = 2;
        }
    }
    return n;
}

static unsigned sort_key_use(int argc, const struct slice *argv, int at)
{
    return at == 1 ? KEY_RO | KEY_ACCESS : KEY_OW | KEY_UPDATE;
}

#define SORT_SYNTAX "key [BY pattern:pattern1] [LIMIT offset count] [GET pattern:pattern1]... [ASC|DESC] [ALPHA]"

/* clang-format off */
static const struct cmd rows[] = {
    {.name = "sort", .run = sort, .arity = -2, .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLEKEYS,
     .acl = ACL_SET | ACL_SORTEDSET | ACL_LIST | ACL_DANGEROUS, .first = 1, .last = 1, .step = 1, .keys = sort_keys,
     .key_use = sort_key_use,
     .key_spec = "RO access @1; RO access @?; OW update @?",
     .syntax = SORT_SYNTAX " [STORE destination:key2]", .summary = "The elements of a list or set in order.",
     .since = "1.0.0", .complexity = "O(N*log(N)) where N is the number of elements"},
    {.name = "sort_ro", .run = sort_ro, .arity = -2, .flags = CMD_READONLY | CMD_MOVABLEKEYS,
     .acl = ACL_SET | ACL_SORTEDSET | ACL_LIST | ACL_DANGEROUS, .first = 1, .last = 1, .step = 1,
     .key_spec = "RO access @1; RO access @?",
     .syntax = SORT_SYNTAX, .summary = "The elements of a list or set in order, without STORE.", .since = "7.0.0",
     .complexity = "O(N*log(N)) where N is the number of elements"},
};
/* clang-format on */

const struct cmd_family sort_family = CMD_FAMILY("generic", rows);
