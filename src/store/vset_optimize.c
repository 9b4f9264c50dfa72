/* The life of a rebuild: jobs that build, rounds that catch up, one moment that swaps.
 *
 *   BUILD ──► CATCH_UP ─┬─► (swap) ──► DROP ──► gone
 *               ▲  └────┘ round after round
 *   a cancelled one goes to DROP from anywhere, once its last job is back
 *
 * A round: the loop copies up to ROUND noted elements into a small flat index, which takes a microsecond or two each,
 * and a worker copies them from there into the new index, which takes as long as adding them does. So no worker ever
 * needs the old index's names, which are the loop's. What changes during a round is noted for the next one.
 *
 * DROP is a job of its own because giving gigabytes back to the system takes long. */
#include "store/vset_optimize.h"

#include <string.h>

#include "base/clock.h"
#include "base/dict.h"
#include "base/log.h"
#include "base/mem.h"
#include "vec/rebuild.h"

#define SLICE_US 5000 /* a job's length: what a search may wait for a worker more than without */
#define MOST     8    /* jobs at once */
#define ROUND    500
#define FEW      4 /* noted elements that the loop carries over itself */

enum phase { BUILD, CATCH_UP, DROP };

struct noted {
    uint32_t len;
    char name[];
};

struct piece {
    struct job job; /* first */
    struct vset_optimize *o;
    bool busy;
};

struct vset_optimize {
    struct vset *set; /* NULL: cancelled */
    struct job_pool *pool;
    enum phase phase;
    struct vec_rebuild *rebuild; /* BUILD */
    struct vec_index *to;        /* CATCH_UP */
    struct vec_index *old;       /* DROP */
    struct dict noted;
    struct vec_index *batch; /* of a round: the elements, ... */
    struct noted *names[ROUND];
    int n, at; /* ... their names, how many are carried over */
    int rc;    /* of a round */
    struct err err;
    struct piece piece[MOST];
    int width, busy;
    int64_t began_ms;
};

static struct slice noted_key(const void *entry)
{
    const struct noted *n = entry;
    return slice_of(n->name, n->len);
}

static const struct dict_type noted_type = {.key = noted_key, .free = mem_free};

void vset_optimize_note(struct vset_optimize *o, struct slice name)
{
    if (dict_find(&o->noted, name))
        return;
    struct noted *n = mem_alloc(sizeof *n + name.len);
    n->len = (uint32_t)name.len;
    memcpy(n->name, name.p, name.len);
    dict_add(&o->noted, n);
}

int vset_optimize_percent(const struct vset *s)
{
    const struct vset_optimize *o = s->optimize;
    return !o ? 0 : o->rebuild ? vec_rebuild_percent(o->rebuild) : 99;
}

/* ---- on workers ---- */

static void round_step(struct vset_optimize *o)
{
    int64_t until = clock_mono_us() + SLICE_US;
    while (o->at < o->n && o->rc == 0 && clock_mono_us() < until) {
        o->rc = vec_copy(o->to, o->batch, noted_key(o->names[o->at]), &o->err);
        o->at++;
    }
}

static void drop_all(struct vset_optimize *o)
{
    vec_rebuild_destroy(o->rebuild);
    vec_unref(o->to);
    vec_unref(o->old);
    o->rebuild = NULL;
    o->to = o->old = NULL;
}

static void piece_run(struct job *j)
{
    struct vset_optimize *o = ((struct piece *)j)->o;
    if (o->phase == BUILD)
        vec_rebuild_step(o->rebuild, clock_mono_us() + SLICE_US);
    else if (o->phase == CATCH_UP)
        round_step(o);
    else
        drop_all(o);
}

/* ---- on the loop ---- */

static void piece_done(struct job *j);

static void submit(struct vset_optimize *o, int i)
{
    struct piece *p = &o->piece[i];
    p->o = o;
    p->busy = true;
    o->busy++;
    p->job.run = piece_run;
    p->job.done = piece_done;
    job_submit(o->pool, &p->job);
}

static void end_round(struct vset_optimize *o)
{
    for (int i = 0; i < o->n; i++)
        mem_free(o->names[i]);
    o->n = o->at = 0;
    vec_unref(o->batch);
    o->batch = NULL;
}

static void destroy(struct vset_optimize *o)
{
    end_round(o);
    dict_release(&o->noted);
    drop_all(o);
    mem_free(o);
}

/* The set is on its own again. */
static void let_go(struct vset_optimize *o)
{
    if (o->set)
        o->set->optimize = NULL;
    o->set = NULL;
}

static void drop(struct vset_optimize *o)
{
    let_go(o);
    o->phase = DROP;
    submit(o, 0);
}

static void fail(struct vset_optimize *o, const struct err *err)
{
    log_warning("a vector set was not optimized: %s", err->msg);
    drop(o);
}

/* Few elements are noted and no job runs. */
static void swap(struct vset_optimize *o)
{
    struct vset *s = o->set;
    struct dict_iter it;
    struct noted *n;
    struct err err;
    int rc = 0;
    for (dict_iter_begin(&it, &o->noted); (n = dict_iter_next(&it));)
        rc = rc < 0 ? rc : vec_copy(o->to, s->index, noted_key(n), &err);
    dict_iter_end(&it);
    if (rc == 0 &&
        vec_count(o->to) != vec_count(s->index)) /* cannot be; but elements are not for a wrong count to lose */
        rc = err_set(&err, ERR_GENERIC, "it would have %llu elements instead of %llu",
                     (unsigned long long)vec_count(o->to), (unsigned long long)vec_count(s->index));
    if (rc < 0) {
        fail(o, &err);
        return;
    }
    o->old = s->index;
    s->index = o->to;
    s->text_cursor = 0; /* numbers of the old one; texts that are there already are put in again */
    o->to = NULL;
    s->optimize_ms = clock_mono_ms() - o->began_ms;
    log_notice("a vector set of %llu elements was optimized in %lld ms", (unsigned long long)vec_count(s->index),
               (long long)s->optimize_ms);
    drop(o);
}

/* Up to ROUND noted elements as they are now go into the batch. */
static int begin_round(struct vset_optimize *o, struct err *err)
{
    struct dict_iter it;
    struct noted *n;
    struct vec_stats st;
    vec_stats(o->set->index, &st);
    st.config.kind = VEC_FLAT;
    int rc = vec_create(&o->batch, &st.config, err);
    if (rc < 0)
        return rc;
    for (dict_iter_begin(&it, &o->noted); o->n < ROUND && (n = dict_iter_next(&it));)
        o->names[o->n++] = n;
    dict_iter_end(&it);
    for (int i = 0; i < o->n; i++) {
        dict_remove(&o->noted, noted_key(o->names[i]));
        if (rc == 0)
            rc = vec_copy(o->batch, o->set->index, noted_key(o->names[i]), err);
    }
    return rc;
}

static void catch_up(struct vset_optimize *o)
{
    struct err err;
    end_round(o);
    if (o->rc < 0)
        fail(o, &o->err);
    else if (dict_count(&o->noted) <= FEW)
        swap(o);
    else if (begin_round(o, &err) < 0)
        fail(o, &err);
    else
        submit(o, 0);
}

/* More steps, by as many jobs as there is room for; what they made when there is nothing left to do. */
static void build(struct vset_optimize *o)
{
    struct err err;
    int width = vec_rebuild_is_wide(o->rebuild) ? o->width : 1;
    if (!vec_rebuild_over(o->rebuild)) {
        for (int i = 0; i < width; i++)
            if (!o->piece[i].busy)
                submit(o, i);
        return;
    }
    if (o->busy > 0)
        return;
    if (vec_rebuild_take(o->rebuild, &o->to, &err) < 0) {
        fail(o, &err);
        return;
    }
    vec_rebuild_destroy(o->rebuild);
    o->rebuild = NULL;
    o->phase = CATCH_UP;
    catch_up(o);
}

static void piece_done(struct job *j)
{
    struct piece *p = (struct piece *)j;
    struct vset_optimize *o = p->o;
    p->busy = false;
    o->busy--;
    if (job_cancelled(j)) /* the server stops */
        let_go(o);
    if (!o->set) {
        if (o->busy == 0 && (o->phase == DROP || job_cancelled(j)))
            destroy(o);
        else if (o->busy == 0)
            drop(o);
    } else if (o->phase == BUILD) {
        build(o);
    } else if (o->at < o->n && o->rc == 0) {
        submit(o, 0);
    } else {
        catch_up(o);
    }
}

int vset_optimize_start(struct vset *s, struct job_pool *pool, uint32_t ef, struct err *err)
{
    struct vec_rebuild *b;
    if (s->optimize)
        return err_set(err, ERR_STATE, "the vector set is being optimized already");
    if (*s->uid)
        return err_set(err, ERR_STATE, "a vector set with STORAGE FILE cannot be optimized, only one in memory");
    int rc = vec_rebuild_create(&b, s->index, ef, err);
    if (rc < 0)
        return rc;
    struct vset_optimize *o = mem_zero(sizeof *o);
    int threads = job_pool_threads(pool) - 1; /* one is left to searches */
    o->set = s;
    o->pool = pool;
    o->rebuild = b;
    o->width = threads < 1 ? 1 : threads > MOST ? MOST : threads;
    o->began_ms = clock_mono_ms();
    dict_init(&o->noted, &noted_type);
    s->optimize = o;
    submit(o, 0);
    return 0;
}

void vset_optimize_cancel(struct vset *s)
{
    if (s->optimize)
        let_go(s->optimize);
}
