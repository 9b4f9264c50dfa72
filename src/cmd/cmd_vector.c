/* Vector sets: Redis 8's commands and VCREATE. Searching is in cmd_vsearch.c.
 *
 * Vectors are kept as they come, in 32-bit floats: NOQUANT, Q8 and BIN of VADD are accepted, so that programs written
 * for Redis 8 run, and change nothing but what VINFO would say; VCREATE, our own, refuses a QUANT that it would not
 * honour. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/cmd_vsearch.h"
#include "cmd/embed_text.h"
#include "cmd/families.h"
#include "cmd/vector_args.h"

static const char *const metric_names[] = {"COSINE", "L2", "IP"};

/* ---- looking up ---- */

struct vset *vset_read(struct call *c, struct slice key)
{
    bool wrong;
    struct obj *o = db_read_type(c->db, key, OBJ_VECTOR, &wrong);
    if (wrong)
        call_wrong_type(c);
    return o ? vset_of(o) : NULL;
}

/* NULL with *failed when the key holds another type (replied), NULL without when it is absent. */
static struct vset *vset_write(struct call *c, struct slice key, bool *failed)
{
    struct obj *o = db_write_type(c->db, key, OBJ_VECTOR, failed);
    if (*failed)
        call_wrong_type(c);
    return o ? vset_of(o) : NULL;
}

/* An effect that the set's file already holds is only answered. */
static bool passed_over(struct call *c, const struct vset *s)
{
    return s && (c->flags & CALL_REPLAY) && vset_has(s, c->lsn);
}

/* ---- VCREATE ---- */

struct create_args {
    struct vec_config config;
    struct slice model, uid;
    bool file;
};

static bool enum_option(struct slice v, const char *const *names, int n, int *to)
{
    for (int i = 0; i < n; i++)
        if (slice_is(v, names[i])) {
            *to = i;
            return true;
        }
    return false;
}

static bool create_option(struct call *c, struct slice name, struct slice v, struct create_args *a)
{
    static const char *const kinds[] = {"HNSW", "FLAT"}, *const stores[] = {"MEMORY", "FILE"};
    int64_t n;
    int e;
    if (slice_is(name, "dim") && num_to_i64(v, &n) && n >= 1 && n <= VEC_MAX_DIM)
        a->config.dim = (uint32_t)n;
    else if (slice_is(name, "metric") && enum_option(v, metric_names, 3, &e))
        a->config.metric = (enum vec_metric)e;
    else if (slice_is(name, "index") && enum_option(v, kinds, 2, &e))
        a->config.kind = (enum vec_kind)e;
    else if (slice_is(name, "m") && num_to_i64(v, &n) && n >= VEC_MIN_M && n <= VEC_MAX_M)
        a->config.m = (uint32_t)n;
    else if (slice_is(name, "ef") && num_to_i64(v, &n) && n >= 1 && n <= VEC_MAX_EF)
        a->config.ef_construction = (uint32_t)n;
    else if (slice_is(name, "storage") && enum_option(v, stores, 2, &e))
        a->file = e;
    else if (slice_is(name, "model") && v.len && v.len <= 256)
        a->model = v;
    else if (slice_is(name, "quant") && slice_is(v, "none"))
        a->config.quant = VEC_QUANT_NONE;
    else if (slice_is(name, "uid") && (c->flags & CALL_REPLAY) && v.len == VSET_UID)
        a->uid = v;
    else
        return false;
    return true;
}

/* The effect names the file, so that the replay finds it again. */
static void create_effect(struct call *c, const struct vset *s)
{
    struct slice argv[32];
    int n = 0;
    if (!*s->uid || c->argc > 28)
        return;
    for (; n < c->argc; n++)
        argv[n] = call_arg(c, n);
    argv[n++] = SLICE("UID");
    argv[n++] = slice_str(s->uid);
    call_effect(c, n, argv);
}

/* > VCREATE docs DIM 3 METRIC L2
 * < OK
 * > VADD docs VALUES 3 1 0 0 a
 * < (integer) 1
 * > VCREATE docs DIM 3
 * < (error) BUSYKEY the key exists already
 * > VCREATE other DIM 0
 * < (error) INVALID VCREATE does not take DIM 0
 */
static void vcreate(struct call *c)
{
    struct create_args a = {0};
    struct vset *s;
    struct err err;
    for (int i = 2; i < c->argc; i += 2)
        if (i + 1 >= c->argc || !create_option(c, call_arg(c, i), call_arg(c, i + 1), &a)) {
            struct slice v = i + 1 < c->argc ? call_arg(c, i + 1) : SLICE("");
            reply_errorf(c->reply, "INVALID VCREATE does not take %.*s %.*s",
                         (int)(call_arg(c, i).len < 64 ? call_arg(c, i).len : 64), call_arg(c, i).p,
                         (int)(v.len < 64 ? v.len : 64), v.p);
            return;
        }
    if (a.config.dim == 0) {
        reply_errorf(c->reply, "INVALID VCREATE needs DIM, the number of components");
        return;
    }
    if (db_write(c->db, call_arg(c, 1))) {
        reply_errorf(c->reply, "BUSYKEY the key exists already");
        return;
    }
    char uid[VSET_UID + 1] = "";
    if (a.uid.len)
        memcpy(uid, a.uid.p, VSET_UID);
    if (vset_create(&s, &a.config, a.file ? uid : NULL, a.model, &err) < 0) {
        call_err(c, &err);
        return;
    }
    db_add(c->db, call_arg(c, 1), value_container(OBJ_VECTOR, ENC_OWN, s));
    db_changed(c->db, call_arg(c, 1), NOTIFY_MODULE, "vcreate");
    create_effect(c, s);
    reply_ok(c->reply);
}

/* ---- VADD ---- */

struct add_args {
    struct vector_arg v;
    struct slice element, attr; /* attr.p NULL: not given */
    int64_t ef, m;
};

static bool add_parse(struct call *c, struct add_args *a)
{
    int i = 2;
    *a = (struct add_args){0};
    if (slice_is(call_arg(c, 2), "reduce")) {
        reply_errorf(c->reply, "INVALID REDUCE is not available; give vectors of the dimension that you want to keep");
        return false;
    }
    if (!vector_arg_parse(c, &i, &a->v))
        return false;
    bool ok = i < c->argc;
    if (ok)
        a->element = call_arg(c, i++);
    for (; ok && i < c->argc; i++) {
        struct slice o = call_arg(c, i);
        bool more = i + 1 < c->argc;
        if (slice_is(o, "cas") || slice_is(o, "noquant") || slice_is(o, "q8") || slice_is(o, "bin"))
            continue;
        if (slice_is(o, "setattr") && more)
            a->attr = call_arg(c, ++i);
        else if (slice_is(o, "ef") && more)
            ok = num_to_i64(call_arg(c, ++i), &a->ef) && a->ef >= 1 && a->ef <= VEC_MAX_EF;
        else if (slice_is(o, "m") && more)
            ok = num_to_i64(call_arg(c, ++i), &a->m) && a->m >= VEC_MIN_M && a->m <= VEC_MAX_M;
        else
            ok = false;
    }
    if (!ok) {
        mem_free(a->v.x);
        call_syntax(c);
    }
    return ok;
}

/* Adds to the set under the key, made when it is not there. Negative with err, else what vec_add says. */
static int add_vector(struct call *c, const struct add_args *a, const float *x, uint32_t dim, struct err *err)
{
    bool wrong;
    struct slice key = call_arg(c, 1);
    struct obj *o = db_write_type(c->db, key, OBJ_VECTOR, &wrong);
    struct vset *fresh = NULL;
    int rc;
    if (wrong)
        return err_set(err, ERR_WRONGTYPE, "Operation against a key holding the wrong kind of value");
    if (passed_over(c, o ? vset_of(o) : NULL))
        return VEC_UPDATED;
    if (!o) {
        struct vec_config config = {.dim = dim, .m = (uint32_t)a->m, .ef_construction = (uint32_t)a->ef};
        if ((rc = vset_create(&fresh, &config, NULL, SLICE(""), err)) < 0)
            return rc;
    }
    struct vset *s = fresh ? fresh : vset_of(o);
    if (vec_dim(s->index) != dim)
        return err_set(err, ERR_INVALID, "Vector dimension mismatch - got %u but set has %u", dim, vec_dim(s->index));
    if ((rc = vec_add(s->index, a->element, x, dim, a->attr, err)) < 0) {
        vset_destroy(fresh);
        return rc;
    }
    if (fresh)
        db_add(c->db, key, value_container(OBJ_VECTOR, ENC_OWN, fresh));
    db_changed(c->db, key, NOTIFY_MODULE, "vadd");
    return rc;
}

struct text_add {
    struct call *call;
    struct add_args a;
    struct embed_call *embed;
    bool parked;
};

static void text_added(void *arg, const float *x, uint32_t dim, const struct err *failed)
{
    struct text_add *t = arg;
    struct call *c = t->call;
    struct err err;
    int rc = failed ? failed->code : add_vector(c, &t->a, x, dim, &err);
    if (rc < 0) {
        call_err(c, failed ? failed : &err);
    } else {
        struct slice argv[] = {
            SLICE("VADD"), call_arg(c, 1),   SLICE("FP32"), slice_of((const char *)x, dim * sizeof *x),
            t->a.element,  SLICE("SETATTR"), t->a.attr};
        call_effect(c, t->a.attr.p ? 7 : 5, argv);
        reply_bool(c->reply, rc == VEC_ADDED);
    }
    if (t->parked) {
        call_resume(c);
        mem_free(t);
    }
}

static void text_cancelled(struct call *c, void *arg)
{
    embed_text_cancel(((struct text_add *)arg)->embed);
}

/* The model makes the vector; the effect is the vector, not the text. */
static void vadd_text(struct call *c, const struct add_args *a, const struct vset *s)
{
    const char *model = s ? s->model : NULL;
    uint32_t dim = s ? vec_dim(s->index) : embed_text_dim(NULL);
    struct text_add now = {.call = c, .a = *a};
    if (embed_text_is_local(model)) {
        embed_text(model, a->v.text, dim, text_added, &now);
        return;
    }
    if (c->flags & CALL_ATOMIC) {
        reply_errorf(c->reply, "STATE VADD with TEXT calls the model %s and cannot run inside MULTI or a script",
                     model);
        return;
    }
    struct text_add *t = mem_zero(sizeof *t);
    t->parked = true;
    t->call = call_park(c, text_cancelled, t);
    add_parse(t->call, &t->a); /* again: the slices of the parked call live on */
    struct embed_call *e = embed_text(model, t->a.v.text, dim, text_added, t);
    if (e) /* else it is over, and t is freed */
        t->embed = e;
}

/* > VADD points VALUES 2 1 1 pt:A
 * < (integer) 1
 * > VADD points VALUES 2 -1 -1 pt:B SETATTR '{"colour":"red"}'
 * < (integer) 1
 * > VADD points VALUES 3 1 2 3 pt:C
 * < (error) INVALID Vector dimension mismatch - got 3 but set has 2
 * > VADD notes TEXT "the cat sat on the mat" cat
 * < (integer) 1
 */
static void vadd(struct call *c)
{
    struct add_args a;
    struct err err;
    bool failed;
    struct vset *s = vset_write(c, call_arg(c, 1), &failed);
    if (failed || !add_parse(c, &a))
        return;
    if (!a.v.x) {
        vadd_text(c, &a, s);
        return;
    }
    int rc = add_vector(c, &a, a.v.x, a.v.dim, &err);
    if (rc < 0)
        call_err(c, &err);
    else
        reply_bool(c->reply, rc == VEC_ADDED);
    mem_free(a.v.x);
}

/* > VADD points VALUES 2 1 1 a
 * < (integer) 1
 * > VREM points a
 * < (integer) 1
 * > VREM points a
 * < (integer) 0
 */
static void vrem(struct call *c)
{
    bool failed;
    struct slice key = call_arg(c, 1);
    struct vset *s = vset_write(c, key, &failed);
    if (failed)
        return;
    bool gone = s && !passed_over(c, s) && vec_remove(s->index, call_arg(c, 2));
    reply_bool(c->reply, gone);
    if (!gone)
        return;
    bool last = vec_count(s->index) == 0 && !*s->uid;
    db_changed(c->db, key, NOTIFY_MODULE, "vrem");
    if (last &&
        db_delete(c->db, key)) /* as Redis: the last element takes the key along; a set on file was made on purpose */
        db_notify(c->db, NOTIFY_GENERIC, "del", key);
}

/* ---- reading ---- */

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

static void reply_floats(struct call *c, const float *x, uint32_t n)
{
    reply_array(c->reply, n);
    for (uint32_t i = 0; i < n; i++)
        reply_double(c->reply, (double)x[i]);
}

/* > VADD points VALUES 2 3 4 a
 * < (integer) 1
 * > VEMB points a
 * < 1) "3"
 * < 2) "4"
 */
static void vemb(struct call *c)
{
    bool raw = c->argc == 4 && slice_is(call_arg(c, 3), "raw");
    const float *stored;
    float norm;
    if (c->argc > 3 && !raw) {
        call_syntax(c);
        return;
    }
    struct vset *s = vset_read(c, call_arg(c, 1));
    if (!s || !vec_get_raw(s->index, call_arg(c, 2), &stored, &norm)) {
        if (c->reply->errors == 0)
            reply_nil(c->reply);
    } else if (raw) {
        reply_array(c->reply, 3);
        reply_status(c->reply, "fp32");
        reply_bulk(c->reply, slice_of((const char *)stored, vec_dim(s->index) * sizeof *stored));
        reply_double(c->reply, (double)norm);
    } else {
        float *x = mem_alloc(vec_dim(s->index) * sizeof *x);
        vec_get_vector(s->index, call_arg(c, 2), x);
        reply_floats(c, x, vec_dim(s->index));
        mem_free(x);
    }
}

/* Redis 8's fields first, then ours.
 *
 * > VADD points VALUES 2 1 1 a
 * < (integer) 1
 * > VINFO points
 * <  1) "quant-type"
 * <  2) "f32"
 * <  3) "hnsw-m"
 * <  4) (integer) 16
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
    reply_map(r, 19);
    reply_field_str(r, "quant-type", "f32");
    reply_field_int(r, "hnsw-m", st.config.m);
    reply_field_int(r, "vector-dim", st.config.dim);
    reply_field_int(r, "projection-input-dim", 0);
    reply_field_int(r, "size", st.count);
    reply_field_int(r, "max-level", st.max_level < 0 ? 0 : st.max_level);
    reply_field_int(r, "attributes-count", st.with_attr);
    reply_field_str(r, "vset-uid", *s->uid ? s->uid : "0");
    reply_field_int(r, "hnsw-max-node-uid", st.node_uid);
    reply_field_str(r, "metric", metric_names[st.config.metric]);
    reply_field_str(r, "index", st.config.kind == VEC_FLAT ? "FLAT" : "HNSW");
    reply_field_int(r, "ef-construction", st.config.ef_construction);
    reply_field_str(r, "storage", *s->uid ? "FILE" : "MEMORY");
    reply_field_str(r, "model", s->model ? s->model : "builtin/hash");
    reply_field_int(r, "memory-bytes", st.memory);
    reply_field_int(r, "file-bytes", st.on_file);
    reply_field_int(r, "dirty-bytes", st.dirty);
    reply_field_int(r, "deleted", st.deleted);
    reply_field_int(r, "checkpoint-lsn", st.lsn);
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

static void vsetattr(struct call *c)
{
    struct err err;
    bool failed;
    struct slice key = call_arg(c, 1);
    struct vset *s = vset_write(c, key, &failed);
    if (failed)
        return;
    int rc = s && !passed_over(c, s) ? vec_set_attr(s->index, call_arg(c, 2), call_arg(c, 3), &err) : 0;
    if (rc < 0) {
        call_err(c, &err);
        return;
    }
    if (rc > 0)
        db_changed(c->db, key, NOTIFY_MODULE, "vsetattr");
    reply_bool(c->reply, rc > 0);
}

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

#define SYNTAX_VECTOR "(FP32 vector|VALUES num vector...|TEXT text)"
#define SYNTAX_SEARCH                                                                                                  \
    " [WITHSCORES] [WITHATTRIBS] [COUNT count] [EPSILON delta] [EF search-exploration-factor] [FILTER expression] "    \
    "[FILTER-EF max-filtering-effort] [TRUTH] [NOTHREAD]"
#define KEY1 .first = 1, .last = 1, .step = 1, .acl = ACL_VECTOR

static const struct cmd rows[] = {
    {.name = "vcreate",
     .run = vcreate,
     .arity = -4,
     .flags = CMD_WRITE | CMD_DENYOOM,
     KEY1,
     .key_spec = "OW insert",
     .syntax = "key DIM dim [METRIC (COSINE|L2|IP)] [QUANT NONE] [INDEX (HNSW|FLAT)] [M numlinks] [EF "
               "build-exploration-factor] [MODEL embedding-model] [STORAGE (MEMORY|FILE)]",
     .summary = "Makes an empty vector set with its own metric, index and storage.",
     .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "vadd",
     .run = vadd,
     .arity = -5,
     .flags = CMD_WRITE | CMD_DENYOOM,
     KEY1,
     .key_spec = "RW update",
     .syntax =
         "key " SYNTAX_VECTOR " element [CAS] [NOQUANT|Q8|BIN] [EF build-exploration-factor] [SETATTR attributes] "
         "[M numlinks]",
     .summary = "Adds an element with its vector, or gives it another one.",
     .since = "8.0.0",
     .complexity = "O(log N) where N is the elements"},
    {.name = "vrem",
     .run = vrem,
     .arity = 3,
     .flags = CMD_WRITE,
     KEY1,
     .key_spec = "RW delete",
     .syntax = "key element",
     .summary = "Removes an element.",
     .since = "8.0.0",
     .complexity = "O(log N) where N is the elements"},
    {.name = "vsim",
     .run = vsim,
     .arity = -4,
     .flags = CMD_READONLY | CMD_BLOCKING,
     KEY1,
     .syntax = "key (ELE element|FP32 vector|VALUES num vector...|TEXT text)" SYNTAX_SEARCH,
     .summary = "The elements most similar to a vector.",
     .since = "8.0.0",
     .complexity = "O(log N) where N is the elements"},
    {.name = "vsearch",
     .run = vsearch,
     .arity = -4,
     .flags = CMD_READONLY | CMD_BLOCKING,
     KEY1,
     .syntax = "key (ELE element|FP32 vector|VALUES num vector...|TEXT text)" SYNTAX_SEARCH " [RADIUS radius]",
     .summary = "VSIM with more ways to ask.",
     .since = "1.0.0",
     .complexity = "O(log N) where N is the elements"},
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
    {.name = "vemb",
     .run = vemb,
     .arity = -3,
     .flags = CMD_READONLY | CMD_FAST,
     KEY1,
     .syntax = "key element [RAW]",
     .summary = "The vector of an element.",
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
    {.name = "vgetattr",
     .run = vgetattr,
     .arity = 3,
     .flags = CMD_READONLY | CMD_FAST,
     KEY1,
     .syntax = "key element",
     .summary = "The attributes of an element.",
     .since = "8.0.0",
     .complexity = "O(1)"},
    {.name = "vsetattr",
     .run = vsetattr,
     .arity = 4,
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
     KEY1,
     .key_spec = "RW update",
     .syntax = "key element json",
     .summary = "Gives an element other attributes; empty removes them.",
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
};

const struct cmd_family vector_family = CMD_FAMILY("vector", rows);
