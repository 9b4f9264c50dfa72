/* Parsing what vector commands share: the vector itself, and the options of a search. Thread: loop. */
#ifndef CMD_VECTOR_ARGS_H
#define CMD_VECTOR_ARGS_H

#include "cmd/call.h"
#include "store/vset.h"
#include "vec/filter.h"

/* FP32 blob | VALUES n v... | TEXT "..." at argv[*i]; *i moves past it. For TEXT, *text is set and x stays NULL: the
 * set's model makes the vector. x is mem_alloc'ed. False: the error is replied. */
struct vector_arg {
    float *x;
    uint32_t dim;
    struct slice text;
};
bool vector_arg_parse(struct call *c, int *i, struct vector_arg *v);

struct search_args {
    struct vector_arg v;  /* FP32, VALUES, TEXT */
    struct slice element; /* ELE */
    int64_t count, ef, filter_ef;
    bool bounded; /* filter_ef was given: no more than that, though there may be more to find */
    bool exact, no_thread, with_scores, with_attribs, with_vectors, has_radius;
    double radius; /* as vec_query wants it */
    struct filter *filter;
    int words_at;                   /* argv index of HYBRID's words; 0: not given */
    double weight;                  /* of the vector, 0..1; negative: by rank */
    int rerank_at, by_at, query_at; /* argv indexes of RERANK's model, and of BY and QUERY behind it; 0: not given */
};
/* What is searched for, argv from 2 on; *i is where the options begin. On false (replied) there is nothing to release.
 */
bool search_query_parse(struct call *c, int *i, struct search_args *a);
/* The options, argv from i on. vsearch: allow what VSEARCH has beyond VSIM. False: replied; a must still be released.
 */
bool search_options_parse(struct call *c, int i, bool vsearch, enum vec_metric metric, struct search_args *a);
/* VSEARCH key BATCH n FP32 blob, and options. The blob's length is not looked at. */
#define VECTOR_MAX_BATCH 65536
bool search_batch_parse(struct call *c, enum vec_metric metric, struct search_args *a, uint32_t *n, struct slice *blob);
struct vec_query search_args_query(const struct search_args *a, const float *x, uint32_t dim,
                                   const atomic_bool *cancel);
void search_args_release(struct search_args *a);

extern int64_t vector_max_count;
extern const char *const vector_metric_names[3]; /* by enum vec_metric */

struct vset *vset_read(struct call *c, struct slice key); /* NULL: absent, or of another type (replied) */

#endif
