/* Checkpoints: README.md, "The file". Here only what vec.c and file.c need of each other. */
#ifndef VEC_CHECKPOINT_H
#define VEC_CHECKPOINT_H

#include "vec/index.h"

/* Copies the numbers that live beside the header into it, and seals it. */
void header_fill(struct vec_index *v, struct vec_header *h);
void header_seal(struct vec_header *h);

#endif
