/* VMADD: bulk load. One blob of n vectors, n names, one reply: how many elements are new.
 *
 * Everything that can be wrong with the input is looked at before anything is added, so bad input adds nothing. Inserting
 * into a graph takes some 100 us to 1 ms an element: a call of thousands would stop the loop for seconds. So it adds for
 * SLICE_US at a time and then lets everybody else have a turn of the loop.
 *
 *   - Each slice is an effect of its own (a VMADD of the elements that it added), journaled with the change, so that who
 *     reads between two slices is never told of something that a crash takes back. After a crash without a reply a part
 *     may be there; what was acknowledged is there whole.
 *   - Between slices the set may be deleted or replaced. The call then ends with an error that says how far it came: it
 *     never writes to another set than the one it began with.
 *   - In MULTI, in a script and in the journal's replay it runs in one go. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmd_vsearch.h"
#include "cmd/effects.h"
#include "cmd/families.h"
#include "simd/simd.h"

#define SLICE_US 2000
#define ELEMENTS 6 /* argv index of the first name */
#define BLOB     5

struct madd {
    struct job job; /* first; an empty one: its end is the next turn */
    struct call *call;
    uint32_t n, dim, at; /* at: the next element */
    uint64_t set;        /* id of the set that is added to */
    int64_t added;
    float *x;          /* one vector, aligned */
    struct slice *argv; /* of a slice's effect */
    bool cancelled;
};

static void madd_free(struct madd *m)
{
    mem_free(m->x);
    mem_free(m->argv);
    mem_free(m);
}

/* The set under the key; NULL without an error when there is none. */
static struct vset *find(struct call *c, struct err *err)
{
    bool wrong;
    struct obj *o = db_write_type(c->db, call_arg(c, 1), OBJ_VECTOR, &wrong);
    if (wrong)
        err_set(err, ERR_WRONGTYPE, "Operation against a key holding the wrong kind of value");
    return o ? vset_of(o) : NULL;
}

static int check_names(const struct call *c, struct err *err)
{
    for (int i = ELEMENTS; i < c->argc; i++)
        if (call_arg(c, i).len < 1 || call_arg(c, i).len > VEC_MAX_NAME)
            return err_set(err, ERR_INVALID, "an element's name has 1 to %d bytes, not %zu: number %d", VEC_MAX_NAME,
                           call_arg(c, i).len, i - ELEMENTS + 1);
    return 0;
}

/* Aligned pieces of the blob, which lies anywhere. */
static int check_numbers(const struct madd *m, struct err *err)
{
    size_t one = m->dim * sizeof *m->x;
    for (uint32_t i = 0; i < m->n; i++) {
        memcpy(m->x, call_arg(m->call, BLOB).p + i * one, one);
        if (!simd_finite_f32(m->x, m->dim))
            return err_set(err, ERR_INVALID, "vector %u holds a number that is not finite", i + 1);
    }
    return 0;
}

/* Fills m; everything is checked when it returns 0, and the set may still be missing. */
static int parse(struct call *c, struct madd *m, struct err *err)
{
    int64_t n;
    size_t bytes = call_arg(c, BLOB).len;
    if (!slice_is(call_arg(c, 2), "count") || !slice_is(call_arg(c, 4), "fp32"))
        return err_set(err, ERR_GENERIC, "syntax error");
    if (!num_to_i64(call_arg(c, 3), &n) || n < 1 || n != c->argc - ELEMENTS)
        return err_set(err, ERR_INVALID, "COUNT must be the number of elements that follow the blob, here %d",
                       c->argc - ELEMENTS);
    if (bytes == 0 || bytes % ((size_t)n * sizeof *m->x) || bytes / ((size_t)n * sizeof *m->x) > VEC_MAX_DIM)
        return err_set(err, ERR_INVALID,
                       "a blob of %zu bytes is not %lld vectors of 4 bytes a component, 1 to %d components", bytes,
                       (long long)n, VEC_MAX_DIM);
    struct err wrong = {0};
    struct vset *s = find(c, &wrong);
    m->n = (uint32_t)n;
    m->dim = (uint32_t)(bytes / ((size_t)n * sizeof *m->x));
    if (wrong.code)
        return err_set(err, wrong.code, "%s", wrong.msg);
    if (s && vset_check_dim(s, m->dim, err) < 0)
        return err->code;
    m->x = mem_alloc(m->dim * sizeof *m->x);
    int rc = check_names(c, err);
    return rc < 0 ? rc : check_numbers(m, err);
}

/* The set, made when it is not there. */
static struct vset *set_for(struct call *c, uint32_t dim, struct err *err)
{
    struct vset *s = find(c, err);
    struct vec_config config = {.dim = dim, .quant = VEC_QUANT_Q8};
    if (s)
        return s;
    if (vset_create(&s, &config, NULL, SLICE(""), err) < 0)
        return NULL;
    db_add(c->db, call_arg(c, 1), value_container(OBJ_VECTOR, ENC_OWN, s));
    return s;
}

/* Adds until the time is over or all are in; a negative code when one could not be added. until_us 0: no limit. */
static int add_some(struct madd *m, struct vset *s, int64_t until_us, struct err *err)
{
    size_t one = m->dim * sizeof *m->x;
    while (m->at < m->n) {
        memcpy(m->x, call_arg(m->call, BLOB).p + m->at * one, one);
        int rc = vset_add(s, call_arg(m->call, ELEMENTS + (int)m->at), m->x, m->dim, slice_of(NULL, 0), err);
        if (rc < 0)
            return rc;
        m->added += rc == VEC_ADDED;
        m->at++;
        if (until_us && clock_mono_us() >= until_us)
            break;
    }
    return 0;
}

/* The elements from..m->at as a command. */
static void slice_effect(struct madd *m, uint32_t from)
{
    struct call *c = m->call;
    size_t one = m->dim * sizeof *m->x;
    uint32_t n = m->at - from;
    char count[NUM_I64_MAX];
    if (!m->argv)
        m->argv = mem_alloc(((size_t)m->n + ELEMENTS) * sizeof *m->argv);
    m->argv[0] = SLICE("VMADD");
    m->argv[1] = call_arg(c, 1);
    m->argv[2] = SLICE("COUNT");
    m->argv[3] = slice_of(count, num_from_i64(count, n));
    m->argv[4] = SLICE("FP32");
    m->argv[BLOB] = slice_of(call_arg(c, BLOB).p + from * one, n * one);
    for (uint32_t i = 0; i < n; i++)
        m->argv[ELEMENTS + i] = call_arg(c, ELEMENTS + (int)(from + i));
    effects_add(c->db->id, (int)(n + ELEMENTS), m->argv);
}

static void end(struct madd *m, const struct err *err)
{
    if (err)
        call_err(m->call, err);
    else
        reply_int(m->call->reply, m->added);
    call_resume(m->call);
    madd_free(m);
}

static void submit(struct madd *m);

/* One slice of a parked call: change, effect and what others are told of it are one step. */
static void go_on(struct madd *m)
{
    struct err err = {0};
    uint32_t from = m->at;
    int rc = 0;
    effects_begin();
    struct vset *s = find(m->call, &err);
    if (!s || s->id != m->set)
        rc = err_set(&err, ERR_STATE, "the vector set was deleted while elements were added; %u of %u had been", m->at,
                     m->n);
    else if (m->cancelled)
        rc = err_set(&err, ERR_CANCELLED, "cancelled; %u of %u elements had been added", m->at, m->n);
    else
        rc = add_some(m, s, clock_mono_us() + SLICE_US, &err);
    if (m->at > from) {
        db_changed(m->call->db, call_arg(m->call, 1), NOTIFY_MODULE, "vadd");
        slice_effect(m, from);
    }
    effects_end();
    if (rc < 0 || m->at == m->n)
        end(m, rc < 0 ? &err : NULL);
    else
        submit(m);
}

static void job_run(struct job *j)
{
}

static void job_done(struct job *j)
{
    struct madd *m = (struct madd *)j;
    m->cancelled |= job_cancelled(j); /* the server stops */
    go_on(m);
}

static void submit(struct madd *m)
{
    m->job.run = job_run;
    m->job.done = job_done;
    job_submit(vsearch_pool(), &m->job);
}

static void on_cancel(struct call *c, void *arg)
{
    ((struct madd *)arg)->cancelled = true; /* the next slice ends it */
}

/* The first slice, in the handler. Afterwards the call is parked, or over and m is freed. */
static void begin(struct madd *m)
{
    struct call *c = m->call;
    struct err err = {0};
    bool whole = c->flags & (CALL_ATOMIC | CALL_REPLAY);
    struct vset *s = set_for(c, m->dim, &err);
    int rc = err.code;
    if (s && (c->flags & CALL_REPLAY) && vset_has(s, c->lsn))
        m->at = m->n; /* the set's file holds it already */
    else if (s)
        rc = add_some(m, s, whole ? 0 : clock_mono_us() + SLICE_US, &err);
    if (m->at > 0)
        db_changed(c->db, call_arg(c, 1), NOTIFY_MODULE, "vadd");
    if (rc == 0 && m->at < m->n) {
        m->set = s->id;
        slice_effect(m, 0);
        m->call = call_park(c, on_cancel, m);
        submit(m);
        return;
    }
    if (rc < 0 && m->at > 0) {
        slice_effect(m, 0);
        call_no_effect(c);
    }
    if (rc < 0 && s && vec_count(s->index) == 0 && !*s->uid)
        db_delete(c->db, call_arg(c, 1)); /* made for nothing */
    if (rc < 0)
        call_err(c, &err);
    else
        reply_int(c->reply, m->added);
    madd_free(m);
}

/* > VMADD points COUNT 2 FP32 "\x00\x00\x80\x3f\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x3f" east north
 * < (integer) 2
 * > VMADD points COUNT 1 FP32 "\x00\x00\x40\x40\x00\x00\x80\x40" east
 * < (integer) 0
 * > VEMB points east
 * < 1) "3"
 * < 2) "4"
 * > VMADD points COUNT 3 FP32 "\x00\x00\x80\x3f\x00\x00\x80\x3f" south
 * < (error) INVALID COUNT must be the number of elements that follow the blob, here 1
 */
static void vmadd(struct call *c)
{
    struct madd *m = mem_zero(sizeof *m);
    struct err err;
    m->call = c;
    if (parse(c, m, &err) < 0) {
        call_err(c, &err);
        madd_free(m);
        return;
    }
    begin(m);
}

static const struct cmd rows[] = {
    {.name = "vmadd",
     .run = vmadd,
     .arity = -7,
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_BLOCKING,
     .first = 1,
     .last = 1,
     .step = 1,
     .acl = ACL_VECTOR,
     .key_spec = "RW update",
     .syntax = "key COUNT count FP32 vectors element...",
     .summary = "Adds many elements at once, their vectors in one blob.",
     .since = "1.0.0",
     .complexity = "O(N*log(M)) where N is the elements added and M those of the set"},
};

const struct cmd_family vector_bulk_family = CMD_FAMILY("vector", rows);
