/* Sorted sets, see t_zset.h.
 *
 * v.ptr is the listpack itself (ENC_LISTPACK) or a struct ztree (ENC_SKIPLIST). In a listpack a score is the shortest
 * text that reads back the same, integers as integers, as Redis writes it: DUMP gives the bytes that are in memory.
 * Members of a listpack are found by walking it; at 128 short members that is faster than a tree would be. */
#include "store/t_zset.h"

#include <assert.h>
#include <math.h>

#include "base/mem.h"
#include "base/setting.h"
#include "store/digest.h"
#include "store/listpack.h"
#include "store/rdb.h"
#include "store/types.h"

static int64_t max_entries, max_value;

static const struct setting settings[] = {
    {"zset-max-listpack-entries", SETTING_INT, &max_entries, "128", .min = 0, .max = INT64_MAX,
     .help = "A sorted set of at most this many members is kept as one compact block."},
    {"zset-max-listpack-value", SETTING_INT, &max_value, "64", .min = 0, .max = INT64_MAX,
     .help = "A sorted set whose members are at most this long is kept as one compact block."},
    {"zset-max-ziplist-entries", SETTING_INT, &max_entries, "128", .min = 0, .max = INT64_MAX, .flags = SETTING_HIDDEN | SETTING_ALIAS,
     .help = "The old name of zset-max-listpack-entries."},
    {"zset-max-ziplist-value", SETTING_INT, &max_value, "64", .min = 0, .max = INT64_MAX, .flags = SETTING_HIDDEN | SETTING_ALIAS,
     .help = "The old name of zset-max-listpack-value."},
};

void zset_settings(void)
{
    SETTING_REGISTER(settings);
}

static struct ztree *tree_of(const struct obj *o)
{
    return o->v.ptr;
}

static bool too_long(struct slice s)
{
    return (uint64_t)s.len > (uint64_t)max_value;
}

/* --- scores in a listpack --- */

/* The text of a score. Whole numbers lose the sign of zero here, as they do in Redis. */
static struct slice score_text(double score, char tmp[NUM_DOUBLE_MAX])
{
    if (score > -9e18 && score < 9e18 && score == (double)(int64_t)score)
        return slice_of(tmp, num_from_i64(tmp, (int64_t)score));
    return slice_of(tmp, num_from_double(tmp, score));
}

/* False: what stands at `at` is not a score. Only bytes from outside can be that. */
static bool score_at(const uint8_t *at, double *score)
{
    struct listpack_val v = listpack_get(at);
    if (!v.is_int)
        return num_to_double(v.str, score);
    *score = (double)v.num;
    return true;
}

static double score_of(const uint8_t *lp, const uint8_t *member)
{
    double score = 0;
    bool ok = score_at(listpack_next(lp, member), &score);
    assert(ok);
    return score;
}

static uint8_t *find_member(const uint8_t *lp, struct slice member)
{
    return listpack_find(lp, listpack_first(lp), member, 1);
}

/* Puts a member that is absent at its place. */
static void listpack_put(uint8_t **lp, struct slice member, double score)
{
    char mtmp[NUM_I64_MAX], stmp[NUM_DOUBLE_MAX];
    struct slice text = score_text(score, stmp);
    uint8_t *at = listpack_first(*lp);
    for (; at; at = listpack_next(*lp, listpack_next(*lp, at))) {
        double there = score_of(*lp, at);
        if (there > score || (there == score && slice_cmp(listpack_str(at, mtmp), member) > 0))
            break;
    }
    if (at) {
        at = listpack_insert_before(lp, at, member);
        listpack_insert_after(lp, at, text);
    } else {
        listpack_append(lp, member);
        listpack_append(lp, text);
    }
}

static void to_tree(struct obj *o)
{
    uint8_t *lp = o->v.ptr;
    struct ztree *z = ztree_create(listpack_count(lp) / 2 + 1);
    char tmp[NUM_I64_MAX];
    for (const uint8_t *m = listpack_first(lp); m; m = listpack_next(lp, listpack_next(lp, m)))
        ztree_add(z, listpack_str(m, tmp), score_of(lp, m));
    mem_free(lp);
    o->v.ptr = z;
    o->enc = ENC_SKIPLIST;
}

/* --- one member --- */

struct value zset_new(void)
{
    return value_container(OBJ_ZSET, ENC_LISTPACK, listpack_create(0));
}

size_t zset_len(const struct obj *o)
{
    return o->enc == ENC_LISTPACK ? listpack_count(o->v.ptr) / 2 : ztree_len(tree_of(o));
}

bool zset_score(const struct obj *o, struct slice member, double *score)
{
    if (o->enc == ENC_SKIPLIST) {
        const struct zmember *n = ztree_find(tree_of(o), member);
        if (n)
            *score = zmember_score(n);
        return n != NULL;
    }
    const uint8_t *at = find_member(o->v.ptr, member);
    if (at)
        *score = score_of(o->v.ptr, at);
    return at != NULL;
}

/* What is to be done to a member that has the score `now`. */
static enum zset_outcome decide(double now, double *score, unsigned conditions)
{
    double to = conditions & ZSET_INCR ? now + *score : *score;
    if (conditions & ZSET_NX)
        return ZSET_NOTHING;
    if (isnan(to))
        return ZSET_NAN;
    if ((conditions & ZSET_LT && to >= now) || (conditions & ZSET_GT && to <= now))
        return ZSET_NOTHING;
    *score = to;
    return to == now ? ZSET_SAME : ZSET_CHANGED;
}

static enum zset_outcome tree_add(struct ztree *z, struct slice member, double *score, unsigned conditions)
{
    struct zmember *n = ztree_find(z, member);
    if (!n && conditions & ZSET_XX)
        return ZSET_NOTHING;
    if (!n) {
        ztree_add(z, member, *score);
        return ZSET_ADDED;
    }
    enum zset_outcome what = decide(zmember_score(n), score, conditions);
    if (what == ZSET_CHANGED)
        ztree_move(z, n, *score);
    return what;
}

enum zset_outcome zset_add(struct obj *o, struct slice member, double *score, unsigned conditions)
{
    if (o->enc == ENC_SKIPLIST)
        return tree_add(tree_of(o), member, score, conditions);
    uint8_t *lp = o->v.ptr, *at = find_member(lp, member);
    if (!at && conditions & ZSET_XX)
        return ZSET_NOTHING;
    if (!at && (listpack_count(lp) / 2 >= (uint64_t)max_entries || too_long(member) ||
                !listpack_fits(lp, member.len + NUM_DOUBLE_MAX))) {
        to_tree(o);
        return tree_add(tree_of(o), member, score, conditions);
    }
    enum zset_outcome what = at ? decide(score_of(lp, at), score, conditions) : ZSET_ADDED;
    if (what == ZSET_CHANGED)
        listpack_delete(&lp, at, 2);
    if (what == ZSET_CHANGED || what == ZSET_ADDED)
        listpack_put(&lp, member, *score);
    o->v.ptr = lp;
    return what;
}

void zset_set(struct obj *o, struct slice member, double score)
{
    zset_add(o, member, &score, 0);
}

bool zset_del(struct obj *o, struct slice member)
{
    if (o->enc == ENC_SKIPLIST) {
        struct zmember *n = ztree_find(tree_of(o), member);
        if (n)
            ztree_remove(tree_of(o), n);
        return n != NULL;
    }
    uint8_t *lp = o->v.ptr, *at = find_member(lp, member);
    if (at)
        listpack_delete(&lp, at, 2);
    o->v.ptr = lp;
    return at != NULL;
}

/* --- ranks and ranges --- */

int64_t zset_rank(const struct obj *o, struct slice member, bool back, double *score)
{
    size_t rank = 0;
    if (o->enc == ENC_SKIPLIST) {
        const struct zmember *n = ztree_find(tree_of(o), member);
        if (!n)
            return -1;
        *score = zmember_score(n);
        rank = ztree_rank(tree_of(o), n);
    } else {
        const uint8_t *lp = o->v.ptr, *at = listpack_first(lp);
        for (; at && !listpack_eq(at, member); rank++)
            at = listpack_next(lp, listpack_next(lp, at));
        if (!at)
            return -1;
        *score = score_of(lp, at);
    }
    return (int64_t)(back ? zset_len(o) - 1 - rank : rank);
}

/* On which side of an edge a member is: < 0 before it, 0 on it, > 0 behind it. */
static int against_edge(double score, struct slice member, const struct zset_range *r, bool max)
{
    if (r->by == ZSET_BY_SCORE) {
        double edge = max ? r->max : r->min;
        return (score > edge) - (score < edge);
    }
    int inf = max ? r->max_inf : r->min_inf;
    return inf ? -inf : slice_cmp(member, max ? r->lmax : r->lmin);
}

static bool before_range(const void *arg, double score, struct slice member)
{
    const struct zset_range *r = arg;
    int side = against_edge(score, member, r, false);
    return r->min_excluded ? side <= 0 : side < 0;
}

static bool not_behind_range(const void *arg, double score, struct slice member)
{
    const struct zset_range *r = arg;
    int side = against_edge(score, member, r, true);
    return r->max_excluded ? side < 0 : side <= 0;
}

void zset_find_range(const struct obj *o, const struct zset_range *r, size_t *start, size_t *n)
{
    if (o->enc == ENC_SKIPLIST) {
        size_t end = ztree_leading(tree_of(o), not_behind_range, r);
        *start = ztree_leading(tree_of(o), before_range, r);
        *n = end > *start ? end - *start : 0;
        return;
    }
    struct zset_iter it;
    *start = *n = 0;
    for (zset_iter_begin(&it, o, 0, false); zset_iter_next(&it);)
        if (*n == 0 && before_range(r, it.score, it.member))
            ++*start;
        else if (not_behind_range(r, it.score, it.member))
            ++*n;
        else
            break;
}

void zset_delete_range(struct obj *o, size_t start, size_t n)
{
    if (n == 0)
        return;
    if (o->enc == ENC_SKIPLIST) {
        ztree_remove_range(tree_of(o), start, n);
        return;
    }
    uint8_t *lp = o->v.ptr;
    listpack_delete(&lp, listpack_seek(lp, (long)start * 2), n * 2);
    o->v.ptr = lp;
}

/* --- many members --- */

void zset_iter_begin(struct zset_iter *it, const struct obj *o, size_t rank, bool back)
{
    it->o = o;
    it->back = back;
    if (o->enc == ENC_SKIPLIST)
        it->place = ztree_at(tree_of(o), rank);
    else
        it->at = listpack_seek(o->v.ptr, (long)rank * 2);
}

bool zset_iter_next(struct zset_iter *it)
{
    if (it->o->enc == ENC_SKIPLIST) {
        const struct zmember *m = zplace_member(it->place);
        if (!m)
            return false;
        it->member = zmember_bytes(m);
        it->score = zmember_score(m);
        it->place = it->back ? zplace_prev(it->place) : zplace_next(it->place);
        return true;
    }
    const uint8_t *lp = it->o->v.ptr, *at = it->at;
    if (!at)
        return false;
    it->member = listpack_str(at, it->tmp);
    it->score = score_of(lp, at);
    if (!it->back)
        it->at = listpack_next(lp, listpack_next(lp, at));
    else if ((it->at = listpack_prev(lp, at)))
        it->at = listpack_prev(lp, it->at);
    return true;
}

struct scan {
    void (*fn)(void *arg, struct slice member, double score);
    void *arg;
};

static void scan_node(void *arg, void *node)
{
    const struct scan *s = arg;
    s->fn(s->arg, zmember_bytes(node), zmember_score(node));
}

uint64_t zset_scan(struct obj *o, uint64_t cursor, void (*fn)(void *arg, struct slice member, double score), void *arg)
{
    struct scan s = {fn, arg};
    if (o->enc == ENC_SKIPLIST)
        return ztree_scan(tree_of(o), cursor, scan_node, &s);
    struct zset_iter it;
    for (zset_iter_begin(&it, o, 0, false); zset_iter_next(&it);)
        fn(arg, it.member, it.score);
    return 0;
}

void zset_random(struct obj *o, struct rng *r, struct slice *member, double *score, char tmp[NUM_I64_MAX])
{
    if (o->enc == ENC_SKIPLIST) {
        const struct zmember *n = ztree_random(tree_of(o), r);
        *member = zmember_bytes(n);
        *score = zmember_score(n);
        return;
    }
    const uint8_t *at = listpack_seek(o->v.ptr, (long)rng_below(r, zset_len(o)) * 2);
    *member = listpack_str(at, tmp);
    *score = score_of(o->v.ptr, at);
}

/* --- what the keyspace and persistence need --- */

static void zset_free(uint8_t enc, void *ptr)
{
    if (enc == ENC_SKIPLIST)
        ztree_destroy(ptr);
    else
        mem_free(ptr);
}

static size_t zset_effort(uint8_t enc, const void *ptr)
{
    return enc == ENC_SKIPLIST ? ztree_len(ptr) : 1;
}

static size_t zset_size(const struct obj *o, int samples)
{
    return o->enc == ENC_LISTPACK ? mem_size(o->v.ptr) : ztree_bytes(tree_of(o), samples);
}

static int zset_copy(const struct obj *o, struct value *out, struct err *err)
{
    if (o->enc == ENC_LISTPACK) {
        *out = value_container(OBJ_ZSET, ENC_LISTPACK, listpack_dup(o->v.ptr));
        return 0;
    }
    struct ztree *z = ztree_create(zset_len(o));
    struct zset_iter it; /* from the highest score down: each lands at the front, where its way is shortest */
    for (zset_iter_begin(&it, o, zset_len(o) - 1, true); zset_iter_next(&it);)
        ztree_add(z, it.member, it.score);
    *out = value_container(OBJ_ZSET, ENC_SKIPLIST, z);
    return 0;
}

static uint8_t zset_rdb_type(const struct obj *o)
{
    return o->enc == ENC_LISTPACK ? RDB_ZSET_LISTPACK : RDB_ZSET_2;
}

static void zset_save(const struct obj *o, struct rdb_out *to)
{
    if (o->enc == ENC_LISTPACK) {
        rdb_put_str(to, slice_of(o->v.ptr, listpack_bytes(o->v.ptr)));
        return;
    }
    struct zset_iter it; /* highest first, for the same reason as in zset_copy */
    rdb_put_len(to, zset_len(o));
    for (zset_iter_begin(&it, o, zset_len(o) - 1, true); zset_iter_next(&it);) {
        rdb_put_str(to, it.member);
        rdb_put_double(to, it.score);
    }
}

/* Loads into a tree first: its table is how a member that comes twice is found, in linear time. The bytes stay a
 * listpack when our limits allow. */
static int load_listpack(struct rdb_in *from, struct obj *tmp, struct err *err)
{
    struct slice s = rdb_get_str(from);
    if (from->bad || !listpack_valid(s.p, s.len))
        return err_set(err, ERR_GENERIC, "a sorted set whose listpack is damaged");
    const uint8_t *lp = (const uint8_t *)s.p;
    size_t n = listpack_count(lp);
    if (n == 0 || n % 2)
        return err_set(err, ERR_GENERIC, "a sorted set that is empty or has a member without a score");
    bool small = n / 2 <= (uint64_t)max_entries;
    for (const uint8_t *m = listpack_first(lp), *at; m; m = listpack_next(lp, at)) {
        char mtmp[NUM_I64_MAX];
        double score;
        struct slice member = listpack_str(m, mtmp);
        at = listpack_next(lp, m);
        if (!score_at(at, &score))
            return err_set(err, ERR_GENERIC, "a sorted set with a score that is not a number");
        if (tree_add(tree_of(tmp), member, &score, ZSET_NX) != ZSET_ADDED)
            return err_set(err, ERR_GENERIC, "a sorted set with the same member twice");
        if (!slice_eq(zmember_bytes(zplace_member(ztree_at(tree_of(tmp), ztree_len(tree_of(tmp)) - 1))), member))
            return err_set(err, ERR_GENERIC, "a sorted set that is out of order");
        small &= !too_long(member);
    }
    if (small) {
        uint8_t *copy = listpack_dup(lp);
        ztree_destroy(tmp->v.ptr);
        tmp->v.ptr = copy;
        tmp->enc = ENC_LISTPACK;
    }
    return 0;
}

/* The form of a score before Redis 3: its length and its text, or one of three marks. */
static bool get_old_score(struct rdb_in *from, double *score)
{
    char text[256];
    uint8_t len = rdb_get_u8(from);
    *score = len == 255 ? -INFINITY : INFINITY;
    if (len >= 254)
        return true;
    if (len == 253)
        return false;
    for (int i = 0; i < len; i++)
        text[i] = (char)rdb_get_u8(from);
    return !from->bad && num_to_double(slice_of(text, len), score);
}

static int load_pairs(struct rdb_in *from, struct obj *tmp, bool binary, struct err *err)
{
    uint64_t n = rdb_get_len(from);
    if (n == 0 || !rdb_fits(from, n, binary ? 9 : 2))
        return err_set(err, ERR_GENERIC, "a sorted set that is empty or claims more members than there are bytes");
    if (n > (uint64_t)max_entries)
        to_tree(tmp);
    for (uint64_t i = 0; i < n; i++) {
        struct slice member = rdb_get_str(from); /* a score's get leaves it alone */
        double score = NAN;
        if (binary)
            score = rdb_get_double(from);
        else if (!get_old_score(from, &score))
            score = NAN;
        if (from->bad)
            return err_set(err, ERR_GENERIC, "a sorted set that ends too early");
        if (isnan(score))
            return err_set(err, ERR_GENERIC, "a sorted set with a score that is not a number");
        if (zset_add(tmp, member, &score, ZSET_NX) != ZSET_ADDED)
            return err_set(err, ERR_GENERIC, "a sorted set with the same member twice");
    }
    return 0;
}

static int zset_load(uint8_t rdb_type, struct rdb_in *from, struct value *out, struct err *err)
{
    struct obj tmp = {.type = OBJ_ZSET, .enc = ENC_SKIPLIST};
    int rc;
    if (rdb_type == RDB_ZSET_LISTPACK) {
        tmp.v.ptr = ztree_create(0);
        rc = load_listpack(from, &tmp, err);
    } else if (rdb_type == RDB_ZSET_2 || rdb_type == RDB_ZSET) {
        tmp.enc = ENC_LISTPACK;
        tmp.v.ptr = listpack_create(0);
        rc = load_pairs(from, &tmp, rdb_type == RDB_ZSET_2, err);
    } else {
        return err_set(err, ERR_GENERIC, "a sorted set in the form %u, which is of a Redis before 7.0", rdb_type);
    }
    if (rc < 0)
        zset_free(tmp.enc, tmp.v.ptr);
    else
        *out = value_container(OBJ_ZSET, (enum obj_enc)tmp.enc, tmp.v.ptr);
    return rc;
}

static void zset_digest(const struct obj *o, uint8_t sha[20])
{
    struct zset_iter it;
    for (zset_iter_begin(&it, o, 0, false); zset_iter_next(&it);) {
        uint8_t member[20] = {0};
        char tmp[NUM_DOUBLE_MAX];
        digest_mix(member, it.member);
        digest_mix(member, score_text(it.score, tmp));
        digest_xor_member(sha, member);
    }
}

static uint64_t zset_relocate(struct obj *o, uint64_t cursor)
{
    o->v.ptr = mem_relocated(o->v.ptr);
    return o->enc == ENC_SKIPLIST ? ztree_relocate(tree_of(o), cursor) : 0;
}

static uint64_t zset_prefetch(const struct obj *o, struct slice member)
{
    if (o->enc != ENC_SKIPLIST)
        return 0;
    const struct dict *d = ztree_table(tree_of(o));
    uint64_t hash = dict_hash(d, member);
    dict_prefetch(d, hash);
    return hash;
}

static void zset_prefetch_on(const struct obj *o, uint64_t hash)
{
    __builtin_prefetch(dict_guess(ztree_table(tree_of(o)), hash));
}

const struct type_ops zset_ops = {
    .name = "zset",
    .id = OBJ_ZSET,
    .free = zset_free,
    .size = zset_size,
    .copy = zset_copy,
    .rdb_type = zset_rdb_type,
    .save = zset_save,
    .load = zset_load,
    .digest = zset_digest,
    .effort = zset_effort,
    .relocate = zset_relocate,
    .prefetch = zset_prefetch,
    .prefetch_on = zset_prefetch_on,
};
