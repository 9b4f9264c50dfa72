#include "store/geo.h"

#include <math.h>

#define EARTH_RADIUS 6372797.560856
/* Half the side of the Mercator square: the largest distance that a cell of step 1 has to cover. */
#define MERCATOR_MAX 20037726.37

static double radians(double degrees)
{
    return degrees * (M_PI / 180);
}

static double degrees(double radians)
{
    return radians / (M_PI / 180);
}

/* ---- cells ---- */

struct cell {
    uint32_t x, y; /* longitude, latitude: cell numbers of `step` bits */
    int step;
};

struct span {
    double west, east, south, north;
};

/* Bits apart: bit i goes to bit 2i. */
static uint64_t spread(uint32_t v)
{
    uint64_t x = v;
    x = (x | x << 16) & 0x0000FFFF0000FFFF;
    x = (x | x << 8) & 0x00FF00FF00FF00FF;
    x = (x | x << 4) & 0x0F0F0F0F0F0F0F0F;
    x = (x | x << 2) & 0x3333333333333333;
    return (x | x << 1) & 0x5555555555555555;
}

static uint32_t squeeze(uint64_t x)
{
    x &= 0x5555555555555555;
    x = (x | x >> 1) & 0x3333333333333333;
    x = (x | x >> 2) & 0x0F0F0F0F0F0F0F0F;
    x = (x | x >> 4) & 0x00FF00FF00FF00FF;
    x = (x | x >> 8) & 0x0000FFFF0000FFFF;
    return (uint32_t)(x | x >> 16);
}

/* Which of 2^step equal parts of -max..max v lies in; the upper edge itself belongs to the part behind the last, as in
 * Redis, whose scores for it wrap over. */
static uint32_t part(double v, double max, int step)
{
    return (uint32_t)(uint64_t)((v + max) / (2 * max) * (double)(1ULL << step));
}

static struct cell cell_of(struct geo_point p, double lat_max, int step)
{
    return (struct cell){part(p.lon, GEO_LON_MAX, step), part(p.lat, lat_max, step), step};
}

static uint64_t cell_bits(struct cell c)
{
    return spread(c.y) | spread(c.x) << 1;
}

static struct span cell_span(struct cell c)
{
    double n = (double)(1ULL << c.step);
    return (struct span){
        .west = -GEO_LON_MAX + c.x / n * (2 * GEO_LON_MAX),
        .east = -GEO_LON_MAX + (c.x + 1.0) / n * (2 * GEO_LON_MAX),
        .south = -GEO_LAT_MAX + c.y / n * (2 * GEO_LAT_MAX),
        .north = -GEO_LAT_MAX + (c.y + 1.0) / n * (2 * GEO_LAT_MAX),
    };
}

/* The cell so many to the east and north; the map is a torus here, which is right for longitudes and harmless for
 * latitudes: what is found there is too far away. */
static struct cell cell_next(struct cell c, int east, int north)
{
    uint32_t mask = (uint32_t)((1ULL << c.step) - 1);
    return (struct cell){(c.x + (uint32_t)east) & mask, (c.y + (uint32_t)north) & mask, c.step};
}

/* ---- points ---- */

bool geo_valid(struct geo_point p)
{
    return p.lon >= -GEO_LON_MAX && p.lon <= GEO_LON_MAX && p.lat >= -GEO_LAT_MAX && p.lat <= GEO_LAT_MAX;
}

uint64_t geo_score(struct geo_point p)
{
    return cell_bits(cell_of(p, GEO_LAT_MAX, GEO_STEPS));
}

static double clamp(double v, double max)
{
    return v > max ? max : v < -max ? -max : v;
}

struct geo_point geo_decode(uint64_t score)
{
    struct span s = cell_span((struct cell){squeeze(score >> 1), squeeze(score), GEO_STEPS});
    return (struct geo_point){clamp((s.west + s.east) / 2, GEO_LON_MAX), clamp((s.south + s.north) / 2, GEO_LAT_MAX)};
}

static double lat_distance(double lat1, double lat2)
{
    return EARTH_RADIUS * fabs(radians(lat2) - radians(lat1));
}

double geo_distance(struct geo_point a, struct geo_point b)
{
    double lat1 = radians(a.lat), lat2 = radians(b.lat);
    double v = sin((radians(b.lon) - radians(a.lon)) / 2);
    if (v == 0) /* on one meridian the formula would only lose digits */
        return lat_distance(a.lat, b.lat);
    double u = sin((lat2 - lat1) / 2);
    return 2 * EARTH_RADIUS * asin(sqrt(u * u + cos(lat1) * cos(lat2) * v * v));
}

void geo_hash(uint64_t score, char to[GEO_HASH_LEN])
{
    static const char base32[] = "0123456789bcdefghjkmnpqrstuvwxyz";
    uint64_t bits = cell_bits(cell_of(geo_decode(score), 90, GEO_STEPS));
    for (int i = 0; i < GEO_HASH_LEN; i++) /* 52 bits are ten letters and a rest, which is written as 0 */
        to[i] = base32[i < 10 ? bits >> (52 - (i + 1) * 5) & 31 : 0];
}

/* ---- areas ---- */

bool geo_within(const struct geo_area *a, struct geo_point p, double *distance)
{
    if (a->box) {
        /* How far to the east or west is measured along p's parallel. */
        if (lat_distance(p.lat, a->centre.lat) > a->height / 2 ||
            geo_distance(p, (struct geo_point){a->centre.lon, p.lat}) > a->width / 2)
            return false;
        *distance = geo_distance(a->centre, p);
        return true;
    }
    *distance = geo_distance(a->centre, p);
    return *distance <= a->radius;
}

/* The area's bounds; a parallel is shorter towards the pole, so the longitudes are those at the side nearer to it. */
static struct span bounds_of(const struct geo_area *a)
{
    double height = a->box ? a->height / 2 : a->radius;
    double width = a->box ? a->width / 2 : a->radius;
    double lat = degrees(height / EARTH_RADIUS);
    double edge = a->centre.lat < 0 ? a->centre.lat - lat : a->centre.lat + lat;
    double lon = degrees(width / EARTH_RADIUS / cos(radians(edge)));
    return (struct span){a->centre.lon - lon, a->centre.lon + lon, a->centre.lat - lat, a->centre.lat + lat};
}

/* The step at which a cell and its neighbours are sure to cover so many metres around a point of the first: cells are
 * halved until they are about that large, and are taken larger where the parallels are short. */
static int step_for(double metres, double lat)
{
    if (metres == 0)
        return GEO_STEPS;
    int step = 1;
    for (; metres < MERCATOR_MAX; metres *= 2)
        step++;
    step -= 2;
    if (fabs(lat) > 66)
        step -= fabs(lat) > 80 ? 2 : 1;
    return step < 1 ? 1 : step > GEO_STEPS ? GEO_STEPS : step;
}

/* The centre may lie at the edge of its cell: do the neighbours reach far enough? */
static bool covers(struct cell c, const struct span *bounds)
{
    return cell_span(cell_next(c, 0, 1)).north >= bounds->north && cell_span(cell_next(c, 0, -1)).south <= bounds->south &&
           cell_span(cell_next(c, 1, 0)).east >= bounds->east && cell_span(cell_next(c, -1, 0)).west <= bounds->west;
}

int geo_ranges(const struct geo_area *a, struct geo_range out[GEO_RANGES])
{
    static const struct {
        signed char east, north;
    } around[GEO_RANGES] = {{0, 0}, {0, 1}, {0, -1}, {1, 0}, {-1, 0}, {1, 1}, {-1, 1}, {1, -1}, {-1, -1}};
    struct span bounds = bounds_of(a);
    double metres = a->box ? sqrt(a->width / 2 * (a->width / 2) + a->height / 2 * (a->height / 2)) : a->radius;
    int step = step_for(metres, a->centre.lat);
    struct cell c = cell_of(a->centre, GEO_LAT_MAX, step);
    if (step > 1 && !covers(c, &bounds))
        c = cell_of(a->centre, GEO_LAT_MAX, --step);
    struct span own = cell_span(c);
    int n = 0;
    for (int i = 0; i < GEO_RANGES; i++) {
        int east = around[i].east, north = around[i].north;
        /* A side that the area does not reach; of only two cells each way every side is the same one. */
        if (step >= 2 && ((north < 0 && own.south < bounds.south) || (north > 0 && own.north > bounds.north) ||
                          (east < 0 && own.west < bounds.west) || (east > 0 && own.east > bounds.east)))
            continue;
        uint64_t bits = cell_bits(cell_next(c, east, north));
        struct geo_range r = {bits << (2 * (GEO_STEPS - step)), (bits + 1) << (2 * (GEO_STEPS - step))};
        bool seen = false;
        for (int k = 0; k < n && !seen; k++)
            seen = out[k].min == r.min;
        if (!seen)
            out[n++] = r;
    }
    return n;
}
