/* What lies in a circle or a box: GEOSEARCH and GEOSEARCHSTORE, and the older GEORADIUS family that says the same with
 * its arguments in fixed places.
 *
 * The places of the nine ranges of scores around the centre (store/geo.h) are measured one by one; with COUNT n ANY the
 * walk ends at the n-th that fits. */
#include <stdlib.h>

#include "base/mem.h"
#include "cmd/cmd_geo.h"
#include "cmd/families.h"

enum form { /* which command it is */
    RADIUS = 1 << 0,
    RADIUS_MEMBER = 1 << 1,
    SEARCH = 1 << 2,
    SEARCH_STORE = 1 << 3,
    READ_ONLY = 1 << 4,
};

struct found {
    size_t at, len; /* the member, in search.bytes */
    double score, distance;
};

struct search {
    struct call *c;
    unsigned form;
    struct obj *o; /* NULL: no such key */
    struct geo_area area;
    double unit; /* metres of the unit the area is given in */
    bool from_member, from_point, by_radius, by_box;
    bool with_distance, with_hash, with_point, any, store_distances;
    enum { UNSORTED, ASC, DESC } order;
    int64_t count; /* 0: all */
    struct slice store; /* p NULL: not given */
    struct found *found;
    size_t n, room;
    struct buf bytes;
};

/* --- arguments --- */

static bool arg_number(struct search *s, int i, const char *error, double *out)
{
    if (num_to_double(s->c->argv[i], out))
        return true;
    reply_errorf(s->c->reply, "ERR %s", error);
    return false;
}

static bool parse_radius(struct search *s, int i)
{
    if (!arg_number(s, i, "need numeric radius", &s->area.radius))
        return false;
    if (s->area.radius < 0) {
        reply_errorf(s->c->reply, "ERR radius cannot be negative");
        return false;
    }
    if (!geo_arg_unit(s->c, i + 1, &s->unit))
        return false;
    s->area.radius *= s->unit;
    return s->by_radius = true;
}

static bool parse_box(struct search *s, int i)
{
    if (!arg_number(s, i, "need numeric width", &s->area.width) || !arg_number(s, i + 1, "need numeric height", &s->area.height))
        return false;
    if (s->area.width < 0 || s->area.height < 0) {
        reply_errorf(s->c->reply, "ERR height or width cannot be negative");
        return false;
    }
    if (!geo_arg_unit(s->c, i + 2, &s->unit))
        return false;
    s->area.width *= s->unit;
    s->area.height *= s->unit;
    return s->by_box = s->area.box = true;
}

/* The centre is a member. Without a set there is none, and no error: the answer will be empty. */
static bool parse_member(struct search *s, int i)
{
    s->from_member = true;
    if (!s->o || geo_member(s->o, s->c->argv[i], &s->area.centre))
        return true;
    reply_errorf(s->c->reply, "ERR could not decode requested zset member");
    return false;
}

static bool parse_count(struct search *s, int i)
{
    if (!call_i64(s->c, i, &s->count))
        return false;
    if (s->count > 0)
        return true;
    reply_errorf(s->c->reply, "ERR COUNT must be > 0");
    return false;
}

static bool parse_flag(struct search *s, struct slice word)
{
    const struct {
        const char *word;
        bool *flag;
    } flags[] = {{"withdist", &s->with_distance}, {"withhash", &s->with_hash}, {"withcoord", &s->with_point}, {"any", &s->any}};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (slice_is(word, flags[i].word))
            return *flags[i].flag = true;
    if (slice_is(word, "asc"))
        s->order = ASC;
    else if (slice_is(word, "desc"))
        s->order = DESC;
    else if ((s->form & SEARCH_STORE) && slice_is(word, "storedist"))
        s->store_distances = true;
    else
        return false;
    return true;
}

/* One option at argv[*i], moved to its last argument. */
static bool parse_option(struct search *s, int *i)
{
    struct call *c = s->c;
    struct slice word = c->argv[*i];
    int at = *i + 1, left = c->argc - at;
    bool search = s->form & (SEARCH | SEARCH_STORE);
    if (parse_flag(s, word))
        return true;
    if (left >= 1 && slice_is(word, "count")) {
        *i += 1;
        return parse_count(s, at);
    }
    if (left >= 1 && !search && !(s->form & READ_ONLY) && (slice_is(word, "store") || slice_is(word, "storedist"))) {
        *i += 1;
        s->store = c->argv[at];
        s->store_distances = slice_is(word, "storedist");
        return true;
    }
    if (left >= 1 && search && !s->from_point && slice_is(word, "frommember")) {
        *i += 1;
        return parse_member(s, at);
    }
    if (left >= 2 && search && !s->from_member && slice_is(word, "fromlonlat")) {
        *i += 2;
        return (s->from_point = geo_arg_point(c, at, &s->area.centre));
    }
    if (left >= 2 && search && !s->by_box && slice_is(word, "byradius")) {
        *i += 2;
        return parse_radius(s, at);
    }
    if (left >= 3 && search && !s->by_radius && slice_is(word, "bybox")) {
        *i += 3;
        return parse_box(s, at);
    }
    call_syntax(c);
    return false;
}

/* The arguments in fixed places; returns where the options begin, 0 when an error is replied. */
static int parse_fixed(struct search *s)
{
    if (s->form & RADIUS)
        return geo_arg_point(s->c, 2, &s->area.centre) && parse_radius(s, 4) ? 6 : 0;
    if (s->form & RADIUS_MEMBER)
        return !s->o || (parse_member(s, 2) && parse_radius(s, 3)) ? 5 : 0;
    if (s->form & SEARCH)
        return 2;
    s->store = s->c->argv[1];
    return 3;
}

static bool parse(struct search *s)
{
    struct call *c = s->c;
    int i = parse_fixed(s);
    if (i == 0)
        return false;
    for (; i < c->argc; i++)
        if (!parse_option(s, &i))
            return false;
    bool search = s->form & (SEARCH | SEARCH_STORE);
    if (s->store.p && (s->with_distance || s->with_hash || s->with_point))
        reply_errorf(c->reply, "ERR %s is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
                     search ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS");
    else if (search && !s->from_member && !s->from_point)
        reply_errorf(c->reply, "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for %.*s", (int)c->argv[0].len,
                     c->argv[0].p);
    else if (search && !s->by_radius && !s->by_box)
        reply_errorf(c->reply, "ERR exactly one of BYRADIUS and BYBOX can be specified for %.*s", (int)c->argv[0].len,
                     c->argv[0].p);
    else if (s->any && !s->count)
        reply_errorf(c->reply, "ERR the ANY argument requires COUNT argument");
    else
        return true;
    return false;
}

/* --- the search --- */

static void add_found(struct search *s, struct slice member, double score, double distance)
{
    if (s->n == s->room) {
        s->room = s->room ? s->room * 2 : 16;
        s->found = mem_realloc(s->found, s->room * sizeof *s->found);
    }
    s->found[s->n++] = (struct found){s->bytes.len, member.len, score, distance};
    buf_add(&s->bytes, member.p, member.len);
}

static void walk(struct search *s, struct geo_range range)
{
    struct zset_range by_score = {.by = ZSET_BY_SCORE, .min = (double)range.min, .max = (double)range.end, .max_excluded = true};
    struct zset_iter it;
    size_t start, n;
    zset_find_range(s->o, &by_score, &start, &n);
    if (n)
        zset_iter_begin(&it, s->o, start, false);
    while (n-- && zset_iter_next(&it)) {
        double distance;
        if (!geo_within(&s->area, geo_decode((uint64_t)it.score), &distance))
            continue;
        add_found(s, it.member, it.score, distance);
        if (s->any && s->n == (size_t)s->count)
            return;
    }
}

static int by_distance(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at; /* as they were found */
}

static int by_distance_desc(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->distance != y->distance)
        return x->distance > y->distance ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static void run(struct search *s)
{
    struct geo_range ranges[GEO_RANGES];
    int n = geo_ranges(&s->area, ranges);
    for (int i = 0; i < n && !(s->any && s->n == (size_t)s->count); i++)
        walk(s, ranges[i]);
    if (s->count && s->order == UNSORTED && !s->any)
        s->order = ASC; /* the nearest ones are meant */
    if (s->order != UNSORTED && s->n)
        qsort(s->found, s->n, sizeof *s->found, s->order == ASC ? by_distance : by_distance_desc);
    if (s->count && s->n > (size_t)s->count)
        s->n = (size_t)s->count;
    for (size_t i = 0; i < s->n; i++)
        s->found[i].distance /= s->unit;
}

/* --- the answer --- */

static void reply_found(struct search *s)
{
    struct call *c = s->c;
    size_t extra = (size_t)s->with_distance + s->with_hash + s->with_point;
    reply_array(c->reply, s->n);
    for (size_t i = 0; i < s->n; i++) {
        const struct found *f = &s->found[i];
        if (extra)
            reply_array(c->reply, extra + 1);
        reply_bulk(c->reply, slice_of(s->bytes.p + f->at, f->len));
        if (s->with_distance)
            geo_reply_distance(c, f->distance);
        if (s->with_hash)
            reply_int(c->reply, (int64_t)f->score);
        if (s->with_point)
            geo_reply_point(c, geo_decode((uint64_t)f->score));
    }
}

static void store_found(struct search *s)
{
    struct obj result;
    zset_result(&result);
    for (size_t i = 0; i < s->n; i++)
        zset_set(&result, slice_of(s->bytes.p + s->found[i].at, s->found[i].len),
                 s->store_distances ? s->found[i].distance : s->found[i].score);
    zset_store(s->c, s->store, &result, s->form & SEARCH_STORE ? "geosearchstore" : "georadiusstore");
}

static void search(struct call *c, unsigned form)
{
    struct search s = {.c = c, .form = form, .unit = 1};
    if (!zset_arg_read(c, form & SEARCH_STORE ? 2 : 1, &s.o) || !parse(&s))
        return;
    if (s.o)
        run(&s);
    if (s.store.p)
        store_found(&s);
    else
        reply_found(&s);
    buf_release(&s.bytes);
    mem_free(s.found);
}

/* The places of a set that lie in a circle or a box around a point or around one of them.
 *
 * > GEOADD Sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania 12.758489 38.788135 edge
 * < (integer) 3
 * > GEOSEARCH Sicily FROMLONLAT 15 37 BYBOX 400 400 KM ASC WITHDIST COUNT 2
 * < 1) 1) "Catania"
 * <    2) "56.4413"
 * < 2) 1) "Palermo"
 * <    2) "190.4424"
 * > GEOSEARCH Sicily FROMMEMBER Catania BYRADIUS 10 KM
 * < 1) "Catania"
 */
static void geosearch(struct call *c)
{
    search(c, SEARCH);
}

/* GEOSEARCH whose answer becomes a set of places, or with STOREDIST a sorted set of distances.
 *
 * > GEOADD Sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
 * < (integer) 2
 * > GEOSEARCHSTORE near Sicily FROMMEMBER Catania BYRADIUS 200 KM ASC STOREDIST
 * < (integer) 2
 * > ZRANGE near 0 -1
 * < 1) "Catania"
 * < 2) "Palermo"
 */
static void geosearchstore(struct call *c)
{
    search(c, SEARCH_STORE);
}

/* The places within a radius around a point.
 *
 * > GEOADD Sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
 * < (integer) 2
 * > GEORADIUS Sicily 15 37 100 km WITHDIST
 * < 1) 1) "Catania"
 * <    2) "56.4413"
 */
static void georadius(struct call *c)
{
    search(c, RADIUS);
}

/* GEORADIUS without STORE.
 *
 * > GEORADIUS_RO Sicily 15 37 100 km
 * < (empty array)
 */
static void georadius_ro(struct call *c)
{
    search(c, RADIUS | READ_ONLY);
}

/* The places within a radius around one of them.
 *
 * > GEOADD Sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
 * < (integer) 2
 * > GEORADIUSBYMEMBER Sicily Palermo 100 km
 * < 1) "Palermo"
 */
static void georadiusbymember(struct call *c)
{
    search(c, RADIUS_MEMBER);
}

/* GEORADIUSBYMEMBER without STORE.
 *
 * > GEORADIUSBYMEMBER_RO Sicily Palermo 100 km
 * < (empty array)
 */
static void georadiusbymember_ro(struct call *c)
{
    search(c, RADIUS_MEMBER | READ_ONLY);
}

/* The last STORE or STOREDIST names a key that is written. */
static int store_keys(int argc, const struct slice *argv, int first, int *pos)
{
    int n = 0;
    pos[n++] = 1;
    for (int i = first; i < argc - 1; i++)
        if (slice_is(argv[i], "store") || slice_is(argv[i], "storedist")) {
            pos[1] = ++i;
            n = 2;
        }
    return n;
}

static int georadius_keys(int argc, const struct slice *argv, int *pos)
{
    return store_keys(argc, argv, 6, pos);
}

static int georadiusbymember_keys(int argc, const struct slice *argv, int *pos)
{
    return store_keys(argc, argv, 5, pos);
}

/* clang-format off */
#define SEARCH_COST "O(N+log(M)) where N is the number of places in the cells around the area and M the size of the set"
#define HOW_MANY "[COUNT count [ANY]]"
static const struct cmd rows[] = {
    {.name = "geosearch", .run = geosearch, .arity = -7, .flags = CMD_READONLY, GEO_KEY,
     .syntax = "key (FROMMEMBER member|FROMLONLAT longitude latitude) (BYRADIUS radius (M|KM|FT|MI)|BYBOX width height "
               "(M|KM|FT|MI)) [ASC|DESC] " HOW_MANY " [WITHCOORD] [WITHDIST] [WITHHASH]",
     .summary = "The places in a circle or a box.", .since = "6.2.0", .complexity = SEARCH_COST},
    {.name = "geosearchstore", .run = geosearchstore, .arity = -8, .flags = CMD_WRITE | CMD_DENYOOM, .acl = ACL_GEO,
     .first = 1, .last = 2, .step = 1,
     .key_spec = "OW update @1; RO access @2",
     .syntax = "destination source (FROMMEMBER member|FROMLONLAT longitude latitude) (BYRADIUS radius (M|KM|FT|MI)|BYBOX "
               "width height (M|KM|FT|MI)) [ASC|DESC] " HOW_MANY " [STOREDIST]",
     .summary = "Keeps the places in a circle or a box under another key.", .since = "6.2.0", .complexity = SEARCH_COST},
    {.name = "georadius", .run = georadius, .arity = -6, .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLEKEYS, GEO_KEY,
     .keys = georadius_keys,
     .key_spec = "RO access @1; OW update @STORE:6; OW update @STOREDIST:6",
     .syntax = "key longitude latitude radius (M|KM|FT|MI) [WITHCOORD] [WITHDIST] [WITHHASH] " HOW_MANY
               " [ASC|DESC] [STORE key|STOREDIST key]",
     .deprecated = "6.2.0 `GEOSEARCH` and `GEOSEARCHSTORE` with `BYRADIUS`",
     .summary = "The places within a radius around a point.", .since = "3.2.0", .complexity = SEARCH_COST},
    {.name = "georadius_ro", .run = georadius_ro, .arity = -6, .flags = CMD_READONLY, GEO_KEY,
     .syntax = "key longitude latitude radius (M|KM|FT|MI) [WITHCOORD] [WITHDIST] [WITHHASH] " HOW_MANY " [ASC|DESC]",
     .deprecated = "6.2.0 `GEOSEARCH` with `BYRADIUS`",
     .summary = "The places within a radius around a point; never stores.", .since = "3.2.10", .complexity = SEARCH_COST},
    {.name = "georadiusbymember", .run = georadiusbymember, .arity = -5,
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLEKEYS, GEO_KEY, .keys = georadiusbymember_keys,
     .key_spec = "RO access @1; OW update @STORE:5; OW update @STOREDIST:5",
     .syntax = "key member radius (M|KM|FT|MI) [WITHCOORD] [WITHDIST] [WITHHASH] " HOW_MANY
               " [ASC|DESC] [STORE key|STOREDIST key]",
     .deprecated = "6.2.0 `GEOSEARCH` and `GEOSEARCHSTORE` with `BYRADIUS` and `FROMMEMBER`",
     .summary = "The places within a radius around one of them.", .since = "3.2.0", .complexity = SEARCH_COST},
    {.name = "georadiusbymember_ro", .run = georadiusbymember_ro, .arity = -5, .flags = CMD_READONLY, GEO_KEY,
     .syntax = "key member radius (M|KM|FT|MI) [WITHCOORD] [WITHDIST] [WITHHASH] " HOW_MANY " [ASC|DESC]",
     .deprecated = "6.2.0 `GEOSEARCH` with `BYRADIUS` and `FROMMEMBER`",
     .summary = "The places within a radius around one of them; never stores.", .since = "3.2.10", .complexity = SEARCH_COST},
};
/* clang-format on */

const struct cmd_family geo_search_family = CMD_FAMILY("geo", rows);
