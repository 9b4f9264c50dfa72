/* Places: adding them, where they are, how far apart. */
#include "cmd/cmd_geo.h"

#include <stdio.h>

#include "base/mem.h"
#include "cmd/families.h"

/* --- shared --- */

bool geo_arg_point(struct call *c, int i, struct geo_point *p)
{
    if (!call_double(c, i, &p->lon) || !call_double(c, i + 1, &p->lat))
        return false;
    if (!geo_valid(*p)) {
        reply_errorf(c->reply, "ERR invalid longitude,latitude pair %f,%f", p->lon, p->lat);
        return false;
    }
    return true;
}

bool geo_arg_unit(struct call *c, int i, double *metres)
{
    static const struct {
        const char *name;
        double metres;
    } units[] = {{"m", 1}, {"km", 1000}, {"ft", 0.3048}, {"mi", 1609.34}};
    for (size_t k = 0; k < sizeof units / sizeof *units; k++)
        if (slice_is(c->argv[i], units[k].name)) {
            *metres = units[k].metres;
            return true;
        }
    reply_errorf(c->reply, "ERR unsupported unit provided. please use M, KM, FT, MI");
    return false;
}

/* Any score is a place: a member that ZADD gave a number has one, too. */
static struct geo_point place(double score)
{
    return geo_decode(score >= 0 && score < 18446744073709551616.0 ? (uint64_t)score : 0);
}

bool geo_member(const struct obj *o, struct slice member, struct geo_point *p)
{
    double score;
    if (!o || !zset_score(o, member, &score))
        return false;
    *p = place(score);
    return true;
}

static void reply_coordinate(struct call *c, double v)
{
    char text[NUM_LONG_MAX];
    size_t n = num_from_long_double(text, v);
    if (c->reply->resp == 2) {
        reply_bulk(c->reply, slice_of(text, n));
        return;
    }
    struct buf b = {.max = 64};
    buf_addf(&b, ",%.*s\r\n", (int)n, text);
    reply_raw(c->reply, slice_of(b.p, b.len));
    buf_release(&b);
}

void geo_reply_point(struct call *c, struct geo_point p)
{
    reply_array(c->reply, 2);
    reply_coordinate(c, p.lon);
    reply_coordinate(c, p.lat);
}

void geo_reply_distance(struct call *c, double distance)
{
    reply_bulkf(c->reply, "%.4f", distance);
}

/* --- commands --- */

static bool add_option(struct call *c, int i, unsigned *conditions, bool *changed)
{
    if (slice_is(c->argv[i], "NX"))
        *conditions |= ZSET_NX;
    else if (slice_is(c->argv[i], "XX"))
        *conditions |= ZSET_XX;
    else if (slice_is(c->argv[i], "CH"))
        *changed = true;
    else
        return false;
    return true;
}

/* The effect is the ZADD that does the same. */
static void add_effect(struct call *c, int first, unsigned conditions, const double *scores, int n)
{
    int argc = 0;
    struct slice *argv = mem_alloc((size_t)(3 + 2 * n) * sizeof *argv);
    char(*text)[NUM_DOUBLE_MAX] = mem_alloc((size_t)n * sizeof *text);
    argv[argc++] = SLICE("ZADD");
    argv[argc++] = c->argv[1];
    if (conditions)
        argv[argc++] = conditions & ZSET_NX ? SLICE("NX") : SLICE("XX");
    for (int i = 0; i < n; i++) {
        argv[argc++] = slice_of(text[i], num_from_double(text[i], scores[i]));
        argv[argc++] = c->argv[first + 3 * i + 2];
    }
    call_effect(c, argc, argv);
    mem_free(text);
    mem_free(argv);
}

/* Adds places, or moves them.
 *
 * > GEOADD Sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
 * < (integer) 2
 * > GEOADD Sicily XX CH 13.583333 37.316667 Palermo 14 37 Nowhere
 * < (integer) 1
 * > ZCARD Sicily
 * < (integer) 2
 */
static void geoadd(struct call *c)
{
    unsigned conditions = 0;
    bool changed = false;
    int first = 2;
    while (first < c->argc && add_option(c, first, &conditions, &changed))
        first++;
    int n = (c->argc - first) / 3;
    if ((c->argc - first) % 3 || n == 0 || conditions == (ZSET_NX | ZSET_XX)) {
        call_syntax(c);
        return;
    }
    double *scores = mem_alloc((size_t)n * sizeof *scores);
    struct geo_point p;
    struct obj *o;
    int64_t added = 0, moved = 0;
    for (int i = 0; i < n; i++) { /* all of them are looked at before anything changes */
        if (!geo_arg_point(c, first + 3 * i, &p))
            goto out;
        scores[i] = (double)geo_score(p);
    }
    if (!zset_arg_write(c, 1, &o))
        goto out;
    if (!o && !(conditions & ZSET_XX))
        o = db_add(c->db, c->argv[1], zset_new());
    for (int i = 0; i < n && o; i++) {
        double score = scores[i];
        enum zset_outcome what = zset_add(o, c->argv[first + 3 * i + 2], &score, conditions);
        added += what == ZSET_ADDED;
        moved += what == ZSET_CHANGED;
    }
    if (added + moved) {
        db_changed(c->db, c->argv[1], NOTIFY_ZSET, "zadd");
        add_effect(c, first, conditions, scores, n);
    }
    reply_int(c->reply, changed ? added + moved : added);
out:
    mem_free(scores);
}

/* The distance between two places of a set, in metres unless another unit is asked for.
 *
 * > GEOADD Sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
 * < (integer) 2
 * > GEODIST Sicily Palermo Catania km
 * < "166.2742"
 * > GEODIST Sicily Palermo Atlantis
 * < (nil)
 */
static void geodist(struct call *c)
{
    double unit = 1;
    struct obj *o;
    struct geo_point a, b;
    if (c->argc > 5) {
        call_syntax(c);
        return;
    }
    if ((c->argc == 5 && !geo_arg_unit(c, 4, &unit)) || !zset_arg_read(c, 1, &o))
        return;
    if (geo_member(o, c->argv[2], &a) && geo_member(o, c->argv[3], &b))
        geo_reply_distance(c, geo_distance(a, b) / unit);
    else
        reply_nil(c->reply);
}

/* Places as standard geohashes, eleven letters each.
 *
 * > GEOADD Sicily 13.361389 38.115556 Palermo
 * < (integer) 1
 * > GEOHASH Sicily Palermo Atlantis
 * < 1) "sqc8b49rny0"
 * < 2) (nil)
 */
static void geohash(struct call *c)
{
    struct obj *o;
    if (!zset_arg_read(c, 1, &o))
        return;
    reply_array(c->reply, (size_t)c->argc - 2);
    for (int i = 2; i < c->argc; i++) {
        double score;
        char hash[GEO_HASH_LEN];
        if (!o || !zset_score(o, c->argv[i], &score)) {
            reply_nil(c->reply);
            continue;
        }
        geo_hash(geo_score(place(score)), hash);
        reply_bulk(c->reply, slice_of(hash, sizeof hash));
    }
}

/* Longitude and latitude of places.
 *
 * > GEOADD Sicily 13.361389 38.115556 Palermo
 * < (integer) 1
 * > GEOPOS Sicily Palermo Atlantis
 * < 1) 1) "13.36138933897018433"
 * <    2) "38.11555639549629859"
 * < 2) (nil)
 */
static void geopos(struct call *c)
{
    struct obj *o;
    if (!zset_arg_read(c, 1, &o))
        return;
    reply_array(c->reply, (size_t)c->argc - 2);
    for (int i = 2; i < c->argc; i++) {
        struct geo_point p;
        if (geo_member(o, c->argv[i], &p))
            geo_reply_point(c, p);
        else
            reply_nil_array(c->reply);
    }
}

/* clang-format off */
static const struct cmd rows[] = {
    {.name = "geoadd", .run = geoadd, .arity = -5, .flags = CMD_WRITE | CMD_DENYOOM, GEO_KEY,
     .key_spec = "RW update", .syntax = "key [NX|XX] [CH] (longitude latitude member)...",
     .summary = "Adds places to a set, or moves them.", .since = "3.2.0",
     .complexity = "O(log(N)) for each place, N being the size of the set"},
    {.name = "geodist", .run = geodist, .arity = -4, .flags = CMD_READONLY, GEO_KEY,
     .syntax = "key member1 member2 [M|KM|FT|MI]", .summary = "The distance between two places of a set.", .since = "3.2.0",
     .complexity = "O(1)"},
    {.name = "geohash", .run = geohash, .arity = -2, .flags = CMD_READONLY, GEO_KEY, .syntax = "key member...",
     .summary = "Places as standard geohashes.", .since = "3.2.0", .complexity = "O(1) for each place"},
    {.name = "geopos", .run = geopos, .arity = -2, .flags = CMD_READONLY, GEO_KEY, .syntax = "key member...",
     .summary = "Longitude and latitude of places.", .since = "3.2.0", .complexity = "O(1) for each place"},
};
/* clang-format on */

const struct cmd_family geo_family = CMD_FAMILY("geo", rows);
