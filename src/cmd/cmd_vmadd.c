/* VMADD: bulk load. One blob of n vectors, n names, one reply: how many elements are new.
 *
 * Everything that can be wrong with the input is looked at before anything is added, so bad input adds nothing. Inserting
 * into a graph takes some 100 us to 1 ms an element: a call of thousands would stop the loop for seconds. So after
 * SLICE_US the call is parked, and goes on in turns with everybody else:
 *
 *   small sets   the loop adds for SLICE_US at a time; the end of an empty job is the next turn
 *   others       workers look for the links of a chunk each, nine tenths of the work; the loop puts the elements in,
 *                chunk after chunk in the order of the call, so that of a name that comes twice the last vector counts.
 *                Elements under way at the same time do not see each other, hence small chunks.
 *
 *   - What a turn added is an effect of its own (a VMADD of these elements), journaled with the change, so that who reads
 *     between two turns is never told of something that a crash takes back. After a crash without a reply a part may be
 *     there; what was acknowledged is there whole.
 *   - Between turns the set may be deleted or replaced. The call then ends with an error that says how far it came: it
 *     never writes to another set than the one it began with.
 *   - In MULTI, in a script and in the journal's replay it runs in one go. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmd_vsearch.h"
#include "cmd/effects.h"
#include "cmd/families.h"
#include "simd/simd.h"
#include "store/vset_text.h"

#define SLICE_US 2000
#define CHUNK    4  /* elements that one worker plans at a time */
#define CHUNKS   32 /* under way at the most */
#define ELEMENTS 6 /* argv index of the first name */
#define BLOB     5

struct madd;

struct chunk {
    struct job job; /* first */
    struct madd *m;
    struct vec_addition *add[CHUNK];
    uint32_t n; /* 0: nothing is planned, the end of the job is what counts */
    enum { CHUNK_FREE, CHUNK_RUNS, CHUNK_READY } state;
};

struct madd {
    struct call *call;
    uint32_t n, dim;
    uint32_t at, planned; /* the next element to go in; the next to be looked at: those between are in chunks */
    uint64_t set;         /* id of the set that is added to */
    int64_t added;
    float *x;             /* one vector, aligned */
    struct slice *argv;   /* of a turn's effect */
    struct chunk *chunks; /* a ring of `width`, in the order of the call; `head` has the elements from `at` on */
    uint32_t width, head, tail, running;
    bool cancelled;
    struct err failed; /* code 0: not yet */
};

static void chunk_free(struct chunk *k)
{
    for (uint32_t i = 0; i < k->n; i++)
        vec_addition_destroy(k->add[i]);
    k->n = 0;
    k->state = CHUNK_FREE;
}

static void madd_free(struct madd *m)
{
    for (uint32_t i = 0; i < m->width; i++)
        chunk_free(&m->chunks[i]);
    mem_free(m->chunks);
    mem_free(m->x);
    mem_free(m->argv);
    mem_free(m);
}

static const float *vector_at(struct madd *m, uint32_t i)
{
    size_t one = m->dim * sizeof *m->x;
    memcpy(m->x, call_arg(m->call, BLOB).p + i * one, one); /* the blob lies anywhere */
    return m->x;
}

static struct slice name_at(const struct madd *m, uint32_t i)
{
    return call_arg(m->call, ELEMENTS + (int)i);
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

static int check_numbers(struct madd *m, struct err *err)
{
    for (uint32_t i = 0; i < m->n; i++)
        if (!simd_finite_f32(vector_at(m, i), m->dim))
            return err_set(err, ERR_INVALID, "vector %u holds a number that is not finite", i + 1);
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

static bool in_chunks(const struct madd *m)
{
    return m->at < m->planned;
}

/* May one more be added? A replay does not ask: what was taken once is taken. */
static int room(const struct madd *m, const struct vset *s, struct err *err)
{
    return m->call->flags & CALL_REPLAY ? 0 : vec_room(s->index, err);
}

/* Adds until the time is over or all are in; a negative code when one could not be added. until_us 0: no limit. */
static int add_some(struct madd *m, struct vset *s, int64_t until_us, struct err *err)
{
    while (m->at < m->n) {
        int rc = room(m, s, err);
        if (rc == 0)
            rc = vset_add(s, name_at(m, m->at), vector_at(m, m->at), m->dim, slice_of(NULL, 0), err);
        if (rc < 0)
            return rc;
        vset_text_changed(s, name_at(m, m->at));
        m->added += rc == VEC_ADDED;
        m->planned = ++m->at;
        if (until_us && clock_mono_us() >= until_us)
            break;
    }
    return 0;
}

/* Puts the chunks in that workers are through with, as far as there is none before them that still runs. */
static int commit_some(struct madd *m, struct vset *s, struct err *err)
{
    for (; m->chunks[m->head].state == CHUNK_READY; m->head = (m->head + 1) % m->width) {
        struct chunk *k = &m->chunks[m->head];
        for (uint32_t i = 0; i < k->n; i++) {
            struct slice none = slice_of(NULL, 0);
            int rc = room(m, s, err);
            if (rc == 0)
                rc = vec_addition_for(k->add[i]) == s->index
                         ? vset_commit(s, k->add[i], name_at(m, m->at), none, err)
                         : vset_add(s, name_at(m, m->at), vector_at(m, m->at), m->dim, none, err);
            if (rc < 0)
                return rc;
            vset_text_changed(s, name_at(m, m->at));
            m->added += rc == VEC_ADDED;
            m->at++;
        }
        chunk_free(k);
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
        m->argv[ELEMENTS + i] = name_at(m, from + i);
    effects_add(c->db->id, (int)(n + ELEMENTS), m->argv);
}

static void end(struct madd *m)
{
    if (m->failed.code)
        call_err(m->call, &m->failed);
    else
        reply_int(m->call->reply, m->added);
    call_resume(m->call);
    madd_free(m);
}

static void chunk_run(struct job *j)
{
    struct chunk *k = (struct chunk *)j;
    for (uint32_t i = 0; i < k->n; i++)
        vec_plan(k->add[i]);
}

static void go_on(struct madd *m);

static void chunk_done(struct job *j)
{
    struct chunk *k = (struct chunk *)j;
    k->state = CHUNK_READY;
    k->m->running--;
    k->m->cancelled |= job_cancelled(j); /* the server stops */
    go_on(k->m);
}

static void submit(struct madd *m)
{
    struct chunk *k = &m->chunks[m->tail];
    m->tail = (m->tail + 1) % m->width;
    k->state = CHUNK_RUNS;
    k->m = m;
    k->job.run = chunk_run;
    k->job.done = chunk_done;
    m->running++;
    job_submit(vsearch_pool(), &k->job);
}

/* Gives the workers what they can take. */
static int plan_some(struct madd *m, struct vset *s, struct err *err)
{
    while (m->planned < m->n && m->chunks[m->tail].state == CHUNK_FREE) {
        struct chunk *k = &m->chunks[m->tail];
        while (k->n < CHUNK && m->planned < m->n) {
            int rc = vset_prepare(s, &k->add[k->n], vector_at(m, m->planned), m->dim, err);
            if (rc < 0)
                return rc;
            k->n++;
            m->planned++;
        }
        submit(m);
    }
    return 0;
}

static int work(struct madd *m, struct vset *s, struct err *err)
{
    int rc = commit_some(m, s, err);
    if (rc < 0 || !vec_add_is_quick(s->index) || in_chunks(m))
        return rc < 0 ? rc : plan_some(m, s, err);
    rc = add_some(m, s, clock_mono_us() + SLICE_US, err);
    if (rc == 0 && m->at < m->n)
        submit(m);
    return rc;
}

/* One turn of a parked call: change, effect and what others are told of it are one step. When something has failed, only
 * the workers are waited for. */
static void go_on(struct madd *m)
{
    struct err *err = &m->failed;
    uint32_t from = m->at;
    int rc = err->code;
    effects_begin();
    struct vset *s = rc < 0 ? NULL : find(m->call, err);
    if (rc == 0 && (!s || s->id != m->set))
        rc = err_set(err, ERR_STATE, "the vector set was deleted while elements were added; %u of %u had been", m->at,
                     m->n);
    else if (rc == 0 && m->cancelled)
        rc = err_set(err, ERR_CANCELLED, "cancelled; %u of %u elements had been added", m->at, m->n);
    else if (rc == 0)
        rc = work(m, s, err);
    if (m->at > from) {
        db_changed(m->call->db, call_arg(m->call, 1), NOTIFY_MODULE, "vadd");
        slice_effect(m, from);
    }
    effects_end();
    if (m->running == 0 && (rc < 0 || m->at == m->n))
        end(m);
}

static void on_cancel(struct call *c, void *arg)
{
    ((struct madd *)arg)->cancelled = true; /* the next turn ends it */
}

static void park(struct madd *m)
{
    int wanted = 2 * job_pool_threads(vsearch_pool()); /* one runs, one waits */
    m->width = wanted < CHUNKS ? (uint32_t)wanted : CHUNKS;
    m->chunks = mem_zero(m->width * sizeof *m->chunks);
    m->call = call_park(m->call, on_cancel, m);
    submit(m);
}

/* The first turn, in the handler. Afterwards the call is parked, or over and m is freed. */
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
        park(m);
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
