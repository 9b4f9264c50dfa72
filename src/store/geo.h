/* Places on earth as the scores of a sorted set, the way Redis keeps them.
 *
 * A place is cut into cells: longitude (-180..180) and latitude (-85.05112878..85.05112878, the web Mercator square) are
 * halved `step` times each, and the two cell numbers are interleaved, latitude in the even bits. With 26 steps that is
 * 52 bits, which a double holds exactly: the score. Neighbours in space mostly share their upper bits, so a search is a
 * few ranges of scores: the cell that holds the centre, at a step where the cell is about as large as the area, and the
 * eight around it.
 *
 * Sources: G. Niemeyer's geohash (interleaving, base 32); haversine (R. W. Sinnott, "Virtues of the Haversine", 1984);
 * the earth is a sphere of 6,372,797.560856 m, as in Redis. Thread: any. */
#ifndef STORE_GEO_H
#define STORE_GEO_H

#include <stdbool.h>
#include <stdint.h>

#define GEO_STEPS   26
#define GEO_LAT_MAX 85.05112878
#define GEO_LON_MAX 180.0

struct geo_point {
    double lon, lat; /* degrees */
};

bool geo_valid(struct geo_point p); /* within the square above; NaN is not */
uint64_t geo_score(struct geo_point p); /* p is valid */
struct geo_point geo_decode(uint64_t score); /* the middle of the cell */
double geo_distance(struct geo_point a, struct geo_point b); /* metres */

#define GEO_HASH_LEN 11
void geo_hash(uint64_t score, char to[GEO_HASH_LEN]); /* the standard geohash, which uses latitudes to +-90; no NUL */

struct geo_area {
    struct geo_point centre;
    bool box;
    double radius;        /* metres; a circle */
    double width, height; /* metres; a box */
};
/* Whether p lies in the area; then its distance from the centre in metres. */
bool geo_within(const struct geo_area *a, struct geo_point p, double *distance);

#define GEO_RANGES 9
struct geo_range {
    uint64_t min, end; /* scores from min to before end */
};
/* The ranges of scores that cover the area, nearest cells first; returns how many. */
int geo_ranges(const struct geo_area *a, struct geo_range out[GEO_RANGES]);

#endif
