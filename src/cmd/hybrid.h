/* Two lists of results made one: by vector and by words. Thread: any. */
#ifndef CMD_HYBRID_H
#define CMD_HYBRID_H

#include "text/text.h"
#include "vec/vec.h"

#define HYBRID_RRF 60 /* the constant of reciprocal rank fusion */

struct hybrid_hit {
    struct slice name;           /* of one of the lists */
    double score;                /* larger is better */
    uint32_t by_vector, by_text; /* rank from 1; 0: not in that list */
};

/* weight < 0: reciprocal rank fusion (Cormack, Clarke, Buettcher, SIGIR 2009), the sum of 1 / (60 + rank). Else weight
 * times the vector's score, moved to 0..1 within its list, plus 1 - weight times the words' as a part of the best; who is
 * missing from a list has 0 there. Best first; `to` has room for both lists. Returns how many. Borrows the names. */
uint32_t hybrid_fuse(const struct vec_result *v, const struct text_result *t, double weight, struct hybrid_hit *to);

#endif
