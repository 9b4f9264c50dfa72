/* Lists, see t_list.h.
 *
 * v.ptr is the listpack itself (ENC_LISTPACK) or a struct quicklist. Reading code does not tell the two apart: a
 * listpack is seen as a chain of one node that stands on the stack. Changing code does, because only the chain splits
 * and merges. When the encodings change, by how much a node may be filled, and when an element is "large" follow Redis
 * 7.2, whose suite looks at OBJECT ENCODING closely.
 *
 * Nodes are never empty. Deleting in the middle merges a node into its neighbour when both together fill at most half
 * a node, so that LREM on a long queue does not leave a chain of crumbs. */
#include "store/t_list.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/setting.h"
#include "store/digest.h"
#include "store/listpack.h"
#include "store/rdb.h"
#include "store/types.h"

#define SAFETY_LIMIT   8192 /* bytes of a node whose limit is a number of elements */
#define ENTRY_OVERHEAD 8    /* what an element costs in a listpack besides its bytes, roughly and at most */

static int64_t fill, compress_depth;
static size_t plain_from;

static const struct setting settings[] = {
    {"list-max-listpack-size", SETTING_INT, &fill, "-2", .min = INT32_MIN, .max = INT32_MAX,
     .help = "How much one node of a list holds: a number of elements, or -1 to -5 for 4, 8, 16, 32 or 64 KB."},
    {"list-max-ziplist-size", SETTING_INT, &fill, "-2", .min = INT32_MIN, .max = INT32_MAX,
     .flags = SETTING_HIDDEN | SETTING_ALIAS, .help = "The old name of list-max-listpack-size."},
    {"list-compress-depth", SETTING_INT, &compress_depth, "0", .min = 0, .max = INT32_MAX,
     .help = "Accepted so that Redis's configuration files load; the inner nodes of lists are not compressed."},
};

void list_settings(void)
{
    SETTING_REGISTER(settings);
}

void list_set_plain_from(size_t bytes)
{
    plain_from = bytes;
}

/* --- how much fits --- */

static size_t bytes_limit(void) /* SIZE_MAX: the limit is a number of elements */
{
    static const size_t levels[] = {4096, 8192, 16384, 32768, 65536};
    if (fill >= 0)
        return SIZE_MAX;
    int64_t level = -fill - 1;
    return levels[level > 4 ? 4 : level];
}

static size_t count_limit(void)
{
    return fill > 0 ? (size_t)fill : fill == 0 ? 1 : SIZE_MAX;
}

static bool exceeds(size_t bytes, size_t count)
{
    if (fill < 0)
        return bytes > bytes_limit();
    return bytes > SAFETY_LIMIT || count > count_limit();
}

static bool is_large(size_t len)
{
    if (plain_from)
        return len >= plain_from;
    return len > (fill >= 0 ? SAFETY_LIMIT : bytes_limit());
}

static bool node_takes(const struct list_node *n, size_t len)
{
    return n && !n->plain && !is_large(len) && !exceeds(n->bytes + len + ENTRY_OVERHEAD, (size_t)n->count + 1);
}

/* --- nodes and chains --- */

struct quicklist {
    struct list_node *head, *tail;
    struct list_node *mark; /* how far relocation came; NULL: it does not run, or is at the end */
    size_t count, nodes;
};

static struct quicklist *chain_of(const struct obj *o)
{
    return o->v.ptr;
}

static void link_after(struct quicklist *q, struct list_node *at, struct list_node *n) /* at NULL: at the head */
{
    n->prev = at;
    n->next = at ? at->next : q->head;
    *(n->next ? &n->next->prev : &q->tail) = n;
    *(at ? &at->next : &q->head) = n;
    q->nodes++;
    q->count += n->count;
}

static void unlink_node(struct quicklist *q, struct list_node *n)
{
    *(n->prev ? &n->prev->next : &q->head) = n->next;
    *(n->next ? &n->next->prev : &q->tail) = n->prev;
    q->mark = q->mark == n ? n->next : q->mark;
    q->nodes--;
    q->count -= n->count;
    mem_free(n->p);
    mem_free(n);
}

static struct list_node *node_of_pack(uint8_t *lp)
{
    struct list_node *n = mem_zero(sizeof *n);
    n->p = lp;
    n->bytes = listpack_bytes(lp);
    n->count = (uint32_t)listpack_count(lp);
    return n;
}

static struct list_node *node_of(struct slice s)
{
    if (!is_large(s.len)) {
        uint8_t *lp = listpack_create(s.len + ENTRY_OVERHEAD);
        listpack_append(&lp, s);
        return node_of_pack(lp);
    }
    struct list_node *n = mem_zero(sizeof *n);
    n->p = mem_dup(s.p, s.len);
    n->bytes = s.len;
    n->count = 1;
    n->plain = true;
    return n;
}

/* After a change of n's listpack by delta elements. */
static void repack(struct quicklist *q, struct list_node *n, uint8_t *lp, long delta)
{
    n->p = lp;
    n->bytes = listpack_bytes(lp);
    n->count = (uint32_t)((long)n->count + delta);
    q->count = (size_t)((long)q->count + delta);
}

static void chain_push(struct quicklist *q, bool head, struct slice s)
{
    struct list_node *n = head ? q->head : q->tail;
    if (!node_takes(n, s.len)) {
        link_after(q, head ? NULL : q->tail, node_of(s));
        return;
    }
    uint8_t *lp = n->p;
    if (head)
        listpack_prepend(&lp, s);
    else
        listpack_append(&lp, s);
    repack(q, n, lp, 1);
}

/* Elements k and up of n move to a new node behind it. */
static void split(struct quicklist *q, struct list_node *n, size_t k)
{
    uint8_t *left = n->p, *right = listpack_dup(left);
    listpack_delete(&left, listpack_seek(left, (long)k), n->count - k);
    listpack_delete(&right, listpack_first(right), k);
    long moved = (long)n->count - (long)k;
    repack(q, n, left, -moved);
    link_after(q, n, node_of_pack(right));
}

static void merge_small(struct quicklist *q, struct list_node *n)
{
    struct list_node *next = n ? n->next : NULL;
    if (!next || n->plain || next->plain || exceeds(2 * (n->bytes + next->bytes), 2 * ((size_t)n->count + next->count)))
        return;
    uint8_t *lp = n->p;
    long added = next->count;
    for (const uint8_t *p = listpack_first(next->p); p; p = listpack_next(next->p, p)) {
        char tmp[NUM_I64_MAX];
        listpack_append(&lp, listpack_str(p, tmp));
    }
    unlink_node(q, next);
    repack(q, n, lp, added);
}

/* Puts s before element k of n (k == count: behind the last). */
static void chain_insert(struct quicklist *q, struct list_node *n, size_t k, struct slice s)
{
    if (node_takes(n, s.len)) {
        uint8_t *lp = n->p;
        if (k < n->count)
            listpack_insert_before(&lp, listpack_seek(lp, (long)k), s);
        else
            listpack_append(&lp, s);
        repack(q, n, lp, 1);
        return;
    }
    if (k > 0 && k < n->count)
        split(q, n, k);
    struct list_node *left = k ? n : n->prev, *right = left ? left->next : n;
    bool into_left = node_takes(left, s.len), into_right = node_takes(right, s.len);
    if (!into_left && !into_right) {
        link_after(q, left, node_of(s));
        return;
    }
    struct list_node *to = into_left ? left : right;
    uint8_t *lp = to->p;
    if (into_left)
        listpack_append(&lp, s);
    else
        listpack_prepend(&lp, s);
    repack(q, to, lp, 1);
}

/* --- the two encodings --- */

struct value list_new(void)
{
    return value_container(OBJ_LIST, ENC_LISTPACK, listpack_create(0));
}

size_t list_len(const struct obj *o)
{
    return o->enc == ENC_LISTPACK ? listpack_count(o->v.ptr) : chain_of(o)->count;
}

static void to_chain(struct obj *o)
{
    struct quicklist *q = mem_zero(sizeof *q);
    if (listpack_first(o->v.ptr))
        link_after(q, NULL, node_of_pack(o->v.ptr));
    else
        mem_free(o->v.ptr);
    o->v.ptr = q;
    o->enc = ENC_QUICKLIST;
}

/* Before n elements of `bytes` in all are added. */
static void grow(struct obj *o, size_t bytes, size_t n, bool large)
{
    uint8_t *lp = o->v.ptr;
    if (o->enc == ENC_LISTPACK && (large || exceeds(listpack_bytes(lp) + bytes, listpack_count(lp) + n)))
        to_chain(o);
}

/* A chain of one node becomes a listpack when it fills at most `part` (1/part) of what a node may hold. */
static void shrink(struct obj *o, size_t part)
{
    if (o->enc == ENC_LISTPACK)
        return;
    struct quicklist *q = o->v.ptr;
    struct list_node *n = q->head;
    if (q->nodes != 1 || n->plain || n->bytes > bytes_limit() / part || n->count > count_limit() / part)
        return;
    o->v.ptr = n->p;
    o->enc = ENC_LISTPACK;
    mem_free(n);
    mem_free(q);
}

/* The first or last node; that of a listpack is made up in *only. */
static struct list_node *outer_node(const struct obj *o, bool tail, struct list_node *only)
{
    if (o->enc == ENC_QUICKLIST)
        return tail ? chain_of(o)->tail : chain_of(o)->head;
    *only = (struct list_node){
        .p = o->v.ptr, .bytes = listpack_bytes(o->v.ptr), .count = (uint32_t)listpack_count(o->v.ptr)};
    return only;
}

/* The node of an index and the index in it; NULL when out of range. Walks from the nearer end. */
static struct list_node *seek(const struct obj *o, int64_t index, struct list_node *only, size_t *k)
{
    size_t len = list_len(o);
    if (index < 0)
        index += (int64_t)len;
    if (index < 0 || (uint64_t)index >= len)
        return NULL;
    size_t left = (size_t)index;
    if (left < len / 2 || o->enc == ENC_LISTPACK) {
        struct list_node *n = outer_node(o, false, only);
        for (; left >= n->count; n = n->next)
            left -= n->count;
        *k = left;
        return n;
    }
    left = len - left; /* how many from the element to the end */
    struct list_node *n = chain_of(o)->tail;
    for (; left > n->count; n = n->prev)
        left -= n->count;
    *k = n->count - left;
    return n;
}

static struct slice element(const struct list_node *n, const uint8_t *at, char tmp[NUM_I64_MAX])
{
    return n->plain ? slice_of((const char *)n->p, n->bytes) : listpack_str(at, tmp);
}

/* --- adding and reading --- */

void list_push(struct obj *o, bool head, const struct slice *s, int n)
{
    size_t bytes = 0;
    bool large = false;
    for (int i = 0; i < n; i++) {
        bytes += s[i].len;
        large |= is_large(s[i].len);
    }
    grow(o, bytes, (size_t)n, large);
    for (int i = 0; i < n; i++) {
        if (o->enc == ENC_QUICKLIST) {
            chain_push(o->v.ptr, head, s[i]);
            continue;
        }
        uint8_t *lp = o->v.ptr;
        if (head)
            listpack_prepend(&lp, s[i]);
        else
            listpack_append(&lp, s[i]);
        o->v.ptr = lp;
    }
}

struct slice list_end(const struct obj *o, bool head, char tmp[NUM_I64_MAX])
{
    struct list_node only;
    const struct list_node *n = outer_node(o, !head, &only);
    const uint8_t *at = n->plain ? NULL : head ? listpack_first(n->p) : listpack_last(n->p);
    return element(n, at, tmp);
}

bool list_get(const struct obj *o, int64_t index, struct slice *out, char tmp[NUM_I64_MAX])
{
    struct list_node only;
    size_t k;
    const struct list_node *n = seek(o, index, &only, &k);
    if (n)
        *out = element(n, n->plain ? NULL : listpack_seek(n->p, (long)k), tmp);
    return n != NULL;
}

static void chain_replace(struct obj *o, struct list_node *n, size_t k, size_t index, struct slice s)
{
    struct quicklist *q = o->v.ptr;
    if (!n->plain && !is_large(s.len) && (n->count == 1 || !exceeds(n->bytes + s.len, n->count))) {
        uint8_t *lp = n->p;
        listpack_replace(&lp, listpack_seek(lp, (long)k), s);
        repack(q, n, lp, 0);
        return;
    }
    chain_insert(q, n, k, s);
    struct list_node only;
    n = seek(o, (int64_t)index + 1, &only, &k); /* the old one, now behind the new one */
    if (n->count == 1) {
        unlink_node(q, n);
        return;
    }
    uint8_t *lp = n->p;
    listpack_delete(&lp, listpack_seek(lp, (long)k), 1);
    repack(q, n, lp, -1);
}

bool list_set(struct obj *o, int64_t index, struct slice s)
{
    struct list_node only;
    size_t k;
    grow(o, s.len, 1, is_large(s.len));
    struct list_node *n = seek(o, index, &only, &k);
    if (!n)
        return false;
    if (o->enc == ENC_LISTPACK) {
        uint8_t *lp = o->v.ptr;
        listpack_replace(&lp, listpack_seek(lp, (long)k), s);
        o->v.ptr = lp;
        return true;
    }
    chain_replace(o, n, k, index < 0 ? (size_t)((int64_t)list_len(o) + index) : (size_t)index, s);
    shrink(o, 2);
    return true;
}

/* --- walking --- */

void list_iter_begin(struct list_iter *it, const struct obj *o, int64_t index, bool back)
{
    size_t k = 0;
    it->back = back;
    it->node = seek(o, index, &it->only, &k);
    it->at = it->node && !it->node->plain ? listpack_seek(it->node->p, (long)k) : NULL;
}

/* it->node and it->at stand on the element to come; at is NULL for a plain node. */
bool list_iter_next(struct list_iter *it)
{
    const struct list_node *n = it->node;
    if (!n)
        return false;
    it->value = element(n, it->at, it->tmp);
    if (it->at)
        it->at = it->back ? listpack_prev(n->p, it->at) : listpack_next(n->p, it->at);
    if (it->at)
        return true;
    it->node = n = it->back ? n->prev : n->next;
    if (n && !n->plain)
        it->at = it->back ? listpack_last(n->p) : listpack_first(n->p);
    return true;
}

/* An element looked for: as bytes, and as an integer when it is one, since then listpacks hold it as one. */
struct want {
    struct slice s;
    bool is_int;
    int64_t num;
};

static struct want want_of(struct slice s)
{
    struct want w = {.s = s};
    w.is_int = num_to_i64(s, &w.num);
    return w;
}

static bool matches(const struct list_node *n, const uint8_t *at, const struct want *w)
{
    if (n->plain)
        return slice_eq(slice_of((const char *)n->p, n->bytes), w->s);
    struct listpack_val v = listpack_get(at);
    return v.is_int ? w->is_int && v.num == w->num : slice_eq(v.str, w->s);
}

bool list_insert(struct obj *o, struct slice pivot, bool before, struct slice s)
{
    struct list_node only;
    struct want w = want_of(pivot);
    grow(o, s.len, 1, is_large(s.len));
    for (struct list_node *n = outer_node(o, false, &only); n; n = n->next) {
        const uint8_t *at = n->plain ? NULL : listpack_first(n->p);
        for (size_t k = 0; k < n->count; k++, at = at ? listpack_next(n->p, at) : NULL) {
            if (!matches(n, at, &w))
                continue;
            uint8_t *lp = n->p;
            if (o->enc == ENC_QUICKLIST)
                chain_insert(o->v.ptr, n, before ? k : k + 1, s);
            else if (before)
                listpack_insert_before(&lp, lp + (at - lp), s);
            else
                listpack_insert_after(&lp, lp + (at - lp), s);
            if (o->enc == ENC_LISTPACK)
                o->v.ptr = lp;
            return true;
        }
    }
    return false;
}

/* --- deleting --- */

void list_delete(struct obj *o, size_t start, size_t n)
{
    struct list_node only, *at;
    size_t k;
    if (n == 0 || !(at = seek(o, (int64_t)start, &only, &k)))
        return;
    if (o->enc == ENC_LISTPACK) {
        uint8_t *lp = o->v.ptr;
        listpack_delete(&lp, listpack_seek(lp, (long)k), n);
        o->v.ptr = lp;
        return;
    }
    struct quicklist *q = o->v.ptr;
    struct list_node *before = k ? at : at->prev;
    for (struct list_node *next; n && at; at = next, k = 0) {
        size_t here = at->count - k < n ? at->count - k : n;
        next = at->next;
        n -= here;
        if (here == at->count) {
            unlink_node(q, at);
            continue;
        }
        uint8_t *lp = at->p;
        listpack_delete(&lp, listpack_seek(lp, (long)k), here);
        repack(q, at, lp, -(long)here);
    }
    merge_small(q, before);
    shrink(o, 2);
}

/* Deletes matches in one node, at most max, from its head or its tail on. Returns how many; n->p and its figures (not
 * the chain's) are up to date. */
static size_t remove_in(struct list_node *n, const struct want *w, bool back, size_t max)
{
    size_t gone = 0;
    uint8_t *lp = n->p, *at = back ? listpack_last(lp) : listpack_first(lp);
    while (at && gone < max) {
        if (!matches(n, at, w)) {
            at = back ? listpack_prev(lp, at) : listpack_next(lp, at);
            continue;
        }
        at = listpack_delete(&lp, at, 1);
        if (back)
            at = at ? listpack_prev(lp, at) : listpack_last(lp);
        n->p = lp;
        gone++;
    }
    n->bytes = listpack_bytes(lp);
    n->count -= (uint32_t)gone;
    return gone;
}

static size_t chain_remove(struct quicklist *q, const struct want *w, bool back, size_t max)
{
    size_t gone = 0;
    for (struct list_node *n = back ? q->tail : q->head, *next; n && gone < max; n = next) {
        next = back ? n->prev : n->next;
        if (n->plain) {
            if (matches(n, NULL, w)) {
                unlink_node(q, n);
                gone++;
            }
            continue;
        }
        size_t here = remove_in(n, w, back, max - gone);
        gone += here;
        q->count -= here;
        if (n->count == 0)
            unlink_node(q, n);
        else if (here)
            merge_small(q, back ? n : n->prev); /* with the neighbour that is done with */
    }
    return gone;
}

size_t list_remove(struct obj *o, struct slice s, int64_t count)
{
    struct want w = want_of(s);
    bool back = count < 0;
    size_t max = count == 0 ? SIZE_MAX : back ? (size_t)0 - (size_t)count : (size_t)count;
    if (o->enc == ENC_QUICKLIST) {
        size_t gone = chain_remove(o->v.ptr, &w, back, max);
        shrink(o, 2);
        return gone;
    }
    struct list_node only;
    outer_node(o, false, &only);
    size_t gone = remove_in(&only, &w, back, max);
    o->v.ptr = only.p;
    return gone;
}

/* --- what the keyspace and persistence need --- */

static void list_free(uint8_t enc, void *ptr)
{
    if (enc == ENC_QUICKLIST)
        for (struct list_node *n = ((struct quicklist *)ptr)->head, *next; n; n = next) {
            next = n->next;
            mem_free(n->p);
            mem_free(n);
        }
    mem_free(ptr);
}

static size_t list_effort(uint8_t enc, const void *ptr)
{
    return enc == ENC_QUICKLIST ? ((const struct quicklist *)ptr)->nodes : 1;
}

static size_t list_size(const struct obj *o, int samples)
{
    if (o->enc == ENC_LISTPACK)
        return mem_size(o->v.ptr);
    const struct quicklist *q = o->v.ptr;
    size_t seen = 0, bytes = 0;
    for (const struct list_node *n = q->head; n && (samples == 0 || seen < (size_t)samples); n = n->next, seen++)
        bytes += mem_size(n) + mem_size(n->p);
    double each = seen ? (double)bytes / (double)seen : 0;
    return mem_size(q) + (size_t)(each * (double)q->nodes);
}

static int list_copy(const struct obj *o, struct value *out, struct err *err)
{
    if (o->enc == ENC_LISTPACK) {
        *out = value_container(OBJ_LIST, ENC_LISTPACK, listpack_dup(o->v.ptr));
        return 0;
    }
    struct quicklist *q = mem_zero(sizeof *q);
    for (const struct list_node *n = chain_of(o)->head; n; n = n->next) {
        struct list_node *copy = mem_dup(n, sizeof *n);
        copy->p = mem_dup(n->p, n->bytes);
        link_after(q, q->tail, copy);
    }
    *out = value_container(OBJ_LIST, ENC_QUICKLIST, q);
    return 0;
}

static uint8_t list_rdb_type(const struct obj *o)
{
    return RDB_LIST_QUICKLIST_2;
}

enum container { CONTAINER_PLAIN = 1, CONTAINER_PACKED = 2 }; /* how type 18 marks a node */

static void list_save(const struct obj *o, struct rdb_out *to)
{
    struct list_node only;
    rdb_put_len(to, o->enc == ENC_QUICKLIST ? chain_of(o)->nodes : 1);
    for (const struct list_node *n = outer_node(o, false, &only); n; n = n->next) {
        rdb_put_len(to, n->plain ? CONTAINER_PLAIN : CONTAINER_PACKED);
        rdb_put_str(to, slice_of((const char *)n->p, n->bytes));
    }
}

static int load_nodes(struct rdb_in *from, struct obj *tmp, struct err *err)
{
    uint64_t nodes = rdb_get_len(from);
    if (!rdb_fits(from, nodes, 2))
        return err_set(err, ERR_GENERIC, "a list that claims more nodes than there are bytes");
    to_chain(tmp);
    struct quicklist *q = tmp->v.ptr;
    for (uint64_t i = 0; i < nodes; i++) {
        uint64_t container = rdb_get_len(from);
        struct slice s = rdb_get_str(from);
        if (from->bad || (container != CONTAINER_PLAIN && container != CONTAINER_PACKED))
            return err_set(err, ERR_GENERIC, "a list with a node of unknown form, or that ends too early");
        if (container == CONTAINER_PACKED && !listpack_valid(s.p, s.len))
            return err_set(err, ERR_GENERIC, "a list whose listpack is damaged");
        if (container == CONTAINER_PLAIN)
            link_after(q, q->tail, node_of(s));
        else if (listpack_first((const uint8_t *)s.p)) /* some versions of Redis left empty nodes */
            link_after(q, q->tail, node_of_pack(listpack_dup((const uint8_t *)s.p)));
    }
    return 0;
}

static int load_elements(struct rdb_in *from, struct obj *tmp, struct err *err)
{
    uint64_t n = rdb_get_len(from);
    if (!rdb_fits(from, n, 1))
        return err_set(err, ERR_GENERIC, "a list that claims more elements than there are bytes");
    for (uint64_t i = 0; i < n; i++) {
        struct slice s = rdb_get_str(from);
        if (from->bad)
            return err_set(err, ERR_GENERIC, "a list that ends too early");
        list_push(tmp, false, &s, 1);
    }
    return 0;
}

static int list_load(uint8_t rdb_type, struct rdb_in *from, struct value *out, struct err *err)
{
    struct value fresh = list_new();
    struct obj tmp = {.type = OBJ_LIST, .enc = fresh.enc, .v.ptr = fresh.ptr};
    int rc;
    if (rdb_type == RDB_LIST_QUICKLIST_2)
        rc = load_nodes(from, &tmp, err);
    else if (rdb_type == RDB_LIST)
        rc = load_elements(from, &tmp, err);
    else
        rc = err_set(err, ERR_GENERIC, "a list in the form %u, which is of a Redis before 7.0", rdb_type);
    if (rc == 0 && list_len(&tmp) == 0)
        rc = err_set(err, ERR_GENERIC, "a list that is empty");
    if (rc < 0) {
        list_free(tmp.enc, tmp.v.ptr);
        return rc;
    }
    shrink(&tmp, 1);
    *out = value_container(OBJ_LIST, (enum obj_enc)tmp.enc, tmp.v.ptr);
    return 0;
}

static void list_digest(const struct obj *o, uint8_t sha[20])
{
    struct list_iter it;
    for (list_iter_begin(&it, o, 0, false); list_iter_next(&it);)
        digest_mix(sha, it.value);
}

/* Node by node, from the head (cursor 0) or the mark; a node that goes meanwhile passes the mark on. */
static uint64_t list_relocate(struct obj *o, uint64_t cursor)
{
    enum { AT_ONCE = 16 };
    o->v.ptr = mem_relocated(o->v.ptr);
    if (o->enc != ENC_QUICKLIST)
        return 0;
    struct quicklist *q = chain_of(o);
    struct list_node *n = cursor ? q->mark : q->head;
    for (int i = 0; n && i < AT_ONCE; i++, n = n->next) {
        n = mem_relocated(n);
        n->p = mem_relocated(n->p);
        *(n->next ? &n->next->prev : &q->tail) = n;
        *(n->prev ? &n->prev->next : &q->head) = n;
    }
    q->mark = n;
    return n != NULL;
}

const struct type_ops list_ops = {
    .name = "list",
    .id = OBJ_LIST,
    .free = list_free,
    .size = list_size,
    .copy = list_copy,
    .rdb_type = list_rdb_type,
    .save = list_save,
    .load = list_load,
    .digest = list_digest,
    .effort = list_effort,
    .relocate = list_relocate,
};
