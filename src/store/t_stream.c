/* Streams, see t_stream.h.
 *
 * A node is a listpack in the layout that Redis writes to its files:
 *
 *   master entry   live  deleted  n  name[1] ... name[n]  0      live, deleted: how many entries follow of each kind
 *   entry          flags  ms  seq  value[1] ... value[n]  count                 flags has SAME: names as in the master
 *                  flags  ms  seq  m  name[1] value[1] ... name[m] value[m]  count
 *
 * ms and seq are differences to the node's id, the id its first entry had; seq may be negative. count is how many
 * elements of the entry come before it, for walking backwards; the master entry's 0 stops that walk. A deleted entry is
 * only marked; when a node has no live entry it goes.
 *
 * A listpack from outside is walked once, whole, when it is loaded (node_valid); after that nothing here checks. */
#include "store/t_stream.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/setting.h"
#include "store/digest.h"
#include "store/listpack.h"
#include "store/rdb.h"
#include "store/types.h"

enum entry_flags { DELETED = 1, SAME = 2 };

#define FIXED       3  /* flags, ms, seq */
#define ELEMENT_MAX 10 /* bytes that a listpack needs beside an element's own, at most; or for an integer */

struct node {
    struct sid id;
    uint8_t *lp;
};

struct stream {
    struct node *nodes; /* [first, first + n), ascending; trimming moves `first` on */
    size_t first, n, cap;
    struct stream_info info; /* info.nodes is not kept up */
    struct stream_groups groups;
};

static int64_t node_bytes, node_entries;

static const struct setting settings[] = {
    {"stream-node-max-bytes", SETTING_BYTES, &node_bytes, "4096", .min = 0, .max = INT64_MAX,
     .help = "How many bytes one node of a stream may have; 0 is no limit."},
    {"stream-node-max-entries", SETTING_INT, &node_entries, "100", .min = 0, .max = INT64_MAX,
     .help = "How many entries one node of a stream may have; 0 is no limit."},
};

void stream_settings(void)
{
    SETTING_REGISTER(settings);
}

int64_t stream_node_entries(void)
{
    return node_entries;
}

/* --- nodes --- */

static struct stream *stream_of(const struct obj *o)
{
    return o->v.ptr;
}

static struct node *node_at(const struct stream *s, size_t i)
{
    return &s->nodes[s->first + i];
}

static void node_add(struct stream *s, struct sid id, uint8_t *lp)
{
    if (s->first + s->n == s->cap) {
        if (s->first > s->cap / 2) { /* more room in front than in use */
            memmove(s->nodes, s->nodes + s->first, s->n * sizeof *s->nodes);
            s->first = 0;
        } else {
            s->cap = s->cap ? 2 * s->cap : 4;
            s->nodes = mem_realloc(s->nodes, s->cap * sizeof *s->nodes);
        }
    }
    *node_at(s, s->n++) = (struct node){id, lp};
}

static void node_drop(struct stream *s, size_t i)
{
    mem_free(node_at(s, i)->lp);
    if (i == 0)
        s->first++;
    else
        memmove(node_at(s, i), node_at(s, i + 1), (s->n - i - 1) * sizeof *s->nodes);
    s->n--;
}

/* The last node whose id is not above `id`; 0 when there is none such. */
static size_t node_search(const struct stream *s, struct sid id)
{
    size_t low = 0, high = s->n;
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        if (sid_cmp(node_at(s, mid)->id, id) <= 0)
            low = mid;
        else
            high = mid;
    }
    return low;
}

static int64_t int_at(const uint8_t *at)
{
    int64_t v = 0;
    listpack_int(at, &v);
    return v;
}

static const uint8_t *skip(const uint8_t *lp, const uint8_t *at, int64_t n)
{
    for (; at && n > 0; n--)
        at = listpack_next(lp, at);
    return at;
}

static int64_t node_live(const uint8_t *lp)
{
    return int_at(listpack_first(lp));
}

static int64_t node_dead(const uint8_t *lp)
{
    return int_at(listpack_next(lp, listpack_first(lp)));
}

static int64_t master_fields(const uint8_t *lp)
{
    return int_at(skip(lp, listpack_first(lp), 2));
}

static const uint8_t *master_names(const uint8_t *lp)
{
    return skip(lp, listpack_first(lp), 3);
}

static const uint8_t *first_entry(const uint8_t *lp) /* its flags */
{
    return skip(lp, master_names(lp), master_fields(lp) + 1);
}

static void count_dead(uint8_t **lp, int64_t n)
{
    int64_t live = node_live(*lp) - n, dead = node_dead(*lp) + n;
    uint8_t *at = listpack_replace_int(lp, listpack_first(*lp), live);
    listpack_replace_int(lp, listpack_next(*lp, at), dead);
}

/* The entry whose flags stand at `at`. Returns its id. */
static struct sid entry_read(const struct node *n, const uint8_t *at, struct stream_entry *e, int64_t *fields)
{
    const uint8_t *lp = n->lp;
    e->flags_at = at;
    e->flags = int_at(at);
    const uint8_t *ms = listpack_next(lp, at), *seq = listpack_next(lp, ms);
    struct sid id = {n->id.ms + (uint64_t)int_at(ms), n->id.seq + (uint64_t)int_at(seq)};
    e->body = listpack_next(lp, seq);
    if (e->flags & SAME) {
        *fields = master_fields(lp);
        e->end = skip(lp, e->body, *fields);
    } else {
        *fields = int_at(e->body);
        e->body = listpack_next(lp, e->body);
        e->end = skip(lp, e->body, 2 * *fields);
    }
    return id; /* e->end is the count at the entry's end */
}

/* --- adding --- */

struct value stream_new(void)
{
    return value_container(OBJ_STREAM, ENC_STREAM, mem_zero(sizeof(struct stream)));
}

struct stream_info stream_info(const struct obj *o)
{
    struct stream_info i = stream_of(o)->info;
    i.nodes = stream_of(o)->n;
    return i;
}

static uint8_t *master_make(const struct slice *pairs, size_t n)
{
    uint8_t *lp = listpack_create(0);
    listpack_append_int(&lp, 0);
    listpack_append_int(&lp, 0);
    listpack_append_int(&lp, (int64_t)n);
    for (size_t i = 0; i < n; i++)
        listpack_append(&lp, pairs[2 * i]);
    listpack_append_int(&lp, 0);
    return lp;
}

static bool same_names(const uint8_t *lp, const struct slice *pairs, size_t n)
{
    if ((uint64_t)master_fields(lp) != n)
        return false;
    const uint8_t *at = master_names(lp);
    for (size_t i = 0; i < n; i++, at = listpack_next(lp, at))
        if (!listpack_eq(at, pairs[2 * i]))
            return false;
    return true;
}

/* bytes: of the entry's strings; room: what it may take at most. */
static bool node_full(const struct node *n, size_t bytes, size_t room)
{
    size_t have = listpack_bytes(n->lp);
    if (!listpack_fits(n->lp, room))
        return true;
    if (node_bytes && have + bytes >= (uint64_t)node_bytes)
        return true;
    return node_entries && node_live(n->lp) + node_dead(n->lp) >= node_entries;
}

static void entry_append(struct node *to, struct sid id, const struct slice *pairs, size_t n)
{
    uint8_t *lp = to->lp;
    bool same = same_names(lp, pairs, n);
    listpack_append_int(&lp, same ? SAME : 0);
    listpack_append_int(&lp, (int64_t)(id.ms - to->id.ms));
    listpack_append_int(&lp, (int64_t)(id.seq - to->id.seq));
    if (!same)
        listpack_append_int(&lp, (int64_t)n);
    for (size_t i = 0; i < n; i++) {
        if (!same)
            listpack_append(&lp, pairs[2 * i]);
        listpack_append(&lp, pairs[2 * i + 1]);
    }
    listpack_append_int(&lp, (int64_t)(same ? FIXED + n : FIXED + 1 + 2 * n));
    listpack_replace_int(&lp, listpack_first(lp), node_live(lp) + 1);
    to->lp = lp;
}

bool stream_append(struct obj *o, struct sid id, const struct slice *pairs, size_t n)
{
    struct stream *s = stream_of(o);
    size_t bytes = 0;
    assert(sid_cmp(id, s->info.last) > 0);
    for (size_t i = 0; i < 2 * n; i++)
        bytes += pairs[i].len;
    size_t room = bytes + ELEMENT_MAX * (2 * n + 10);
    if (room > LISTPACK_MAX)
        return false;
    if (s->n == 0 || node_full(node_at(s, s->n - 1), bytes, room))
        node_add(s, id, master_make(pairs, n));
    entry_append(node_at(s, s->n - 1), id, pairs, n);
    if (s->info.length++ == 0)
        s->info.first = id;
    s->info.last = id;
    s->info.added++;
    return true;
}

/* --- walking --- */

static void enter_node(struct stream_iter *it, size_t node)
{
    const uint8_t *lp = node_at(it->s, node)->lp;
    it->node = node;
    it->at = it->back ? listpack_last(lp) : first_entry(lp);
}

void stream_iter_begin(struct stream_iter *it, const struct obj *o, struct sid from, struct sid to, bool back)
{
    *it = (struct stream_iter){.s = stream_of(o), .from = from, .to = to, .back = back};
    if (it->s->n && sid_cmp(from, to) <= 0)
        enter_node(it, node_search(it->s, back ? to : from));
}

/* Reads the entry at it->at and moves it->at to the one behind it, NULL at the end of the node. */
static void step(struct stream_iter *it)
{
    const struct node *n = node_at(it->s, it->node);
    const uint8_t *flags = it->at;
    if (it->back)
        for (int64_t count = int_at(it->at); count > 0; count--)
            flags = listpack_prev(n->lp, flags);
    it->id = entry_read(n, flags, &it->entry, &it->fields);
    if (!it->back) {
        it->at = listpack_next(n->lp, it->entry.end);
    } else {
        it->at = listpack_prev(n->lp, flags);
        if (int_at(it->at) == 0) /* the master entry's end */
            it->at = NULL;
    }
}

bool stream_iter_next(struct stream_iter *it)
{
    for (;;) {
        while (it->at) {
            step(it);
            if (sid_cmp(it->id, it->back ? it->from : it->to) * (it->back ? -1 : 1) > 0) {
                it->at = NULL; /* past the range */
                it->node = it->back ? 0 : it->s->n;
                return false;
            }
            bool before = sid_cmp(it->id, it->back ? it->to : it->from) * (it->back ? -1 : 1) < 0;
            if (before || (it->entry.flags & DELETED))
                continue;
            it->name = it->entry.flags & SAME ? master_names(node_at(it->s, it->node)->lp) : NULL;
            it->value = it->entry.body;
            return true;
        }
        if (it->back ? it->node == 0 : it->node + 1 >= it->s->n)
            return false;
        enter_node(it, it->back ? it->node - 1 : it->node + 1);
    }
}

void stream_iter_pair(struct stream_iter *it, struct slice *field, char ftmp[NUM_I64_MAX], struct slice *value,
                      char vtmp[NUM_I64_MAX])
{
    const uint8_t *lp = node_at(it->s, it->node)->lp;
    if (it->name) {
        *field = listpack_str(it->name, ftmp);
        it->name = listpack_next(lp, it->name);
    } else {
        *field = listpack_str(it->value, ftmp);
        it->value = listpack_next(lp, it->value);
    }
    *value = listpack_str(it->value, vtmp);
    it->value = listpack_next(lp, it->value);
}

/* --- taking away --- */

static void find_first(struct obj *o)
{
    struct stream *s = stream_of(o);
    struct stream_iter it;
    s->info.first = SID_MIN;
    stream_iter_begin(&it, o, SID_MIN, SID_MAX, false);
    if (stream_iter_next(&it))
        s->info.first = it.id;
}

/* flags_at stands at an entry of the node that is alive. */
static void mark_dead(struct node *n, const uint8_t *flags_at)
{
    uint8_t *lp = n->lp;
    listpack_replace_int(&lp, lp + (flags_at - lp), int_at(flags_at) | DELETED);
    n->lp = lp;
}

bool stream_delete(struct obj *o, struct sid id)
{
    struct stream *s = stream_of(o);
    struct stream_iter it;
    stream_iter_begin(&it, o, id, id, false);
    if (!stream_iter_next(&it))
        return false;
    struct node *n = node_at(s, it.node);
    if (node_live(n->lp) == 1) {
        node_drop(s, it.node);
    } else {
        mark_dead(n, it.entry.flags_at);
        count_dead(&n->lp, 1);
    }
    s->info.length--;
    if (sid_cmp(id, s->info.max_deleted) > 0)
        s->info.max_deleted = id;
    if (sid_cmp(id, s->info.first) == 0)
        find_first(o);
    return true;
}

static struct sid last_id_of(const struct node *n)
{
    const uint8_t *last = listpack_last(n->lp), *flags = last;
    struct stream_entry e;
    int64_t fields;
    for (int64_t count = int_at(last); count > 0; count--)
        flags = listpack_prev(n->lp, flags);
    return entry_read(n, flags, &e, &fields);
}

/* Marks entries of the first node, from its beginning, until the aim is reached. */
static uint64_t trim_inside(struct stream *s, const struct stream_trim *t)
{
    struct node *n = node_at(s, 0);
    int64_t gone = 0, fields;
    for (const uint8_t *at = first_entry(n->lp); at;) {
        struct stream_entry e;
        struct sid id = entry_read(n, at, &e, &fields);
        if (t->by_id ? sid_cmp(id, t->minid) >= 0 : s->info.length <= t->maxlen)
            break;
        size_t end = (size_t)(e.end - n->lp);
        if (!(e.flags & DELETED)) {
            mark_dead(n, at); /* as many bytes as before: flags are small integers */
            s->info.length--;
            gone++;
        }
        at = listpack_next(n->lp, n->lp + end);
    }
    if (gone)
        count_dead(&n->lp, gone);
    return (uint64_t)gone;
}

uint64_t stream_trim(struct obj *o, const struct stream_trim *t)
{
    struct stream *s = stream_of(o);
    uint64_t gone = 0;
    while (s->n && (t->by_id || s->info.length > t->maxlen)) {
        struct node *n = node_at(s, 0);
        uint64_t live = (uint64_t)node_live(n->lp);
        if (t->approx && t->limit && gone + live > t->limit)
            break;
        bool whole = t->by_id ? sid_cmp(last_id_of(n), t->minid) < 0 : s->info.length - live >= t->maxlen;
        if (!whole) {
            if (!t->approx)
                gone += trim_inside(s, t);
            break;
        }
        node_drop(s, 0);
        s->info.length -= live;
        gone += live;
    }
    if (gone)
        find_first(o);
    return gone;
}

void stream_set_id(struct obj *o, struct sid last, int64_t added, const struct sid *max_deleted)
{
    struct stream_info *i = &stream_of(o)->info;
    i->last = last;
    if (added >= 0)
        i->added = (uint64_t)added;
    if (max_deleted)
        i->max_deleted = *max_deleted;
}

/* --- for groups --- */

struct stream_groups *stream_groups_of(const struct obj *o)
{
    return &stream_of(o)->groups;
}

bool stream_broken_after(const struct obj *o, struct sid id)
{
    const struct stream_info *i = &stream_of(o)->info;
    return i->length && sid_cmp(i->max_deleted, SID_MIN) != 0 && sid_cmp(i->first, i->max_deleted) <= 0 &&
           sid_cmp(id, i->max_deleted) <= 0;
}

int64_t stream_position(const struct obj *o, struct sid id)
{
    const struct stream_info *i = &stream_of(o)->info;
    int last = sid_cmp(id, i->last), first = sid_cmp(id, i->first);
    if (i->added == 0)
        return 0;
    if (last == 0 || (i->length == 0 && last < 0))
        return (int64_t)i->added;
    if (last > 0)
        return STREAM_READ_UNKNOWN;
    bool whole = sid_cmp(i->max_deleted, SID_MIN) == 0 || sid_cmp(i->max_deleted, i->first) < 0;
    if (!whole || first > 0)
        return STREAM_READ_UNKNOWN;
    return (int64_t)(i->added - i->length) + (first == 0);
}

/* --- what the keyspace and persistence need --- */

static void stream_free(uint8_t enc, void *ptr)
{
    struct stream *s = ptr;
    for (size_t i = 0; i < s->n; i++)
        mem_free(node_at(s, i)->lp);
    mem_free(s->nodes);
    stream_groups_release(&s->groups);
    mem_free(s);
}

static size_t stream_effort(uint8_t enc, const void *ptr)
{
    const struct stream *s = ptr;
    return s->n + stream_groups_effort(&s->groups);
}

static size_t stream_size(const struct obj *o, int samples)
{
    const struct stream *s = stream_of(o);
    size_t seen = 0, bytes = 0;
    for (; seen < s->n && (samples == 0 || seen < (size_t)samples); seen++)
        bytes += mem_size(node_at(s, seen)->lp);
    double each = seen ? (double)bytes / (double)seen : 0;
    return mem_size(s) + (s->nodes ? mem_size(s->nodes) : 0) + (size_t)(each * (double)s->n) +
           stream_groups_bytes(&s->groups);
}

static int stream_copy(const struct obj *o, struct value *out, struct err *err)
{
    const struct stream *s = stream_of(o);
    struct value v = stream_new();
    struct stream *copy = v.ptr;
    copy->info = s->info;
    for (size_t i = 0; i < s->n; i++)
        node_add(copy, node_at(s, i)->id, listpack_dup(node_at(s, i)->lp));
    stream_groups_copy(&s->groups, &copy->groups);
    *out = v;
    return 0;
}

static uint8_t stream_rdb_type(const struct obj *o)
{
    return stream_groups_type(&stream_of(o)->groups);
}

static void put_id(struct rdb_out *to, struct sid id)
{
    rdb_put_len(to, id.ms);
    rdb_put_len(to, id.seq);
}

static struct sid get_id(struct rdb_in *from)
{
    struct sid id = {.ms = rdb_get_len(from)};
    id.seq = rdb_get_len(from);
    return id;
}

static void stream_save(const struct obj *o, struct rdb_out *to)
{
    const struct stream *s = stream_of(o);
    rdb_put_len(to, s->n);
    for (size_t i = 0; i < s->n; i++) {
        const struct node *n = node_at(s, i);
        char key[16]; /* both numbers, most significant byte first */
        for (int b = 0; b < 8; b++) {
            key[b] = (char)(n->id.ms >> (56 - 8 * b));
            key[8 + b] = (char)(n->id.seq >> (56 - 8 * b));
        }
        rdb_put_str(to, slice_of(key, sizeof key));
        rdb_put_str(to, slice_of((const char *)n->lp, listpack_bytes(n->lp)));
    }
    rdb_put_len(to, s->info.length);
    put_id(to, s->info.last);
    put_id(to, s->info.first);
    put_id(to, s->info.max_deleted);
    rdb_put_len(to, s->info.added);
    stream_groups_save(&s->groups, stream_rdb_type(o), to);
}

static struct sid id_of_key(struct slice key)
{
    struct sid id = {0};
    for (int b = 0; b < 8; b++) {
        id.ms = id.ms << 8 | (uint8_t)key.p[b];
        id.seq = id.seq << 8 | (uint8_t)key.p[8 + b];
    }
    return id;
}

/* Reads an integer and moves on; false when there is no element or it is none. */
static bool take_int(const uint8_t *lp, const uint8_t **at, int64_t *v)
{
    if (!*at || !listpack_int(*at, v))
        return false;
    *at = listpack_next(lp, *at);
    return true;
}

/* Whether an entry stands at *at, above *last; moves on. */
static bool entry_valid(const struct node *n, const uint8_t **at, int64_t names, struct sid *last, int64_t *flags,
                        bool first)
{
    int64_t ms, seq, fields = names, count;
    if (!take_int(n->lp, at, flags) || !take_int(n->lp, at, &ms) || !take_int(n->lp, at, &seq))
        return false;
    bool same = *flags & SAME;
    if (!same && !take_int(n->lp, at, &fields))
        return false;
    if (*flags < 0 || *flags > (DELETED | SAME) || fields < 0 || fields > INT32_MAX)
        return false;
    for (int64_t i = 0; i < (same ? fields : 2 * fields); i++) {
        if (!*at)
            return false;
        *at = listpack_next(n->lp, *at);
    }
    if (!take_int(n->lp, at, &count) || count != (same ? FIXED + fields : FIXED + 1 + 2 * fields))
        return false;
    struct sid id = {n->id.ms + (uint64_t)ms, n->id.seq + (uint64_t)seq};
    if (first ? sid_cmp(id, *last) < 0 : sid_cmp(id, *last) <= 0)
        return false;
    *last = id;
    return true;
}

/* Whether the listpack is a node with at least one entry. *last: no entry may be at or below it; it becomes the last. */
static bool node_valid(const struct node *n, struct sid *last, uint64_t *live_sum)
{
    int64_t live, dead, names, zero, flags, seen[2] = {0, 0};
    const uint8_t *at = listpack_first(n->lp);
    if (!take_int(n->lp, &at, &live) || !take_int(n->lp, &at, &dead) || !take_int(n->lp, &at, &names) || names < 0 ||
        names > INT32_MAX)
        return false;
    for (int64_t i = 0; i < names; i++) {
        if (!at)
            return false;
        at = listpack_next(n->lp, at);
    }
    if (!take_int(n->lp, &at, &zero) || zero != 0 || !at)
        return false;
    *last = n->id;
    for (bool first = true; at; first = false) {
        if (!entry_valid(n, &at, names, last, &flags, first))
            return false;
        seen[flags & DELETED]++;
    }
    *live_sum += (uint64_t)live;
    return live == seen[0] && dead == seen[1];
}

static int load_nodes(struct rdb_in *from, struct stream *s, uint64_t *live, struct sid *last, struct err *err)
{
    uint64_t n = rdb_get_len(from);
    if (!rdb_fits(from, n, 2))
        return err_set(err, ERR_GENERIC, "a stream that claims more nodes than there are bytes");
    for (uint64_t i = 0; i < n; i++) {
        struct slice key = rdb_get_str(from);
        if (from->bad || key.len != 16)
            return err_set(err, ERR_GENERIC, "a stream whose node has no id of 16 bytes");
        struct sid id = id_of_key(key);
        if (i > 0 && sid_cmp(id, *last) <= 0)
            return err_set(err, ERR_GENERIC, "a stream whose nodes are out of order");
        struct slice bytes = rdb_get_str(from);
        if (from->bad || !listpack_valid(bytes.p, bytes.len))
            return err_set(err, ERR_GENERIC, "a stream whose listpack is damaged");
        struct node probe = {id, (uint8_t *)bytes.p};
        if (!node_valid(&probe, last, live))
            return err_set(err, ERR_GENERIC, "a stream with a node that holds no proper entries");
        node_add(s, id, listpack_dup((const uint8_t *)bytes.p));
    }
    return 0;
}

static int stream_load(uint8_t rdb_type, struct rdb_in *from, struct value *out, struct err *err)
{
    struct value v = stream_new();
    struct stream *s = v.ptr;
    struct sid last = SID_MIN;
    uint64_t live = 0;
    int rc = load_nodes(from, s, &live, &last, err);
    if (rc == 0) {
        s->info.length = rdb_get_len(from);
        s->info.last = get_id(from);
        if (rdb_type != RDB_STREAM_LISTPACKS) {
            s->info.first = get_id(from);
            s->info.max_deleted = get_id(from);
            s->info.added = rdb_get_len(from);
        } else {
            s->info.added = s->info.length;
        }
        if (from->bad)
            rc = err_set(err, ERR_GENERIC, "a stream that ends too early");
        else if (live != s->info.length || sid_cmp(last, s->info.last) > 0)
            rc = err_set(err, ERR_GENERIC, "a stream whose length or last id is not that of its entries");
        else
            rc = stream_groups_load(&s->groups, rdb_type, from, err);
    }
    if (rc < 0) {
        stream_free(ENC_STREAM, s);
        return rc;
    }
    struct obj tmp = {.type = OBJ_STREAM, .enc = ENC_STREAM, .v.ptr = s};
    find_first(&tmp);
    for (size_t i = 0; rdb_type == RDB_STREAM_LISTPACKS && i < s->groups.n; i++)
        s->groups.group[i]->read = stream_position(&tmp, s->groups.group[i]->last);
    *out = v;
    return 0;
}

static void stream_digest(const struct obj *o, uint8_t sha[20])
{
    struct stream_iter it;
    char text[SID_TEXT], ftmp[NUM_I64_MAX], vtmp[NUM_I64_MAX];
    digest_mix(sha, sid_format(stream_of(o)->info.last, text));
    for (stream_iter_begin(&it, o, SID_MIN, SID_MAX, false); stream_iter_next(&it);) {
        digest_mix(sha, sid_format(it.id, text));
        for (int64_t i = 0; i < it.fields; i++) {
            struct slice f, v;
            stream_iter_pair(&it, &f, ftmp, &v, vtmp);
            digest_mix(sha, f);
            digest_mix(sha, v);
        }
    }
    stream_groups_digest(&stream_of(o)->groups, sha);
}

/* The nodes, then what consumers have not acknowledged. */
static uint64_t stream_relocate(struct obj *o, uint64_t cursor)
{
    enum { AT_ONCE = 16 };
    struct stream *s = stream_of(o);
    for (int i = 0; cursor < s->n && i < AT_ONCE; i++, cursor++) {
        uint8_t **lp = &s->nodes[s->first + cursor].lp;
        *lp = mem_relocated(*lp);
    }
    if (cursor < s->n)
        return cursor;
    stream_groups_relocate(&s->groups);
    return 0;
}

const struct type_ops stream_ops = {
    .name = "stream",
    .id = OBJ_STREAM,
    .free = stream_free,
    .size = stream_size,
    .copy = stream_copy,
    .rdb_type = stream_rdb_type,
    .save = stream_save,
    .load = stream_load,
    .digest = stream_digest,
    .effort = stream_effort,
    .relocate = stream_relocate,
};
