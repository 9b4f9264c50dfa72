/* Vector sets: the commands that write, VCREATE, VADD, VREM and VSETATTR. Reading elements is in cmd_vread.c, searching
 * in cmd_vsearch.c.
 *
 * A set has Q8 codes unless it is told otherwise. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/cmd_vsearch.h"
#include "cmd/embed_text.h"
#include "cmd/families.h"
#include "cmd/vector_args.h"
#include "store/vset_text.h"

/* ---- looking up ---- */

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

static const char *const quant_names[] = {"NONE", "Q8", "F16", "BIN"}; /* by enum vec_quant */

struct create_args {
    struct vec_config config;
    struct slice model, uid, text_attr, language;
    uint32_t reduce; /* 0: no */
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
    uint64_t bytes;
    int64_t n;
    int e;
    if (slice_is(name, "dim") && num_to_i64(v, &n) && n >= 1 && n <= VEC_MAX_DIM)
        a->config.dim = (uint32_t)n;
    else if (slice_is(name, "reduce") && num_to_i64(v, &n) && n >= 1 && n <= VEC_MAX_DIM)
        a->reduce = (uint32_t)n;
    else if (slice_is(name, "metric") && enum_option(v, vector_metric_names, 3, &e))
        a->config.metric = (enum vec_metric)e;
    else if (slice_is(name, "index") && enum_option(v, kinds, 2, &e))
        a->config.kind = (enum vec_kind)e;
    else if (slice_is(name, "m") && num_to_i64(v, &n) && n >= VEC_MIN_M && n <= VEC_MAX_M)
        a->config.m = (uint32_t)n;
    else if (slice_is(name, "ef") && num_to_i64(v, &n) && n >= 1 && n <= VEC_MAX_EF)
        a->config.ef_construction = (uint32_t)n;
    else if (slice_is(name, "budget") && num_to_bytes(v, &bytes) && bytes > 0)
        a->config.budget = bytes;
    else if (slice_is(name, "storage") && enum_option(v, stores, 2, &e))
        a->file = e;
    else if (slice_is(name, "textattr") && v.len && v.len <= 256)
        a->text_attr = v;
    else if (slice_is(name, "language") && v.len && v.len <= 32)
        a->language = v;
    else if (slice_is(name, "model") && v.len && v.len <= 256)
        a->model = v;
    else if (slice_is(name, "quant") && enum_option(v, quant_names, 4, &e))
        a->config.quant = (enum vec_quant)e;
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
 * > VCREATE short DIM 300 REDUCE 100
 * < OK
 * > VDIM short
 * < (integer) 100
 * > VCREATE other DIM 0
 * < (error) INVALID VCREATE does not take DIM 0
 */
static void vcreate(struct call *c)
{
    struct create_args a = {.config.quant = VEC_QUANT_Q8};
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
    if (a.config.budget && !a.file) {
        reply_errorf(c->reply, "INVALID BUDGET goes with STORAGE FILE");
        return;
    }
    if (db_write(c->db, call_arg(c, 1))) {
        reply_errorf(c->reply, "BUSYKEY the key exists already");
        return;
    }
    uint32_t in = a.config.dim;
    if (a.reduce)
        a.config.dim = a.reduce;
    char uid[VSET_UID + 1] = "";
    if (a.uid.len)
        memcpy(uid, a.uid.p, VSET_UID);
    if (vset_create(&s, &a.config, a.file ? uid : NULL, a.model, &err) < 0) {
        call_err(c, &err);
        return;
    }
    vset_set_text(s, a.text_attr, a.language);
    if (a.reduce)
        vset_reduce(s, in);
    db_add(c->db, call_arg(c, 1), value_container(OBJ_VECTOR, ENC_OWN, s));
    db_changed(c->db, call_arg(c, 1), NOTIFY_MODULE, "vcreate");
    create_effect(c, s);
    reply_ok(c->reply);
}

/* ---- VADD ---- */

struct add_args {
    struct vector_arg v;
    struct slice element, attr; /* attr.p NULL: not given */
    int64_t ef, m, reduce;
    enum vec_quant quant;
    bool quantised;          /* quant was asked for, */
    struct slice quant_word; /* by this word */
};

/* How VADD's word for a quantisation is kept. False: it is no such word. */
static bool quant_word(struct slice word, enum vec_quant *q)
{
    if (!slice_is(word, "noquant") && !slice_is(word, "q8") && !slice_is(word, "bin"))
        return false;
    *q = slice_is(word, "noquant") ? VEC_QUANT_NONE : slice_is(word, "bin") ? VEC_QUANT_BIN : VEC_QUANT_Q8;
    return true;
}

/* The option at argv[*i] with its value; false: replied. */
static bool add_option(struct call *c, int *i, struct add_args *a)
{
    struct slice o = call_arg(c, *i);
    bool more = *i + 1 < c->argc;
    if (slice_is(o, "cas"))
        return true; /* nothing to do: it is always like that here */
    if (quant_word(o, &a->quant)) {
        a->quantised = true;
        a->quant_word = o;
        return true;
    }
    if (more && slice_is(o, "setattr")) {
        a->attr = call_arg(c, ++*i);
        return true;
    }
    if (more && slice_is(o, "ef")) {
        if (num_to_i64(call_arg(c, ++*i), &a->ef) && a->ef >= 1 && a->ef <= VEC_MAX_EF)
            return true;
        reply_errorf(c->reply, "ERR invalid EF");
        return false;
    }
    if (more && slice_is(o, "m")) {
        if (num_to_i64(call_arg(c, ++*i), &a->m) && a->m >= VEC_MIN_M && a->m <= VEC_MAX_M)
            return true;
        reply_errorf(c->reply, "ERR invalid M");
        return false;
    }
    reply_errorf(c->reply, "ERR invalid option after element");
    return false;
}

static bool add_parse(struct call *c, struct add_args *a)
{
    int i = 2;
    *a = (struct add_args){0};
    if (slice_is(call_arg(c, 2), "reduce")) {
        if (!num_to_i64(call_arg(c, 3), &a->reduce) || a->reduce < 1 || a->reduce > VEC_MAX_DIM) {
            reply_errorf(c->reply, "ERR invalid vector specification: REDUCE needs a number from 1 to %d", VEC_MAX_DIM);
            return false;
        }
        i = 4;
    }
    if (!vector_arg_parse(c, &i, &a->v))
        return false;
    if (i >= c->argc) {
        reply_errorf(c->reply, "ERR wrong number of arguments for 'vadd' command");
        mem_free(a->v.x);
        return false;
    }
    a->element = call_arg(c, i++);
    for (; i < c->argc; i++)
        if (!add_option(c, &i, a)) {
            mem_free(a->v.x);
            return false;
        }
    return true;
}

/* What a set was made with stays: other words for it are refused. Options that are not given ask for nothing. */
static int add_conflict(const struct vset *s, const struct add_args *a, uint32_t dim, struct err *err)
{
    struct vec_stats st;
    vec_stats(s->index, &st);
    if (a->quantised && a->quant != st.config.quant)
        return err_set(err, ERR_GENERIC, "asked quantization mismatch with existing vector set");
    if (a->m && a->m != st.config.m)
        return err_set(err, ERR_GENERIC, "asked M value mismatch with existing vector set");
    if (a->reduce && !s->projection && vset_check_dim(s, dim, err) < 0)
        return err->code;
    if (a->reduce && !s->projection)
        return err_set(err, ERR_GENERIC, "cannot add projection to existing set without projection");
    if (a->reduce && a->reduce != st.config.dim)
        return err_set(err, ERR_GENERIC, "Vector dimension mismatch - got %lld but set has %u", (long long)a->reduce,
                       st.config.dim);
    return 0;
}

/* Adds to the set under the key, made when it is not there. `planned` (or NULL) has the links, if the key is still the
 * set that it was planned for. Negative with err, else what vec_add says. */
static int add_vector(struct call *c, const struct add_args *a, const float *x, uint32_t dim,
                      struct vec_addition *planned, struct err *err)
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
        struct vec_config config = {.dim = a->reduce ? (uint32_t)a->reduce : dim,
                                    .quant = a->quantised ? a->quant : VEC_QUANT_Q8,
                                    .m = (uint32_t)a->m,
                                    .ef_construction = (uint32_t)a->ef};
        if ((rc = vset_create(&fresh, &config, NULL, SLICE(""), err)) < 0)
            return rc;
        if (a->reduce)
            vset_reduce(fresh, dim);
    }
    struct vset *s = fresh ? fresh : vset_of(o);
    if ((rc = add_conflict(s, a, dim, err)) < 0)
        return rc;
    if (!(c->flags & CALL_REPLAY) && (rc = vec_room(s->index, err)) < 0)
        return rc;
    rc = planned && vec_addition_for(planned) == s->index ? vset_commit(s, planned, a->element, a->attr, err)
                                                          : vset_add(s, a->element, x, dim, a->attr, err);
    if (rc < 0) {
        vset_destroy(fresh);
        return rc;
    }
    if (fresh)
        db_add(c->db, key, value_container(OBJ_VECTOR, ENC_OWN, fresh));
    vset_text_changed(s, a->element);
    db_changed(c->db, key, NOTIFY_MODULE, "vadd");
    return rc;
}

struct text_add {
    struct call *call;
    struct add_args a;
    struct embed_call *embed;
    bool parked;
};

/* The vector in the place of the text; a set that this makes on replay must be made the same way. */
static void vector_effect(struct call *c, const struct add_args *a, const float *x, uint32_t dim)
{
    struct slice argv[16] = {SLICE("VADD"), call_arg(c, 1)};
    char ef[NUM_I64_MAX], m[NUM_I64_MAX], reduce[NUM_I64_MAX];
    int n = 2;
    if (a->reduce) {
        argv[n++] = SLICE("REDUCE");
        argv[n++] = slice_of(reduce, num_from_i64(reduce, a->reduce));
    }
    argv[n++] = SLICE("FP32");
    argv[n++] = slice_of((const char *)x, dim * sizeof *x);
    argv[n++] = a->element;
    if (a->attr.p) {
        argv[n++] = SLICE("SETATTR");
        argv[n++] = a->attr;
    }
    if (a->quantised)
        argv[n++] = a->quant_word;
    if (a->ef) {
        argv[n++] = SLICE("EF");
        argv[n++] = slice_of(ef, num_from_i64(ef, a->ef));
    }
    if (a->m) {
        argv[n++] = SLICE("M");
        argv[n++] = slice_of(m, num_from_i64(m, a->m));
    }
    call_effect(c, n, argv);
}

static void text_added(void *arg, const float *x, uint32_t dim, const struct err *failed)
{
    struct text_add *t = arg;
    struct call *c = t->call;
    struct err err;
    int rc = failed ? failed->code : add_vector(c, &t->a, x, dim, NULL, &err);
    if (rc < 0) {
        call_err(c, failed ? failed : &err);
    } else {
        vector_effect(c, &t->a, x, dim);
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
    uint32_t dim = s ? vset_input_dim(s) : embed_text_dim(NULL);
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

/* An element for a large set: a worker looks for its links, nine tenths of the work, and the loop puts it in. */
struct planned_add {
    struct job job; /* first */
    struct call *call;
    struct add_args a;
    struct vec_addition *addition;
};

static void planned_run(struct job *j)
{
    vec_plan(((struct planned_add *)j)->addition);
}

static void planned_done(struct job *j)
{
    struct planned_add *p = (struct planned_add *)j;
    struct call *c = p->call;
    struct err err;
    int rc = job_cancelled(j) ? err_set(&err, ERR_CANCELLED, "VADD was cancelled")
                              : add_vector(c, &p->a, p->a.v.x, p->a.v.dim, p->addition, &err);
    if (rc < 0) {
        call_err(c, &err);
    } else {
        vector_effect(c, &p->a, p->a.v.x, p->a.v.dim);
        reply_bool(c->reply, rc == VEC_ADDED);
    }
    call_resume(c);
    vec_addition_destroy(p->addition);
    mem_free(p->a.v.x);
    mem_free(p);
}

static void planned_cancel(struct call *c, void *arg)
{
    job_cancel(&((struct planned_add *)arg)->job);
}

/* False: it is not worth a worker, or may not wait, or is wrong in a way that adding it will say. */
static bool vadd_planned(struct call *c, const struct add_args *a, struct vset *s)
{
    struct vec_addition *addition;
    struct err err;
    if (!s || (c->flags & (CALL_ATOMIC | CALL_REPLAY)) || vec_add_is_quick(s->index) ||
        vset_prepare(s, &addition, a->v.x, a->v.dim, &err) < 0)
        return false;
    struct planned_add *p = mem_zero(sizeof *p);
    p->addition = addition;
    p->job.run = planned_run;
    p->job.done = planned_done;
    p->call = call_park(c, planned_cancel, p);
    add_parse(p->call, &p->a); /* again: the slices of the parked call live on */
    job_submit(vsearch_pool(), &p->job);
    return true;
}

/* > VADD points VALUES 2 1 1 pt:A
 * < (integer) 1
 * > VADD points VALUES 2 -1 -1 pt:B SETATTR '{"colour":"red"}'
 * < (integer) 1
 * > VADD points VALUES 3 1 2 3 pt:C
 * < (error) ERR Vector dimension mismatch - got 3 but set has 2
 * > VADD short REDUCE 2 VALUES 4 1 1 1 1 a
 * < (integer) 1
 * > VADD short REDUCE 2 VALUES 3 1 1 1 b
 * < (error) ERR Input dimension mismatch for projection - got 3 but projection expects 4
 * > VDIM short
 * < (integer) 2
 * > VADD notes TEXT "the cat sat on the mat" cat
 * < (integer) 1
 */
static void vadd(struct call *c)
{
    struct add_args a;
    struct err err;
    bool failed;
    if (!add_parse(c, &a))
        return;
    struct vset *s = vset_write(c, call_arg(c, 1), &failed);
    if (failed) {
        mem_free(a.v.x);
        return;
    }
    if (!a.v.x) {
        vadd_text(c, &a, s);
        return;
    }
    if (!vadd_planned(c, &a, s)) {
        int rc = add_vector(c, &a, a.v.x, a.v.dim, NULL, &err);
        if (rc < 0)
            call_err(c, &err);
        else
            reply_bool(c->reply, rc == VEC_ADDED);
    }
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
    bool gone = s && !passed_over(c, s) && vset_remove(s, call_arg(c, 2));
    reply_bool(c->reply, gone);
    if (!gone)
        return;
    vset_text_changed(s, call_arg(c, 2));
    bool last = vec_count(s->index) == 0 && !*s->uid;
    db_changed(c->db, key, NOTIFY_MODULE, "vrem");
    if (last &&
        db_delete(c->db, key)) /* as Redis: the last element takes the key along; a set on file was made on purpose */
        db_notify(c->db, NOTIFY_GENERIC, "del", key);
}

static void vsetattr(struct call *c)
{
    struct err err;
    bool failed;
    struct slice key = call_arg(c, 1);
    struct vset *s = vset_write(c, key, &failed);
    if (failed)
        return;
    int rc = s && !passed_over(c, s) ? vset_set_attr(s, call_arg(c, 2), call_arg(c, 3), &err) : 0;
    if (rc < 0) {
        call_err(c, &err);
        return;
    }
    if (rc > 0) {
        vset_text_changed(s, call_arg(c, 2));
        db_changed(c->db, key, NOTIFY_MODULE, "vsetattr");
    }
    reply_bool(c->reply, rc > 0);
}

#define SYNTAX_VECTOR "(FP32 vector|VALUES num vector...|TEXT text)"
#define KEY1          .first = 1, .last = 1, .step = 1, .acl = ACL_VECTOR

static const struct cmd rows[] = {
    {.name = "vcreate",
     .run = vcreate,
     .arity = -4,
     .flags = CMD_WRITE | CMD_DENYOOM,
     KEY1,
     .key_spec = "OW insert",
     .syntax = "key DIM dim [REDUCE dim] [METRIC (COSINE|L2|IP)] [QUANT (NONE|F16|Q8|BIN)] [INDEX (HNSW|FLAT)] [M "
               "numlinks] [EF "
               "build-exploration-factor] [MODEL embedding-model] [TEXTATTR attribute] [LANGUAGE language] [STORAGE "
               "(MEMORY|FILE)] [BUDGET bytes]",
     .summary = "Makes an empty vector set with its own metric, index and storage.",
     .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "vadd",
     .run = vadd,
     .arity = -5,
     .flags = CMD_WRITE | CMD_DENYOOM,
     KEY1,
     .key_spec = "RW update",
     .syntax = "key [REDUCE dim] " SYNTAX_VECTOR
               " element [CAS] [NOQUANT|Q8|BIN] [EF build-exploration-factor] [SETATTR attributes] "
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
};

const struct cmd_family vector_family = CMD_FAMILY("vector", rows);
