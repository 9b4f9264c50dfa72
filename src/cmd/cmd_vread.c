/* Vector sets: what is known of a set and of one element, and going through the elements. Nothing here searches.
 *
 * VRANGE and a large VRANDMEMBER look at every name, on the loop: some 50 ns each, which for a set of a million is what
 * a KEYS of as many keys costs. VRANGE keeps the `count` smallest names only, so a page needs memory for itself alone.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/cmd_vsearch.h"
#include "cmd/families.h"
#include "cmd/vector_args.h"
#include "store/vset_optimize.h"
#include "store/vset_redis.h"
#include "text/text.h"

struct vset *vset_read(struct call *c, struct slice key)
{
    bool wrong;
    struct obj *o = db_read_type(c->db, key, OBJ_VECTOR, &wrong);
    if (wrong)
        call_wrong_type(c);
    return o ? vset_of(o) : NULL;
}

/* ---- the set ---- */

/* > VADD points VALUES 2 1 1 a
 * < (integer) 1
 * > VCARD points
 * < (integer) 1
 * > VDIM points
 * < (integer) 2
 * > VCARD nothing
 * < (integer) 0
 * > VDIM nothing
 * < (error) ERR key does not exist
 */
static void vcard(struct call *c)
{
    struct vset *s = vset_read(c, call_arg(c, 1));
    if (s || c->reply->errors == 0)
        reply_int(c->reply, s ? (int64_t)vec_count(s->index) : 0);
}

static void vdim(struct call *c)
{
    struct vset *s = vset_read(c, call_arg(c, 1));
    if (s)
        reply_int(c->reply, vec_dim(s->index));
    else if (c->reply->errors == 0)
        reply_errorf(c->reply, "ERR key does not exist");
}

/* Redis 8's fields first, then ours.
 *
 * > VADD points VALUES 2 1 1 a NOQUANT
 * < (integer) 1
 * > VINFO points
 * <  1) "quant-type"
 * <  2) "f32"
 * <  3) "hnsw-m"
 * <  4) (integer) 16
 * <  5) "vector-dim"
 * <  6) (integer) 2
 * <  7) "projection-input-dim"
 * <  8) (integer) 0
 * <  9) "size"
 * < 10) (integer) 1
 * < 11) "max-level"
 * < 12) (integer) *
 * < 13) "attributes-count"
 * < 14) (integer) 0
 * < 15) "vset-uid"
 * < 16) (integer) *
 * < 17) "hnsw-max-node-uid"
 * < 18) (integer) 1
 * < ...
 */
static void vinfo(struct call *c)
{
    struct vset *s = vset_read(c, call_arg(c, 1));
    struct reply *r = c->reply;
    struct vec_stats st;
    if (!s) {
        if (r->errors == 0)
            reply_nil_array(r);
        return;
    }
    vec_stats(s->index, &st);
    reply_map(r, 31);
    reply_field_str(r, "quant-type", vset_quant_name(s));
    reply_field_int(r, "hnsw-m", st.config.m);
    reply_field_int(r, "vector-dim", st.config.dim);
    reply_field_int(r, "projection-input-dim", s->projection ? projection_in(s->projection) : 0);
    reply_field_int(r, "size", (int64_t)st.count);
    reply_field_int(r, "max-level", st.max_level < 0 ? 0 : st.max_level);
    reply_field_int(r, "attributes-count", (int64_t)st.with_attr);
    reply_field_int(r, "vset-uid", (int64_t)s->id);
    reply_field_int(r, "hnsw-max-node-uid", (int64_t)st.node_uid);
    reply_field_str(r, "metric", vector_metric_names[st.config.metric]);
    reply_field_str(r, "index", st.config.kind == VEC_FLAT ? "FLAT" : "HNSW");
    reply_field_int(r, "ef-construction", st.config.ef_construction);
    reply_field_str(r, "storage", *s->uid ? "FILE" : "MEMORY");
    reply_field_str(r, "file", s->uid);
    reply_field_str(r, "model", s->model ? s->model : "builtin/hash");
    reply_field_int(r, "memory-bytes", (int64_t)st.memory);
    reply_field_int(r, "text-bytes", s->text ? (int64_t)text_bytes(s->text) : 0);
    reply_field_int(r, "file-bytes", (int64_t)st.on_file);
    reply_field_int(r, "dirty-bytes", (int64_t)st.dirty);
    reply_field_int(r, "budget-bytes", (int64_t)st.config.budget);
    reply_field_int(r, "resident-bytes", (int64_t)st.resident);
    reply_field_int(r, "reads", (int64_t)st.reads);
    reply_field_int(r, "deleted", (int64_t)st.deleted);
    reply_field_int(r, "levels", st.max_level + 1);
    reply_str(r, "mean-degree");
    reply_double(r, vec_mean_degree(s->index));
    reply_field_int(r, "filter-columns", (int64_t)st.columns);
    reply_field_int(r, "filter-column-bytes", (int64_t)st.column_bytes);
    reply_field_int(r, "checkpoint-lsn", (int64_t)st.lsn);
    reply_field_int(r, "optimizing", s->optimize != NULL);
    reply_field_int(r, "optimize-progress", vset_optimize_percent(s));
    reply_field_int(r, "optimize-last-ms", s->optimize_ms);
}

/* ---- one element ---- */

/* > VADD points VALUES 2 1 1 a
 * < (integer) 1
 * > VISMEMBER points a
 * < (integer) 1
 * > VISMEMBER points b
 * < (integer) 0
 */
static void vismember(struct call *c)
{
    struct vset *s = vset_read(c, call_arg(c, 1));
    if (s || c->reply->errors == 0)
        reply_bool(c->reply, s && vec_contains(s->index, call_arg(c, 2)));
}

/* > VADD points VALUES 2 1 1 a SETATTR '{"year":1984}'
 * < (integer) 1
 * > VGETATTR points a
 * < "{\"year\":1984}"
 * > VSETATTR points a ""
 * < (integer) 1
 * > VGETATTR points a
 * < (nil)
 */
static void vgetattr(struct call *c)
{
    struct slice attr;
    struct vset *s = vset_read(c, call_arg(c, 1));
    if (s && vec_get_attr(s->index, call_arg(c, 2), &attr) && attr.len)
        reply_bulk(c->reply, attr);
    else if (c->reply->errors == 0)
        reply_nil(c->reply);
}

/* In the form that Redis keeps such a vector in, made from ours. */
static void reply_raw_vector(struct call *c, const struct vset *s)
{
    const char *name = vset_quant_name(s);
    uint32_t dim = vec_dim(s->index);
    bool q8 = strcmp(name, "int8") == 0, bin = strcmp(name, "bin") == 0;
    float norm, range, *x = mem_alloc(dim * sizeof *x);
    size_t bytes = q8 ? dim : bin ? redis_bin_bytes(dim) : dim * sizeof *x;
    void *raw = mem_alloc(bytes);
    vec_get_raw(s->index, call_arg(c, 2), x, &norm);
    if (q8)
        redis_q8(x, dim, raw, &range);
    else if (bin)
        redis_bin(x, dim, raw);
    else
        memcpy(raw, x, bytes);
    reply_array(c->reply, q8 ? 4 : 3);
    reply_status(c->reply, q8 || bin ? name : "f32");
    reply_bulk(c->reply, slice_of(raw, bytes));
    reply_double(c->reply, norm > 0 ? (double)norm : 1); /* of nothing but zeros nothing was taken out */
    if (q8)
        reply_double(c->reply, (double)range);
    mem_free(raw);
    mem_free(x);
}

static void reply_vector(struct call *c, const struct vset *s)
{
    uint32_t dim = vec_dim(s->index);
    float *x = mem_alloc(dim * sizeof *x);
    vec_get_vector(s->index, call_arg(c, 2), x);
    reply_array(c->reply, dim);
    for (uint32_t i = 0; i < dim; i++)
        reply_double(c->reply, (double)x[i]);
    mem_free(x);
}

/* RAW: the quantisation's name as in VINFO, bytes in Redis's form of it, the vector's length before it was normalised,
 * and of int8 the range that its bytes span.
 *
 * > VADD points VALUES 2 3 4 a NOQUANT
 * < (integer) 1
 * > VEMB points a
 * < 1) "3"
 * < 2) "4"
 * > VEMB points a RAW
 * < 1) f32
 * < ...
 * < 3) "5"
 * > VEMB points nobody
 * < (nil)
 */
static void vemb(struct call *c)
{
    for (int i = 3; i < c->argc; i++)
        if (!slice_is(call_arg(c, i), "raw")) {
            reply_errorf(c->reply, "ERR invalid option");
            return;
        }
    struct vset *s = vset_read(c, call_arg(c, 1));
    if (s && vec_contains(s->index, call_arg(c, 2)))
        (c->argc > 3 ? reply_raw_vector : reply_vector)(c, s);
    else if (c->reply->errors == 0)
        reply_nil(c->reply);
}

/* ---- VLINKS ---- */

struct links {
    struct link {
        int level;
        struct slice name; /* borrowed from the index */
        double score;
    } * all;
    size_t n, cap;
};

static void on_link(void *arg, int level, struct slice name, double score)
{
    struct links *l = arg;
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 64;
        l->all = mem_realloc(l->all, l->cap * sizeof *l->all);
    }
    l->all[l->n++] = (struct link){level, name, score};
}

/* The links of one level begin at all[i]; returns where the next level's do. */
static size_t reply_level(struct reply *r, const struct links *l, size_t i, int level, bool scores)
{
    size_t end = i;
    while (end < l->n && l->all[end].level == level)
        end++;
    if (scores)
        reply_map(r, end - i);
    else
        reply_array(r, end - i);
    for (; i < end; i++) {
        reply_bulk(r, l->all[i].name);
        if (scores)
            reply_double(r, l->all[i].score);
    }
    return end;
}

/* The element's neighbours in the graph, an array a level, the highest first.
 *
 * > VADD points VALUES 2 1 0 a
 * < (integer) 1
 * > VADD points VALUES 2 1 0 b
 * < (integer) 1
 * > VLINKS points nobody
 * < (nil)
 * > VLINKS points a SCORES
 * < (error) ERR wrong number of arguments for 'vlinks' command
 */
static void vlinks(struct call *c)
{
    bool scores = c->argc == 4;
    struct links l = {0};
    int levels = 0;
    size_t at = 0;
    if (c->argc > 4 || (scores && !slice_is(call_arg(c, 3), "withscores"))) {
        reply_errorf(c->reply, "ERR wrong number of arguments for 'vlinks' command");
        return;
    }
    struct vset *s = vset_read(c, call_arg(c, 1));
    if (s && vec_links(s->index, call_arg(c, 2), &levels, on_link, &l)) {
        reply_array(c->reply, (size_t)levels);
        for (int level = levels - 1; level >= 0; level--)
            at = reply_level(c->reply, &l, at, level, scores);
    } else if (c->reply->errors == 0) {
        reply_nil(c->reply);
    }
    mem_free(l.all);
}

/* ---- VRANDMEMBER ---- */

#define REPEATS_MAX ((int64_t)1 << 26) /* more in one answer are a mistake, and would be gigabytes */

static void random_with_repeats(struct reply *r, struct vset *s, int64_t n)
{
    struct slice name;
    size_t place = reply_defer(r), got = 0;
    while ((int64_t)got < n && vec_random(s->index, &name)) {
        reply_bulk(r, name);
        got++;
    }
    reply_defer_array(r, place, got);
}

/* Selection sampling (Knuth, volume 2, 3.4.2, algorithm S): every subset of n is as likely as any other. */
static void random_by_scan(struct reply *r, struct vset *s, uint64_t n, struct rng *rng)
{
    struct slice name, attr;
    uint32_t cursor = 0;
    uint64_t left = vec_count(s->index), wanted = n;
    size_t place = reply_defer(r), got = 0;
    while (wanted && left && vec_next(s->index, &cursor, &name, &attr))
        if (rng_below(rng, left--) < wanted) {
            reply_bulk(r, name);
            got++;
            wanted--;
        }
    reply_defer_array(r, place, got);
}

static int by_address(const void *a, const void *b)
{
    const struct slice *x = a, *y = b;
    return (x->p > y->p) - (x->p < y->p);
}

/* Few of many: drawn until n differ. A name lies at one address, so addresses tell elements apart. */
static void random_by_drawing(struct reply *r, struct vset *s, size_t n, struct rng *rng)
{
    struct slice *names = mem_alloc(n * sizeof *names);
    size_t have = 0, distinct;
    while (have < n) {
        while (have < n && vec_random(s->index, &names[have]))
            have++;
        if (have < n)
            break; /* the index is damaged: what there is */
        qsort(names, n, sizeof *names, by_address);
        distinct = 1;
        for (size_t i = 1; i < n; i++)
            if (names[i].p != names[distinct - 1].p)
                names[distinct++] = names[i];
        have = distinct;
    }
    reply_array(r, have);
    for (; have; have--) {
        size_t i = (size_t)rng_below(rng, have);
        reply_bulk(r, names[i]);
        names[i] = names[have - 1];
    }
    mem_free(names);
}

/* > VADD points VALUES 2 1 0 a
 * < (integer) 1
 * > VRANDMEMBER points
 * < "a"
 * > VRANDMEMBER points 5
 * < 1) "a"
 * > VRANDMEMBER points -2
 * < 1) "a"
 * < 2) "a"
 * > VRANDMEMBER nothing
 * < (nil)
 * > VRANDMEMBER nothing 3
 * < (empty array)
 */
static void vrandmember(struct call *c)
{
    int64_t n = 0;
    struct slice name;
    struct reply *r = c->reply;
    struct rng *rng = &c->db->store->rng;
    if (c->argc > 3) {
        reply_errorf(r, "ERR wrong number of arguments for 'vrandmember' command");
        return;
    }
    if (c->argc == 3 && !num_to_i64(call_arg(c, 2), &n)) {
        reply_errorf(r, "ERR COUNT value is not an integer");
        return;
    }
    if (n < -REPEATS_MAX) {
        reply_errorf(r, "ERR COUNT value is out of range");
        return;
    }
    if (c->argc == 3 && n == 0) { /* as Redis: whatever is under the key */
        reply_array(r, 0);
        return;
    }
    struct vset *s = vset_read(c, call_arg(c, 1));
    uint64_t count = s ? vec_count(s->index) : 0;
    if (r->errors)
        return;
    if (c->argc == 2 && s && vec_random(s->index, &name))
        reply_bulk(r, name);
    else if (c->argc == 2)
        reply_nil(r);
    else if (!count)
        reply_array(r, 0);
    else if (n < 0)
        random_with_repeats(r, s, -n);
    else if ((uint64_t)n > count / 5)
        random_by_scan(r, s, (uint64_t)n, rng);
    else
        random_by_drawing(r, s, (size_t)n, rng);
}

/* ---- VRANGE ---- */

struct edge {
    struct slice s;
    bool open;     /* the name itself does not belong to the range */
    bool infinite; /* `-` as the start, `+` as the end */
};

struct page {
    struct slice *names; /* a heap with the greatest on top once it is full and bounded */
    size_t n, cap, most; /* most: how many are wanted */
    struct edge from, to;
};

/* False: replied. first: it is the start of the range. */
static bool parse_edge(struct call *c, int i, bool first, struct edge *e)
{
    struct slice s = call_arg(c, i);
    *e = (struct edge){0};
    if (s.len == 1 && (s.p[0] == '-' || s.p[0] == '+')) {
        e->infinite = true;
        if ((s.p[0] == '-') == first)
            return true;
        reply_errorf(c->reply, "ERR '-' can only be used as first argument, '+' only as second");
        return false;
    }
    if (s.len < 2 || (s.p[0] != '[' && s.p[0] != '(')) {
        reply_errorf(c->reply, "ERR invalid %s range format", first ? "start" : "end");
        return false;
    }
    e->open = s.p[0] == '(';
    e->s = slice_of(s.p + 1, s.len - 1);
    return true;
}

static bool in_page(const struct page *p, struct slice name)
{
    int low = p->from.infinite ? 1 : slice_cmp(name, p->from.s), high = p->to.infinite ? -1 : slice_cmp(name, p->to.s);
    return (low > 0 || (low == 0 && !p->from.open)) && (high < 0 || (high == 0 && !p->to.open));
}

static void sift_down(struct slice *h, size_t n, size_t i)
{
    struct slice x = h[i];
    for (size_t kid; (kid = 2 * i + 1) < n; i = kid) {
        if (kid + 1 < n && slice_cmp(h[kid], h[kid + 1]) < 0)
            kid++;
        if (slice_cmp(x, h[kid]) >= 0)
            break;
        h[i] = h[kid];
    }
    h[i] = x;
}

static void page_add(struct page *p, struct slice name)
{
    if (p->n == p->most) {
        if (slice_cmp(name, p->names[0]) < 0) {
            p->names[0] = name;
            sift_down(p->names, p->n, 0);
        }
        return;
    }
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 64;
        p->names = mem_realloc(p->names, p->cap * sizeof *p->names);
    }
    p->names[p->n++] = name;
    if (p->n == p->most)
        for (size_t i = p->n / 2; i-- > 0;)
            sift_down(p->names, p->n, i);
}

static int by_name(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* The elements between two names, in the order of their bytes, at most count. Nothing is kept between calls: an
 * iteration goes on behind the last name it was given, and sees each element that is there all the time once.
 *
 * > VADD points VALUES 2 1 0 apple
 * < (integer) 1
 * > VADD points VALUES 2 1 0 pear
 * < (integer) 1
 * > VADD points VALUES 2 1 0 fig
 * < (integer) 1
 * > VRANGE points - + 2
 * < 1) "apple"
 * < 2) "fig"
 * > VRANGE points (fig + 2
 * < 1) "pear"
 * > VRANGE points [b [g -1
 * < 1) "fig"
 * > VRANGE points b +
 * < (error) ERR invalid start range format
 */
static void vrange(struct call *c)
{
    struct page p = {.most = SIZE_MAX};
    struct slice name, attr;
    uint32_t cursor = 0;
    int64_t count = -1;
    if (c->argc > 5) {
        reply_errorf(c->reply, "ERR wrong number of arguments for 'vrange' command");
        return;
    }
    if (!parse_edge(c, 2, true, &p.from) || !parse_edge(c, 3, false, &p.to))
        return;
    if (c->argc == 5 && !num_to_i64(call_arg(c, 4), &count)) {
        reply_errorf(c->reply, "ERR invalid COUNT value");
        return;
    }
    struct vset *s = vset_read(c, call_arg(c, 1));
    if (c->reply->errors)
        return;
    if (count >= 0)
        p.most = (size_t)count;
    while (s && p.most && vec_next(s->index, &cursor, &name, &attr))
        if (in_page(&p, name))
            page_add(&p, name);
    if (p.n)
        qsort(p.names, p.n, sizeof *p.names, by_name);
    reply_array(c->reply, p.n);
    for (size_t i = 0; i < p.n; i++)
        reply_bulk(c->reply, p.names[i]);
    mem_free(p.names);
}

#define KEY1 .first = 1, .last = 1, .step = 1, .acl = ACL_VECTOR

static const struct cmd rows[] = {
    {.name = "vcard",
     .run = vcard,
     .arity = 2,
     .flags = CMD_READONLY | CMD_FAST,
     KEY1,
     .key_spec = "RO",
     .syntax = "key",
     .summary = "How many elements a vector set has.",
     .since = "8.0.0",
     .complexity = "O(1)"},
    {.name = "vdim",
     .run = vdim,
     .arity = 2,
     .flags = CMD_READONLY | CMD_FAST,
     KEY1,
     .key_spec = "RO",
     .syntax = "key",
     .summary = "How many components its vectors have.",
     .since = "8.0.0",
     .complexity = "O(1)"},
    {.name = "vinfo",
     .run = vinfo,
     .arity = 2,
     .flags = CMD_READONLY | CMD_FAST,
     KEY1,
     .key_spec = "RO",
     .syntax = "key",
     .summary = "What a vector set is made of.",
     .since = "8.0.0",
     .complexity = "O(1)"},
    {.name = "vismember",
     .run = vismember,
     .arity = 3,
     .flags = CMD_READONLY | CMD_FAST,
     KEY1,
     .key_spec = "RO",
     .syntax = "key element",
     .summary = "Whether an element is there.",
     .since = "8.0.0",
     .complexity = "O(1)"},
    {.name = "vgetattr",
     .run = vgetattr,
     .arity = 3,
     .flags = CMD_READONLY | CMD_FAST,
     KEY1,
     .syntax = "key element",
     .summary = "The attributes of an element.",
     .since = "8.0.0",
     .complexity = "O(1)"},
    {.name = "vemb",
     .run = vemb,
     .arity = -3,
     .flags = CMD_READONLY | CMD_FAST,
     KEY1,
     .syntax = "key element [RAW]",
     .summary = "The vector of an element.",
     .since = "8.0.0",
     .complexity = "O(1)"},
    {.name = "vlinks",
     .run = vlinks,
     .arity = -3,
     .flags = CMD_READONLY | CMD_FAST,
     KEY1,
     .syntax = "key element [WITHSCORES]",
     .summary = "The neighbours of an element in the graph, level by level.",
     .since = "8.0.0",
     .complexity = "O(1)"},
    {.name = "vrandmember",
     .run = vrandmember,
     .arity = -2,
     .flags = CMD_READONLY,
     KEY1,
     .syntax = "key [count]",
     .summary = "Random elements of a vector set.",
     .since = "8.0.0",
     .complexity = "O(N) where N is the count; the elements when more than a fifth of them are asked for"},
    {.name = "vrange",
     .run = vrange,
     .arity = -4,
     .flags = CMD_READONLY,
     KEY1,
     .syntax = "key start end [count]",
     .summary = "The elements between two names, in the order of their bytes.",
     .since = "8.4.0",
     .complexity = "O(N*log(M)) where N is the elements and M the count"},
};

const struct cmd_family vector_read_family = CMD_FAMILY("vector", rows);
