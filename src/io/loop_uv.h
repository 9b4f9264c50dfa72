/* What the files of io/ share about the loop and nobody else needs: the libuv loop itself, hooks that run after all
 * others, and counted holds. Thread: loop. */
#ifndef IO_LOOP_UV_H
#define IO_LOOP_UV_H

#include <uv.h>

#include "io/loop.h"

uv_loop_t *loop_uv(struct loop *l);

/* Runs after every ordinary hook: what those have gathered (file operations) goes to the kernel in one batch. */
void loop_flush_hook(struct loop *l, struct loop_hook *h);

/* While the sum of holds is above zero, loop_turn says that something is still to come: work on other threads and in
 * the kernel has no active libuv handle that would say so. */
void loop_hold(struct loop *l, int by);

/* Runs what has been posted so far, and what that posts, without a turn of the loop: for a pool that is being taken
 * down and must have its callbacks made before its memory goes. */
void loop_run_posts(struct loop *l);

#endif
