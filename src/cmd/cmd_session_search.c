/* SESSION.SEARCH. Short sessions are searched at once; long ones on a worker, which gets a session of its own that
 * shares the messages, while the client waits parked and everybody else goes on. */
#include "cmd/cmd_session.h"

#include "base/mem.h"
#include "cmd/session_boot.h"
#include "io/job.h"
#include "session/search.h"

#define AT_ONCE  (32u << 10) /* estimated tokens: about 128 kB, a millisecond */
#define HITS_MAX 1000

struct search {
    struct job job; /* first: the job is the search */
    struct call *call;
    struct session *s; /* the worker's own */
    struct session_hit *hits;
    size_t n, k;
    bool with_meta;
};

static struct job_pool *workers;

void session_cmd_open(struct job_pool *pool)
{
    workers = pool;
}

static bool search_args(struct call *c, int64_t *k, bool *with_meta)
{
    *k = 10;
    *with_meta = false;
    for (int i = 3; i < c->argc; i++) {
        if (session_option(c, &i, "COUNT")) {
            if (!call_range(c, i, 1, HITS_MAX, k))
                return false;
        } else if (slice_is(c->argv[i], "WITHMETA")) {
            *with_meta = true;
        } else {
            call_syntax(c);
            return false;
        }
    }
    return true;
}

static void reply_hits(struct call *c, const struct session *s, const struct session_hit *hits, size_t n,
                       bool with_meta)
{
    reply_array(c->reply, n);
    for (size_t i = 0; i < n; i++) {
        struct session_msg m = session_at(s, hits[i].index);
        if (with_meta)
            session_reply_map(c, &m, &hits[i].score);
        else
            session_reply_message(c, &m);
    }
}

static bool given_up(void *job)
{
    return job_cancelled(job);
}

static void search_on_worker(struct job *job)
{
    struct search *w = (struct search *)job;
    w->n = session_search(w->s, w->call->argv[2], w->hits, w->k, given_up, job);
}

static void search_done(struct job *job)
{
    struct search *w = (struct search *)job;
    reply_hits(w->call, w->s, w->hits, w->n, w->with_meta);
    call_resume(w->call);
    session_destroy(w->s);
    mem_free(w->hits);
    mem_free(w);
}

static void search_cancel(struct call *c, void *arg)
{
    job_cancel(&((struct search *)arg)->job);
}

static void search_parked(struct call *c, const struct session *s, size_t k, bool with_meta)
{
    struct search *w = mem_zero(sizeof *w);
    w->job.run = search_on_worker;
    w->job.done = search_done;
    w->s = session_clone(s);
    w->k = k;
    w->hits = mem_alloc(k * sizeof *w->hits);
    w->with_meta = with_meta;
    w->call = call_park(c, search_cancel, w);
    job_submit(workers, &w->job);
}

/* The messages that hold words of the text, best first: id, role, content. WITHMETA gives maps, with the score.
 *
 * > SESSION.ADD chat:1 user "Where is Delft?" ID 5-1
 * < "5-1"
 * > SESSION.ADD chat:1 assistant "In the Netherlands, near the coast." ID 6-1
 * < "6-1"
 * > SESSION.SEARCH chat:1 "the NETHERLANDS"
 * < 1) 1) "6-1"
 * <    2) "assistant"
 * <    3) "In the Netherlands, near the coast."
 * > SESSION.SEARCH chat:1 Paris COUNT 3
 * < (empty array)
 * > SESSION.SEARCH chat:1 Paris COUNT 0
 * < (error) ERR *
 */
void session_search_run(struct call *c)
{
    const struct session *s;
    int64_t k;
    bool with_meta;
    struct err err;
    if (session_text_check(c->argv[2], "the text", SESSION_TEXT_LIMIT, &err) < 0) {
        call_err(c, &err);
        return;
    }
    if (!search_args(c, &k, &with_meta) || !session_arg_read(c, 1, &s))
        return;
    if (!s) {
        reply_array(c->reply, 0);
        return;
    }
    if (workers && !(c->flags & CALL_ATOMIC) && session_token_sum(s) > AT_ONCE) {
        search_parked(c, s, (size_t)k, with_meta);
        return;
    }
    struct session_hit *hits = mem_alloc((size_t)k * sizeof *hits);
    size_t n = session_search(s, c->argv[2], hits, (size_t)k, NULL, NULL);
    reply_hits(c, s, hits, n, with_meta);
    mem_free(hits);
}
