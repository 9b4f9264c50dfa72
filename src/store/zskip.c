/* The skip list of zskip.h (W. Pugh 1990; spans and the way back as in Redis's t_zset.c).
 *
 * Three nodes in four have only the lowest level, and that level needs no span (it is always 1), so such a node is four
 * words with the member right behind them. The upper levels, where there are some, stand between the two:
 *
 *   offset  0  f64   score
 *           8  ptr   back: the node before, NULL for the first
 *          16  ptr   next: the node after, NULL for the last
 *          24  u32   member length
 *          28  u8    levels above the lowest
 *          29        member bytes                       when there is none
 *          32  (ptr next, u64 span) per level           when there are some, then the member bytes
 *
 * A span counts the steps on the lowest level from its node to its next one; where there is no next, to the end of the
 * list. The head is a node with all levels and no member; nobody's `back` points to it.
 *
 * How high a node is comes from a generator in the structure, not from a global one: a payload may be loaded on any
 * thread. It is seeded by a keyed hash, so that a client cannot foresee heights. */
#include "store/zskip.h"

#include <assert.h>

#include "base/hash.h"
#include "base/mem.h"

#define UPPER_MAX 23 /* levels above the lowest: enough for 4^24 members */

struct level {
    struct znode *next;
    uint64_t span;
};

struct znode {
    double score;
    struct znode *back, *next;
    uint32_t len;
    uint8_t upper;
    char bytes[3]; /* of the member, when upper is 0; more follow */
    struct level level[];
};
_Static_assert(offsetof(struct znode, bytes) == 29 && sizeof(struct znode) == 32, "the offset table above");

struct zskip {
    struct dict dict;
    struct znode *head, *last;
    uint64_t heights; /* state of the generator */
    uint8_t upper;    /* the highest level in use */
};

/* --- nodes --- */

static size_t member_offset(unsigned upper)
{
    return upper ? sizeof(struct znode) + upper * sizeof(struct level) : offsetof(struct znode, bytes);
}

struct slice znode_member(const struct znode *n)
{
    return slice_of((const char *)n + member_offset(n->upper), n->len);
}

double znode_score(const struct znode *n)
{
    return n->score;
}

struct znode *znode_next(const struct znode *n)
{
    return n->next;
}

struct znode *znode_prev(const struct znode *n)
{
    return n->back;
}

static struct znode *node_make(unsigned upper, struct slice member, double score)
{
    assert(member.len <= UINT32_MAX); /* the protocol's bulk limit is far below */
    size_t offset = member_offset(upper), bytes = offset + member.len;
    struct znode *n = mem_alloc(bytes < sizeof *n ? sizeof *n : bytes);
    *n = (struct znode){.score = score, .len = (uint32_t)member.len, .upper = (uint8_t)upper};
    if (member.len)
        memcpy((char *)n + offset, member.p, member.len);
    return n;
}

static struct slice entry_key(const void *entry)
{
    return znode_member(entry);
}

static const struct dict_type nodes_type = {.key = entry_key, .free = mem_free};

/* Level 0 is the lowest, the one without spans. */
static inline struct znode *next_on(const struct znode *n, unsigned level)
{
    return level ? n->level[level - 1].next : n->next;
}

static inline uint64_t span_on(const struct znode *n, unsigned level)
{
    return level ? n->level[level - 1].span : 1;
}

static inline bool node_before(const struct znode *n, double score, struct slice member)
{
    return n->score < score || (n->score == score && slice_cmp(znode_member(n), member) < 0);
}

/* --- the whole --- */

struct zskip *zskip_create(size_t reserve)
{
    struct zskip *z = mem_zero(sizeof *z);
    dict_init(&z->dict, &nodes_type);
    if (reserve)
        dict_reserve(&z->dict, reserve);
    z->head = mem_zero(sizeof *z->head + UPPER_MAX * sizeof(struct level));
    z->head->upper = UPPER_MAX;
    z->heights = hash_bytes(&z, sizeof z);
    return z;
}

void zskip_destroy(struct zskip *z)
{
    if (!z)
        return;
    dict_release(&z->dict);
    mem_free(z->head);
    mem_free(z);
}

const struct dict *zskip_table(const struct zskip *z)
{
    return &z->dict;
}

size_t zskip_len(const struct zskip *z)
{
    return dict_count(&z->dict);
}

/* Each further level has one chance in four: two bits of a mixed counter (splitmix64). */
static unsigned random_height(struct zskip *z)
{
    uint64_t x = z->heights += 0x9e3779b97f4a7c15ULL;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
    x ^= x >> 31;
    unsigned height = x ? (unsigned)__builtin_ctzll(x) / 2 : UPPER_MAX;
    return height < UPPER_MAX ? height : UPPER_MAX;
}

/* --- changing --- */

/* The way to a place in the list: on each level the last node before it, and that node's position, the head's being 0.
 */
struct path {
    struct znode *node[UPPER_MAX + 1];
    uint64_t at[UPPER_MAX + 1];
};

static void path_to(const struct zskip *z, double score, struct slice member, struct path *p)
{
    struct znode *n = z->head, *next;
    uint64_t at = 0;
    for (int i = z->upper; i >= 0; i--) {
        while ((next = next_on(n, (unsigned)i)) && node_before(next, score, member)) {
            at += span_on(n, (unsigned)i);
            n = next;
        }
        p->node[i] = n;
        p->at[i] = at;
    }
}

static void path_to_rank(const struct zskip *z, size_t rank, struct path *p)
{
    struct znode *n = z->head, *next;
    uint64_t at = 0;
    for (int i = z->upper; i >= 0; i--) {
        while ((next = next_on(n, (unsigned)i)) && at + span_on(n, (unsigned)i) <= rank) {
            at += span_on(n, (unsigned)i);
            n = next;
        }
        p->node[i] = n;
        p->at[i] = at;
    }
}

/* `count`: how many nodes are linked, n not among them. */
static void link_node(struct zskip *z, struct znode *n, size_t count)
{
    struct path p;
    path_to(z, n->score, znode_member(n), &p);
    for (; z->upper < n->upper; z->upper++) {
        p.node[z->upper + 1] = z->head;
        p.at[z->upper + 1] = 0;
        z->head->level[z->upper] = (struct level){NULL, count};
    }
    for (unsigned i = 1; i <= z->upper; i++) {
        struct level *l = &p.node[i]->level[i - 1];
        uint64_t ahead = p.at[0] - p.at[i]; /* steps from that node to the one right before n */
        if (i > n->upper) {
            l->span++;
            continue;
        }
        n->level[i - 1] = (struct level){l->next, l->span - ahead};
        *l = (struct level){n, ahead + 1};
    }
    n->next = p.node[0]->next;
    n->back = p.node[0] == z->head ? NULL : p.node[0];
    p.node[0]->next = n;
    if (n->next)
        n->next->back = n;
    else
        z->last = n;
}

/* n is the node right after the path's place. */
static void unlink_node(struct zskip *z, struct znode *n, struct path *p)
{
    for (unsigned i = 1; i <= z->upper; i++) {
        struct level *l = &p->node[i]->level[i - 1];
        if (l->next == n)
            *l = (struct level){n->level[i - 1].next, l->span + n->level[i - 1].span - 1};
        else
            l->span--;
    }
    p->node[0]->next = n->next;
    if (n->next)
        n->next->back = n->back;
    else
        z->last = n->back;
    while (z->upper && !z->head->level[z->upper - 1].next)
        z->upper--;
}

struct znode *zskip_find(struct zskip *z, struct slice member)
{
    return dict_find(&z->dict, member);
}

void zskip_add(struct zskip *z, struct slice member, double score)
{
    struct znode *n = node_make(random_height(z), member, score);
    link_node(z, n, zskip_len(z));
    dict_add(&z->dict, n);
}

void zskip_move(struct zskip *z, struct znode *n, double score)
{
    struct slice member = znode_member(n);
    bool after = !n->back || node_before(n->back, score, member);
    bool before = !n->next || !node_before(n->next, score, member);
    if (after && before) {
        n->score = score;
        return;
    }
    struct path p;
    path_to(z, n->score, member, &p);
    unlink_node(z, n, &p);
    n->score = score;
    link_node(z, n, zskip_len(z) - 1);
}

void zskip_remove(struct zskip *z, struct znode *n)
{
    struct path p;
    path_to(z, n->score, znode_member(n), &p);
    unlink_node(z, n, &p);
    dict_remove(&z->dict, znode_member(n));
    mem_free(n);
}

void zskip_remove_range(struct zskip *z, size_t start, size_t n)
{
    struct path p;
    path_to_rank(z, start, &p);
    while (n--) {
        struct znode *gone = p.node[0]->next;
        unlink_node(z, gone, &p);
        dict_remove(&z->dict, znode_member(gone));
        mem_free(gone);
    }
}

/* --- ranks --- */

size_t zskip_rank(const struct zskip *z, const struct znode *n)
{
    struct path p;
    path_to(z, n->score, znode_member(n), &p);
    return p.at[0];
}

struct znode *zskip_at(const struct zskip *z, size_t rank)
{
    struct path p;
    if (rank + 1 == zskip_len(z))
        return z->last;
    if (rank >= zskip_len(z))
        return NULL;
    path_to_rank(z, rank, &p);
    return p.node[0]->next;
}

size_t zskip_leading(const struct zskip *z, bool (*holds)(const void *arg, double score, struct slice member),
                     const void *arg)
{
    struct znode *n = z->head, *next;
    uint64_t at = 0;
    for (int i = z->upper; i >= 0; i--)
        while ((next = next_on(n, (unsigned)i)) && holds(arg, next->score, znode_member(next))) {
            at += span_on(n, (unsigned)i);
            n = next;
        }
    return at;
}

/* --- the table's side --- */

uint64_t zskip_scan(struct zskip *z, uint64_t cursor, void (*fn)(void *arg, void *node), void *arg)
{
    return dict_scan(&z->dict, cursor, fn, arg);
}

struct znode *zskip_random(struct zskip *z, struct rng *r)
{
    return dict_random(&z->dict, r);
}

size_t zskip_bytes(const struct zskip *z, int samples)
{
    size_t seen = 0, bytes = 0;
    for (const struct znode *n = z->head->next; n && (samples == 0 || seen < (size_t)samples); n = n->next, seen++)
        bytes += mem_size(n);
    double each = seen ? (double)bytes / (double)seen : 0;
    return mem_size(z) + mem_size(z->head) + dict_bytes(&z->dict) + (size_t)(each * (double)zskip_len(z));
}
