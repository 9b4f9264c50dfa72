/* Ends of requests by their token.
 *
 * An entry is in `by_key` from its beginning. While it runs it gathers what has come, for those who join late; when it
 * has ended it becomes one block of text with the reply's slices pointing into it, at the end of `kept`, which is
 * therefore in the order of age. */
#include "llm/idempotency.h"

#include <assert.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "base/dict.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/setting.h"

#define HASH_LEN      32
#define HASH_HEX      (2 * HASH_LEN)
#define HOUR_MS       INT64_C(3600000)
#define LARGEST_SHARE 4 /* of the memory: what takes more is not kept */

static int64_t keep_hours = 24, max_bytes = 64 << 20;

static const struct setting settings[] = {
    {"llm-idempotency-hours", SETTING_INT, &keep_hours, "24", 1, 8760,
     .help = "Hours for which the answer to a request with an idempotency token is given again."},
    {"llm-idempotency-max-memory", SETTING_BYTES, &max_bytes, "67108864", 0, INT64_MAX,
     .help = "Memory for such answers; the oldest go first."},
};

void idem_boot(void)
{
    SETTING_REGISTER(settings);
}

/* Deltas that came one behind the other and go together. */
struct gathered {
    enum llm_delta_kind kind;
    int tool;
    struct buf id, name, text;
};

struct idem_entry {
    struct list link; /* in kept */
    char key[HASH_LEN], print[HASH_LEN];
    bool ended;
    bool loose; /* in no table any more, only held: somebody is being told */
    int held;
    /* running */
    struct list joined; /* struct idem_join */
    struct llm_call *call;
    struct gathered *come; /* so far, in order */
    int ncome;
    /* ended */
    int64_t ended_ms;
    struct llm_reply reply;
    int64_t code; /* an error's; 0: the reply is good */
    struct slice error;
    char *block; /* what the slices point into */
    size_t bytes;
};

struct idem {
    struct dict by_key;
    struct list kept; /* oldest first */
    struct idem_stats stats;
    void (*on_kept)(void *arg, const struct idem_entry *e);
    void *arg;
};

static struct slice key_of(const void *entry)
{
    return slice_of(((const struct idem_entry *)entry)->key, HASH_LEN);
}

static const struct dict_type by_key = {.key = key_of};

struct idem *idem_create(void)
{
    struct idem *t = mem_zero(sizeof *t);
    dict_init(&t->by_key, &by_key);
    list_init(&t->kept);
    return t;
}

static void drop_gathered(struct idem_entry *e)
{
    for (int i = 0; i < e->ncome; i++) {
        buf_release(&e->come[i].id);
        buf_release(&e->come[i].name);
        buf_release(&e->come[i].text);
    }
    mem_free(e->come);
    e->come = NULL;
    e->ncome = 0;
}

static void entry_free(struct idem_entry *e)
{
    if (e->held > 0) {
        e->loose = true;
        return;
    }
    drop_gathered(e);
    mem_free(e->block);
    mem_free(e);
}

static void hold(struct idem_entry *e)
{
    e->held++;
}

static void let_go(struct idem_entry *e)
{
    assert(e->held > 0);
    e->held--;
    if (e->loose)
        entry_free(e);
}

static void forget(struct idem *t, struct idem_entry *e)
{
    dict_remove(&t->by_key, key_of(e));
    if (e->ended) {
        list_del(&e->link);
        t->stats.kept--;
        t->stats.bytes -= (int64_t)e->bytes;
    } else {
        t->stats.running--;
    }
    entry_free(e);
}

void idem_destroy(struct idem *t)
{
    if (!t)
        return;
    list_each_safe (node, &t->kept)
        forget(t, list_entry(node, struct idem_entry, link));
    assert(dict_count(&t->by_key) == 0);
    dict_release(&t->by_key);
    mem_free(t);
}

void idem_stats(const struct idem *t, struct idem_stats *to)
{
    *to = t->stats;
}

void idem_on_kept(struct idem *t, void (*fn)(void *arg, const struct idem_entry *e), void *arg)
{
    t->on_kept = fn;
    t->arg = arg;
}

/* ---- hashes ---- */

/* The hash of the parts' hashes: however parts are cut, others than these have another one. */
static void hash_parts(const struct slice *parts, int n, char out[HASH_LEN])
{
    struct buf sums = {0};
    for (int i = 0; i < n; i++) {
        char *to = buf_room(&sums, HASH_LEN);
        SHA256((const unsigned char *)(parts[i].len ? parts[i].p : ""), parts[i].len, (unsigned char *)to);
        buf_grow(&sums, HASH_LEN);
    }
    SHA256((const unsigned char *)(n ? sums.p : ""), sums.len, (unsigned char *)out);
    buf_release(&sums);
}

static void to_hex(const char *hash, char out[HASH_HEX])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < HASH_LEN; i++) {
        out[2 * i] = digits[(unsigned char)hash[i] >> 4];
        out[2 * i + 1] = digits[hash[i] & 15];
    }
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool from_hex(struct slice s, char out[HASH_LEN])
{
    if (s.len != HASH_HEX)
        return false;
    for (int i = 0; i < HASH_LEN; i++) {
        int high = digit(s.p[2 * i]), low = digit(s.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (char)(high << 4 | low);
    }
    return true;
}

/* ---- beginning ---- */

static struct idem_entry *oldest(struct idem *t)
{
    return list_empty(&t->kept) ? NULL : list_entry(t->kept.next, struct idem_entry, link);
}

static void expire(struct idem *t, int64_t now_ms)
{
    for (struct idem_entry *e; (e = oldest(t)) && e->ended_ms <= now_ms - keep_hours * HOUR_MS;)
        forget(t, e);
}

static void make_room(struct idem *t)
{
    for (struct idem_entry *e; t->stats.bytes > max_bytes && (e = oldest(t));)
        forget(t, e);
}

static struct idem_entry *entry_create(const char key[HASH_LEN], const char print[HASH_LEN])
{
    struct idem_entry *e = mem_zero(sizeof *e);
    memcpy(e->key, key, HASH_LEN);
    memcpy(e->print, print, HASH_LEN);
    list_init(&e->link);
    list_init(&e->joined);
    return e;
}

int idem_begin(struct idem *t, const struct idem_claim *c, int64_t now_ms, struct idem_entry **entry, struct err *err)
{
    char key[HASH_LEN], print[HASH_LEN];
    if (c->token.len < 1 || c->token.len > IDEM_TOKEN_MAX)
        return err_set(err, ERR_INVALID, "an idempotency token has 1 to %d bytes", IDEM_TOKEN_MAX);
    expire(t, now_ms);
    hash_parts((struct slice[]){c->owner, c->token}, 2, key);
    hash_parts(c->request, c->nrequest, print);
    struct idem_entry *e = *entry = dict_find(&t->by_key, slice_of(key, HASH_LEN));
    if (!e) {
        dict_add(&t->by_key, *entry = entry_create(key, print));
        t->stats.running++;
        return IDEM_FRESH;
    }
    if (memcmp(e->print, print, HASH_LEN) != 0) {
        t->stats.conflicts++;
        err_set(err, ERR_STATE, "idempotency token was used for another request; use a new one for this");
        return IDEM_CONFLICT;
    }
    t->stats.joins += !e->ended;
    t->stats.replays += e->ended;
    return e->ended ? IDEM_REPLAY : IDEM_JOINED;
}

/* ---- while it runs ---- */

void idem_runs(struct idem_entry *e, struct llm_call *call)
{
    e->call = call;
}

struct llm_call *idem_call(const struct idem_entry *e)
{
    return e->call;
}

static struct gathered *place_of(struct idem_entry *e, const struct llm_delta *d)
{
    struct gathered *last = e->ncome ? &e->come[e->ncome - 1] : NULL;
    if (last && last->kind == d->kind && last->tool == d->tool && d->kind != LLM_DELTA_BLOCK)
        return last;
    e->come = mem_realloc(e->come, (size_t)(e->ncome + 1) * sizeof *e->come);
    e->come[e->ncome] = (struct gathered){.kind = d->kind, .tool = d->tool};
    return &e->come[e->ncome++];
}

static void gather(struct idem_entry *e, const struct llm_delta *d)
{
    struct gathered *g = place_of(e, d);
    buf_add(&g->id, d->tool_id.p, d->tool_id.len);
    buf_add(&g->name, d->tool_name.p, d->tool_name.len);
    buf_add(&g->text, d->text.p, d->text.len);
}

/* Who gets a piece may be the last to leave, which ends the entry: it is held meanwhile. */
void idem_delta(struct idem_entry *e, const struct llm_delta *d)
{
    hold(e);
    gather(e, d);
    list_each_safe (node, &e->joined) {
        struct idem_join *j = list_entry(node, struct idem_join, link);
        if (j->events->delta)
            j->events->delta(j->arg, d);
    }
    let_go(e);
}

static void catch_up(struct idem_entry *e, const struct idem_join *j)
{
    hold(e);
    for (int i = 0; i < e->ncome && j->link.next != &j->link; i++) { /* it may leave on the way */
        const struct gathered *g = &e->come[i];
        struct llm_delta d = {.kind = g->kind,
                              .tool = g->tool,
                              .tool_id = buf_slice(&g->id),
                              .tool_name = buf_slice(&g->name),
                              .text = buf_slice(&g->text)};
        j->events->delta(j->arg, &d);
    }
    let_go(e);
}

void idem_join(struct idem_entry *e, struct idem_join *j, const struct llm_chat_events *events, void *arg)
{
    assert(!e->ended);
    j->events = events;
    j->arg = arg;
    list_add_tail(&e->joined, &j->link);
    if (events->delta)
        catch_up(e, j);
}

void idem_leave(struct idem_join *j)
{
    if (j->link.next)
        list_del(&j->link);
}

bool idem_joined(const struct idem_entry *e)
{
    return !list_empty(&e->joined);
}

/* ---- what is kept, as a table: the block, the words ---- */

enum part_type { TEXT, I64, INT, BOOL };

static const struct part {
    const char *word;
    enum part_type type;
    size_t at; /* in struct idem_entry */
} parts[] = {
    {"TEXT", TEXT, offsetof(struct idem_entry, reply.text)},
    {"REASONING", TEXT, offsetof(struct idem_entry, reply.reasoning)},
    {"THINKING", TEXT, offsetof(struct idem_entry, reply.thinking)},
    {"TOOL-CALLS", TEXT, offsetof(struct idem_entry, reply.tool_calls)},
    {"FINISH", TEXT, offsetof(struct idem_entry, reply.finish)},
    {"MODEL", TEXT, offsetof(struct idem_entry, reply.facts.model)},
    {"ROUTE", TEXT, offsetof(struct idem_entry, reply.facts.route)},
    {"MODEL-ID", TEXT, offsetof(struct idem_entry, reply.facts.model_id)},
    {"REQUEST-ID", TEXT, offsetof(struct idem_entry, reply.facts.request_id)},
    {"NOTES", TEXT, offsetof(struct idem_entry, reply.facts.notes)},
    {"IN", I64, offsetof(struct idem_entry, reply.facts.tokens_in)},
    {"OUT", I64, offsetof(struct idem_entry, reply.facts.tokens_out)},
    {"CACHED", I64, offsetof(struct idem_entry, reply.facts.tokens_cached)},
    {"REASONED", I64, offsetof(struct idem_entry, reply.facts.tokens_reasoning)},
    {"ESTIMATED", BOOL, offsetof(struct idem_entry, reply.facts.estimated)},
    {"COST", I64, offsetof(struct idem_entry, reply.facts.cost)},
    {"US", I64, offsetof(struct idem_entry, reply.facts.us_total)},
    {"US-FIRST", I64, offsetof(struct idem_entry, reply.facts.us_first)},
    {"US-VENDOR", I64, offsetof(struct idem_entry, reply.facts.us_vendor)},
    {"ATTEMPTS", INT, offsetof(struct idem_entry, reply.facts.attempts)},
    {"FALLBACK", BOOL, offsetof(struct idem_entry, reply.facts.fallback)},
    {"CODE", I64, offsetof(struct idem_entry, code)},
    {"ERROR", TEXT, offsetof(struct idem_entry, error)},
};
#define PARTS ((int)(sizeof parts / sizeof *parts))
_Static_assert(3 + 2 * sizeof parts / sizeof *parts <= IDEM_WORDS_MAX, "the words of an entry");

static struct slice *text_at(struct idem_entry *e, const struct part *p)
{
    return (struct slice *)((char *)e + p->at);
}

/* From here on the entry has its own copies of what its slices point to. */
static void own_texts(struct idem_entry *e)
{
    size_t need = 0;
    for (int i = 0; i < PARTS; i++)
        need += parts[i].type == TEXT ? text_at(e, &parts[i])->len : 0;
    char *at = e->block = mem_alloc(need + 1);
    for (int i = 0; i < PARTS; i++) {
        struct slice *s = parts[i].type == TEXT ? text_at(e, &parts[i]) : NULL;
        if (!s)
            continue;
        if (s->len)
            memcpy(at, s->p, s->len);
        s->p = at;
        at += s->len;
    }
    e->bytes = sizeof *e + need;
}

static int64_t number_at(const struct idem_entry *e, const struct part *p)
{
    const void *at = (const char *)e + p->at;
    switch (p->type) {
    case INT: return *(const int *)at;
    case BOOL: return *(const bool *)at;
    default: return *(const int64_t *)at;
    }
}

static void set_number(struct idem_entry *e, const struct part *p, int64_t v)
{
    void *at = (char *)e + p->at;
    switch (p->type) {
    case INT: *(int *)at = (int)v; return;
    case BOOL: *(bool *)at = v != 0; return;
    default: *(int64_t *)at = v;
    }
}

void idem_words(const struct idem_entry *e, void (*emit)(void *arg, struct slice word), void *arg)
{
    char hex[HASH_HEX], number[NUM_I64_MAX];
    to_hex(e->key, hex);
    emit(arg, slice_of(hex, HASH_HEX));
    to_hex(e->print, hex);
    emit(arg, slice_of(hex, HASH_HEX));
    emit(arg, slice_of(number, num_from_i64(number, e->ended_ms)));
    for (int i = 0; i < PARTS; i++) {
        bool text = parts[i].type == TEXT;
        struct slice s = text ? *(const struct slice *)((const char *)e + parts[i].at) : SLICE("");
        int64_t v = text ? 0 : number_at(e, &parts[i]);
        if (s.len == 0 && v == 0)
            continue;
        emit(arg, slice_str(parts[i].word));
        emit(arg, text ? s : slice_of(number, num_from_i64(number, v)));
    }
}

/* ---- the end ---- */

static void keep(struct idem *t, struct idem_entry *e, int64_t ended_ms)
{
    own_texts(e);
    e->ended = true;
    e->ended_ms = ended_ms;
    list_add_tail(&t->kept, &e->link);
    t->stats.kept++;
    t->stats.bytes += (int64_t)e->bytes;
}

/* Tells everybody, in their order. Whoever is told may make others leave: the entry is there until all were. */
static void tell_joined(struct idem_entry *e, struct list *joined, const struct llm_reply *reply, const struct err *err)
{
    while (!list_empty(joined)) {
        struct idem_join *j = list_entry(joined->next, struct idem_join, link);
        list_del(&j->link);
        j->events->done(j->arg, reply, err);
    }
    let_go(e);
}

static void take_joined(struct list *to, struct idem_entry *e)
{
    hold(e);
    e->call = NULL;
    list_init(to);
    list_each_safe (node, &e->joined) {
        list_del(node);
        list_add_tail(to, node);
    }
}

/* Only what would be the same again is worth keeping, and only what leaves room for others. */
static bool worth_keeping(const struct llm_reply *r, const struct err *err)
{
    size_t bytes = r->text.len + r->reasoning.len + r->thinking.len + r->tool_calls.len;
    return err ? err->code == ERR_INVALID : bytes <= (size_t)max_bytes / LARGEST_SHARE;
}

void idem_finish(struct idem *t, struct idem_entry *e, const struct llm_reply *reply, const struct err *err,
                 int64_t now_ms)
{
    struct list joined;
    assert(!e->ended);
    take_joined(&joined, e);
    if (worth_keeping(reply, err)) {
        drop_gathered(e);
        e->reply = *reply;
        e->code = err ? err->code : 0;
        e->error = err ? slice_str(err->msg) : SLICE("");
        t->stats.running--;
        keep(t, e, now_ms);
        if (t->on_kept)
            t->on_kept(t->arg, e);
    } else {
        forget(t, e);
    }
    make_room(t);
    tell_joined(e, &joined, reply, err);
}

void idem_abandon(struct idem *t, struct idem_entry *e, const struct err *err)
{
    struct llm_reply none = {.facts = {.cost = -1, .retry_after_ms = -1}};
    struct list joined;
    assert(!e->ended);
    take_joined(&joined, e);
    forget(t, e);
    tell_joined(e, &joined, &none, err);
}

int idem_reply(const struct idem_entry *e, struct llm_reply *to, struct err *err)
{
    *to = e->reply;
    to->facts.replayed = true;
    to->facts.failure = e->code ? LLM_BAD : LLM_FINE;
    to->facts.retry_after_ms = -1;
    return e->code ? err_set(err, (int)e->code, "%.*s", (int)e->error.len, e->error.p) : 0;
}

/* ---- the journal ---- */

static int set_part(struct idem_entry *e, struct slice word, struct slice value, struct err *err)
{
    int64_t v;
    for (int i = 0; i < PARTS; i++) {
        if (!slice_is(word, parts[i].word))
            continue;
        if (parts[i].type == TEXT)
            *text_at(e, &parts[i]) = value;
        else if (num_to_i64(value, &v))
            set_number(e, &parts[i], v);
        else
            break;
        return 0;
    }
    return err_set(err, ERR_INVALID, "an end that was kept has a part that is not known or not a number");
}

int idem_restore(struct idem *t, const struct slice *w, int n, int64_t now_ms, struct err *err)
{
    char key[HASH_LEN], print[HASH_LEN];
    int64_t ended_ms;
    if (n < 3 || n % 2 == 0 || !from_hex(w[0], key) || !from_hex(w[1], print) || !num_to_i64(w[2], &ended_ms))
        return err_set(err, ERR_INVALID, "an end that was kept begins with two hashes and its time");
    struct idem_entry *e = entry_create(key, print), *before;
    for (int i = 3; i < n; i += 2) {
        int rc = set_part(e, w[i], w[i + 1], err);
        if (rc < 0) {
            entry_free(e);
            return rc;
        }
    }
    if ((before = dict_find(&t->by_key, key_of(e))) && before->ended) {
        forget(t, before);
        before = NULL;
    }
    if (before) { /* it runs here: that is newer */
        entry_free(e);
        return 0;
    }
    dict_add(&t->by_key, e);
    keep(t, e, ended_ms);
    expire(t, now_ms);
    make_room(t);
    return 0;
}

void idem_each(struct idem *t, void (*fn)(void *arg, const struct idem_entry *e), void *arg)
{
    list_each (node, &t->kept)
        fn(arg, list_entry(node, struct idem_entry, link));
}
