/* The counted B+-tree of ztree.h.
 *
 * Why not a skip list, as Redis has: its search visits one node for each step, about 30 among a million members, each a
 * cache miss. Here the scores stand side by side in the nodes; a search among a million reads four nodes, of which all
 * but the leaf are usually cached, and looks at a member itself only when scores are equal. Moving a member among a
 * million to a random score is three times as fast as in the skip list that was here before.
 *
 * Leaves hold the members in order, 62 at most (a kilobyte, then); inner nodes hold for each kid its least member with
 * its score, and how many members are below it. Invariants, which ztree_check looks at:
 *
 *   1. A leaf's items ascend; the leaves are a list in the same order.
 *   2. An inner node's `score` and `least` of a kid are those of the kid's own first item; `count` is the sum below it.
 *   3. All leaves are at one depth. No leaf is empty but a root; an inner node has two kids at least.
 *   4. A member's score is the score that its leaf says.
 *
 * Nodes that are full are split on the way down, so that there is room in the parent. Who adds at an end of the order
 * (a time series, a copy, a load) gets full nodes: such a split leaves nearly everything on one side. On the way back
 * up from a removal a node below a quarter is merged with a neighbour or takes from it. */
#include "store/ztree.h"

#include <assert.h>
#include <stddef.h>

#include "base/mem.h"

#define MAX   62
#define MIN   (MAX / 4)
#define DEPTH 40 /* two kids at least, 2^32 members at most */

struct zmember {
    double score;
    uint32_t len;
    char bytes[];
};

struct znode {
    uint16_t n;
    bool inner;
    struct znode *prev, *next; /* leaves only */
    double score[MAX];
    struct zmember *least[MAX]; /* a leaf: the member itself */
    struct kid {                /* inner nodes only: a leaf ends before this */
        struct znode *node;
        size_t count;
    } kid[];
};
#define LEAF_BYTES  sizeof(struct znode)
#define INNER_BYTES (sizeof(struct znode) + MAX * sizeof(struct kid))
_Static_assert(LEAF_BYTES <= 1024 && INNER_BYTES <= 2048 + 64, "what the allocator has sizes for");

struct ztree {
    struct dict dict;
    struct znode *root;
    size_t leaves, inners;
};

/* --- members --- */

struct slice zmember_bytes(const struct zmember *m)
{
    return slice_of(m->bytes, m->len);
}

double zmember_score(const struct zmember *m)
{
    return m->score;
}

static struct slice entry_key(const void *entry)
{
    return zmember_bytes(entry);
}

static const struct dict_type members_type = {.key = entry_key, .free = mem_free};

static struct zmember *member_make(struct slice bytes, double score)
{
    assert(bytes.len <= UINT32_MAX);                           /* the protocol's bulk limit is far below */
    size_t need = offsetof(struct zmember, bytes) + bytes.len; /* the struct's padding is not wasted */
    struct zmember *m = mem_alloc(need > sizeof *m ? need : sizeof *m);
    m->score = score;
    m->len = (uint32_t)bytes.len;
    if (bytes.len)
        memcpy(m->bytes, bytes.p, bytes.len);
    return m;
}

/* --- nodes --- */

static struct znode *node_make(struct ztree *z, bool inner)
{
    struct znode *n = mem_alloc(inner ? INNER_BYTES : LEAF_BYTES);
    n->n = 0;
    n->inner = inner;
    n->prev = n->next = NULL;
    *(inner ? &z->inners : &z->leaves) += 1;
    return n;
}

static void node_free(struct ztree *z, struct znode *n)
{
    *(n->inner ? &z->inners : &z->leaves) -= 1;
    mem_free(n);
}

static void free_below(struct ztree *z, struct znode *n)
{
    for (unsigned i = 0; n->inner && i < n->n; i++)
        free_below(z, n->kid[i].node);
    node_free(z, n);
}

/* How many of the scores are below this one (or_equal: not above it). No branch depends on them: they are
 * unforeseeable. */
static inline unsigned scores_below(const struct znode *n, double score, bool or_equal)
{
    const double *at = n->score;
    unsigned left = n->n;
    while (left > 1) {
        unsigned half = left / 2;
        at += (or_equal ? at[half - 1] <= score : at[half - 1] < score) ? half : 0;
        left -= half;
    }
    return (unsigned)(at - n->score) + (left && (or_equal ? *at <= score : *at < score));
}

/* How many of the items come before this one (or_equal: or are it). Members are compared among equal scores only. */
static unsigned items_before(const struct znode *n, double score, struct slice bytes, bool or_equal)
{
    unsigned low = scores_below(n, score, false);
    if (low == n->n || n->score[low] != score)
        return low;
    for (unsigned high = scores_below(n, score, true); low < high;) {
        unsigned mid = (low + high) / 2;
        int c = slice_cmp(zmember_bytes(n->least[mid]), bytes);
        if (c < 0 || (or_equal && c == 0))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Moves n items from one place to another, within a node or between two of a kind. */
static void move_items(struct znode *to, unsigned at, const struct znode *from, unsigned first, unsigned n)
{
    memmove(to->score + at, from->score + first, n * sizeof *to->score);
    memmove(to->least + at, from->least + first, n * sizeof *to->least);
    if (to->inner)
        memmove(to->kid + at, from->kid + first, n * sizeof *to->kid);
}

static size_t count_of(const struct znode *n)
{
    size_t sum = n->inner ? 0 : n->n;
    for (unsigned i = 0; n->inner && i < n->n; i++)
        sum += n->kid[i].count;
    return sum;
}

/* What a parent says of its kid i, from the kid itself (which is not empty). */
static inline void describe_least(struct znode *parent, unsigned i)
{
    parent->score[i] = parent->kid[i].node->score[0];
    parent->least[i] = parent->kid[i].node->least[0];
}

/* --- the way down --- */

struct path {
    struct znode *node[DEPTH];
    unsigned at[DEPTH]; /* the kid taken; in the leaf, the item */
    unsigned depth;     /* of the leaf */
};

/* Which kid an item is in, or would be. */
static inline unsigned kid_for(const struct znode *n, double score, struct slice bytes)
{
    unsigned i = items_before(n, score, bytes, true);
    return i ? i - 1 : 0;
}

static inline void step_down(struct path *p, struct znode *n, unsigned at)
{
    assert(p->depth < DEPTH);
    p->node[p->depth] = n;
    p->at[p->depth++] = at;
}

/* The search in a node goes to and fro in its scores; asked for together, their cache lines come together. */
static inline struct znode *fetched(struct znode *n)
{
    for (size_t at = 0; at < offsetof(struct znode, least); at += 64)
        __builtin_prefetch((const char *)n + at);
    return n;
}

/* To the first item that is not before this one. */
static void path_to(const struct ztree *z, double score, struct slice bytes, struct path *p)
{
    struct znode *n = z->root;
    p->depth = 0;
    while (n->inner) {
        unsigned i = kid_for(n, score, bytes);
        step_down(p, n, i);
        n = fetched(n->kid[i].node);
    }
    p->node[p->depth] = n;
    p->at[p->depth] = items_before(n, score, bytes, false);
}

static size_t rank_of(const struct path *p)
{
    size_t rank = p->at[p->depth];
    for (unsigned d = 0; d < p->depth; d++)
        for (unsigned k = 0; k < p->at[d]; k++)
            rank += p->node[d]->kid[k].count;
    return rank;
}

static void path_to_rank(const struct ztree *z, size_t rank, struct path *p)
{
    struct znode *n = z->root;
    p->depth = 0;
    while (n->inner) {
        unsigned i = 0;
        while (i + 1 < n->n && rank >= n->kid[i].count)
            rank -= n->kid[i++].count;
        step_down(p, n, i);
        n = n->kid[i].node;
    }
    p->node[p->depth] = n;
    p->at[p->depth] = (unsigned)rank;
}

/* --- adding --- */

/* Where a full node is cut for this item: in the middle, but near the end where the item comes, at an end of the order.
 */
static unsigned where_to_cut(const struct znode *n, const struct znode *parent, unsigned i, double score,
                             struct slice bytes)
{
    unsigned least = n->inner ? 2 : 1;
    if (i + 1 == parent->n && (n->inner || !n->next) && items_before(n, score, bytes, false) == MAX)
        return MAX - least;
    if (i == 0 && (n->inner || !n->prev) && items_before(n, score, bytes, false) == 0)
        return least;
    return MAX / 2;
}

/* Cuts the parent's kid i in two. The parent has room. */
static void split(struct ztree *z, struct znode *parent, unsigned i, unsigned cut)
{
    struct znode *left = parent->kid[i].node, *right = node_make(z, left->inner);
    move_items(right, 0, left, cut, left->n - cut);
    right->n = (uint16_t)(left->n - cut);
    left->n = (uint16_t)cut;
    if (!left->inner) {
        right->prev = left;
        right->next = left->next;
        if (right->next)
            right->next->prev = right;
        left->next = right;
    }
    move_items(parent, i + 2, parent, i + 1, parent->n - i - 1);
    parent->n++;
    size_t below = count_of(right);
    parent->kid[i + 1] = (struct kid){right, below};
    parent->kid[i].count -= below;
    describe_least(parent, i + 1);
}

static void grow_root(struct ztree *z)
{
    struct znode *root = node_make(z, true);
    root->kid[0] = (struct kid){z->root, count_of(z->root)};
    root->n = 1;
    describe_least(root, 0);
    z->root = root;
}

static void link_member(struct ztree *z, struct zmember *m)
{
    struct slice bytes = zmember_bytes(m);
    if (z->root->n == MAX)
        grow_root(z);
    struct znode *n = z->root;
    while (n->inner) {
        unsigned i = kid_for(n, m->score, bytes);
        if (n->kid[i].node->n == MAX) {
            split(z, n, i, where_to_cut(n->kid[i].node, n, i, m->score, bytes));
            i = kid_for(n, m->score, bytes);
        }
        n->kid[i].count++;
        if (i == 0 && items_before(n, m->score, bytes, false) == 0) { /* it becomes the least of all below */
            n->score[0] = m->score;
            n->least[0] = m;
        }
        n = fetched(n->kid[i].node);
    }
    unsigned at = items_before(n, m->score, bytes, false);
    move_items(n, at + 1, n, at, n->n - at);
    n->score[at] = m->score;
    n->least[at] = m;
    n->n++;
}

/* --- removing --- */

static void unlink_leaf(struct znode *leaf)
{
    if (leaf->prev)
        leaf->prev->next = leaf->next;
    if (leaf->next)
        leaf->next->prev = leaf->prev;
}

/* Makes one node of the parent's kids i and i + 1, or gives each half of what both have. */
static void balance(struct ztree *z, struct znode *parent, unsigned i)
{
    struct znode *left = parent->kid[i].node, *right = parent->kid[i + 1].node;
    unsigned sum = left->n + right->n, half = sum / 2;
    if (sum <= MAX / 4 * 3) {
        move_items(left, left->n, right, 0, right->n);
        left->n = (uint16_t)sum;
        parent->kid[i].count += parent->kid[i + 1].count;
        if (!right->inner)
            unlink_leaf(right);
        node_free(z, right);
        parent->n--;
        move_items(parent, i + 1, parent, i + 2, parent->n - i - 1);
    } else {
        size_t both = parent->kid[i].count + parent->kid[i + 1].count;
        if (left->n > half) {
            unsigned give = left->n - half;
            move_items(right, give, right, 0, right->n);
            move_items(right, 0, left, half, give);
        } else {
            unsigned take = half - left->n;
            move_items(left, left->n, right, 0, take);
            move_items(right, 0, right, take, right->n - take);
        }
        left->n = (uint16_t)half;
        right->n = (uint16_t)(sum - half);
        parent->kid[i].count = count_of(left);
        parent->kid[i + 1].count = both - parent->kid[i].count;
        describe_least(parent, i + 1);
    }
    describe_least(parent, i);
}

static void unlink_at(struct ztree *z, struct path *p)
{
    struct znode *leaf = p->node[p->depth];
    unsigned at = p->at[p->depth];
    leaf->n--;
    move_items(leaf, at, leaf, at + 1, leaf->n - at);
    for (unsigned d = p->depth; d-- > 0;) {
        struct znode *parent = p->node[d];
        unsigned i = p->at[d];
        parent->kid[i].count--;
        if (parent->kid[i].node->n < MIN)
            balance(z, parent, i ? i - 1 : 0);
        else
            describe_least(parent, i);
    }
    while (z->root->inner && z->root->n == 1) {
        struct znode *only = z->root->kid[0].node;
        node_free(z, z->root);
        z->root = only;
    }
}

/* --- the whole --- */

struct ztree *ztree_create(size_t reserve)
{
    struct ztree *z = mem_zero(sizeof *z);
    dict_init(&z->dict, &members_type);
    if (reserve)
        dict_reserve(&z->dict, reserve);
    z->root = node_make(z, false);
    return z;
}

void ztree_destroy(struct ztree *z)
{
    if (!z)
        return;
    free_below(z, z->root);
    dict_release(&z->dict);
    mem_free(z);
}

size_t ztree_len(const struct ztree *z)
{
    return dict_count(&z->dict);
}

const struct dict *ztree_table(const struct ztree *z)
{
    return &z->dict;
}

struct zmember *ztree_find(struct ztree *z, struct slice member)
{
    return dict_find(&z->dict, member);
}

void ztree_add(struct ztree *z, struct slice member, double score)
{
    struct zmember *m = member_make(member, score);
    link_member(z, m);
    dict_add(&z->dict, m);
}

/* Whether m may stay where it is with another score: its neighbours in the leaf allow it. */
static bool fits_between(const struct znode *leaf, unsigned at, double score)
{
    return at > 0 && at + 1u < leaf->n && leaf->score[at - 1] < score && score < leaf->score[at + 1];
}

void ztree_move(struct ztree *z, struct zmember *m, double score)
{
    struct path p;
    path_to(z, m->score, zmember_bytes(m), &p);
    struct znode *leaf = p.node[p.depth];
    unsigned at = p.at[p.depth];
    assert(at < leaf->n && leaf->least[at] == m);
    if (fits_between(leaf, at, score)) {
        leaf->score[at] = m->score = score;
        return;
    }
    unlink_at(z, &p);
    m->score = score;
    link_member(z, m);
}

void ztree_remove(struct ztree *z, struct zmember *m)
{
    struct path p;
    path_to(z, m->score, zmember_bytes(m), &p);
    unlink_at(z, &p);
    dict_remove(&z->dict, zmember_bytes(m));
    mem_free(m);
}

void ztree_remove_range(struct ztree *z, size_t start, size_t n)
{
    while (n--) {
        struct path p;
        path_to_rank(z, start, &p);
        struct zmember *gone = p.node[p.depth]->least[p.at[p.depth]];
        unlink_at(z, &p);
        dict_remove(&z->dict, zmember_bytes(gone));
        mem_free(gone);
    }
}

/* --- ranks and places --- */

size_t ztree_rank(const struct ztree *z, const struct zmember *m)
{
    struct path p;
    path_to(z, m->score, zmember_bytes(m), &p);
    return rank_of(&p);
}

struct zplace ztree_at(const struct ztree *z, size_t rank)
{
    struct path p;
    if (rank >= ztree_len(z))
        return (struct zplace){0};
    path_to_rank(z, rank, &p);
    return (struct zplace){p.node[p.depth], p.at[p.depth]};
}

const struct zmember *zplace_member(struct zplace p)
{
    return p.leaf ? p.leaf->least[p.at] : NULL;
}

struct zplace zplace_next(struct zplace p)
{
    if (p.at + 1u < p.leaf->n)
        return (struct zplace){p.leaf, p.at + 1};
    return (struct zplace){p.leaf->next, 0};
}

struct zplace zplace_prev(struct zplace p)
{
    if (p.at > 0)
        return (struct zplace){p.leaf, p.at - 1};
    const struct znode *prev = p.leaf->prev;
    return (struct zplace){prev, prev ? prev->n - 1u : 0};
}

static unsigned leading_items(const struct znode *n, bool (*holds)(const void *arg, double score, struct slice member),
                              const void *arg)
{
    unsigned low = 0;
    for (unsigned high = n->n; low < high;) {
        unsigned mid = (low + high) / 2;
        if (holds(arg, n->score[mid], zmember_bytes(n->least[mid])))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

size_t ztree_leading(const struct ztree *z, bool (*holds)(const void *arg, double score, struct slice member),
                     const void *arg)
{
    size_t rank = 0;
    const struct znode *n = z->root;
    for (unsigned i; n->inner; n = n->kid[i - 1].node) {
        i = leading_items(n, holds, arg);
        if (i == 0)
            return rank;
        for (unsigned k = 0; k + 1 < i; k++)
            rank += n->kid[k].count;
    }
    return rank + leading_items(n, holds, arg);
}

/* --- the table's side --- */

uint64_t ztree_scan(struct ztree *z, uint64_t cursor, void (*fn)(void *arg, void *member), void *arg)
{
    return dict_scan(&z->dict, cursor, fn, arg);
}

static struct znode *relocated_node(struct znode *n)
{
    n = mem_relocated(n);
    if (n->inner)
        return n;
    if (n->prev)
        n->prev->next = n;
    if (n->next)
        n->next->prev = n;
    return n;
}

/* Who points to a member: the table, its leaf, and each inner node below which it is the least. Those whose least it is
 * are moved with it, so each node comes once. */
static void *relocated_member(void *arg, void *entry)
{
    struct ztree *z = arg;
    struct path p;
    path_to(z, ((struct zmember *)entry)->score, zmember_bytes(entry), &p);
    struct zmember *m = mem_relocated(entry);
    unsigned d = p.depth;
    p.node[d]->least[p.at[d]] = m;
    for (; p.at[d] == 0 && d > 0; d--) {
        p.node[d - 1]->kid[p.at[d - 1]].node = relocated_node(p.node[d]);
        p.node[d - 1]->least[p.at[d - 1]] = m;
    }
    if (d == 0 && p.at[0] == 0)
        z->root = relocated_node(p.node[0]);
    return m;
}

uint64_t ztree_relocate(struct ztree *z, uint64_t cursor)
{
    return dict_relocate(&z->dict, cursor, relocated_member, z);
}

struct zmember *ztree_random(struct ztree *z, struct rng *r)
{
    return dict_random(&z->dict, r);
}

size_t ztree_bytes(const struct ztree *z, int samples)
{
    size_t seen = 0, bytes = 0, len = ztree_len(z);
    for (struct zplace p = ztree_at(z, 0); p.leaf && (samples == 0 || seen < (size_t)samples);
         p = zplace_next(p), seen++)
        bytes += mem_size(zplace_member(p));
    double each = seen ? (double)bytes / (double)seen : 0;
    return mem_size(z) + z->leaves * LEAF_BYTES + z->inners * INNER_BYTES + dict_bytes(&z->dict) +
           (size_t)(each * (double)len);
}

/* --- for tests --- */

/* Returns the depth of the leaves below n. */
static unsigned check_node(const struct ztree *z, const struct znode *n)
{
    unsigned depth = 0;
    assert(n->n <= MAX && (n == z->root || n->n >= (n->inner ? 2 : 1)));
    for (unsigned i = 1; i < n->n; i++)
        assert(n->score[i - 1] < n->score[i] ||
               (n->score[i - 1] == n->score[i] &&
                slice_cmp(zmember_bytes(n->least[i - 1]), zmember_bytes(n->least[i])) < 0));
    for (unsigned i = 0; i < n->n; i++) {
        assert(n->score[i] == n->least[i]->score);
        if (!n->inner)
            continue;
        const struct znode *kid = n->kid[i].node;
        assert(n->least[i] == kid->least[0] && n->kid[i].count == count_of(kid));
        unsigned below = check_node(z, kid) + 1;
        assert(i == 0 || below == depth);
        depth = below;
    }
    return depth;
}

void ztree_check(const struct ztree *z)
{
    size_t seen = 0;
    const struct znode *n = z->root, *before = NULL;
    check_node(z, z->root);
    while (n->inner)
        n = n->kid[0].node;
    for (; n; before = n, n = n->next) {
        assert(n->prev == before);
        seen += n->n;
    }
    assert(seen == ztree_len(z) && count_of(z->root) == seen);
}
