/* Memory: the allocator every other file uses, with a running count of bytes in use.
 *
 * Ordinary out-of-memory aborts with a sentence: a server that cannot allocate forty bytes cannot do anything sensible.
 * Sizes that come from a client or a file go through mem_try, which returns NULL instead. The count is what maxmemory,
 * INFO and MEMORY compare against; it counts usable sizes (what the allocator really handed out), in per-thread cells
 * that are only summed when somebody asks.
 *
 * Thread: any. Memory may be freed on another thread than the one that allocated it. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *mem_alloc(size_t n) __attribute__((malloc, returns_nonnull));
void *mem_zero(size_t n) __attribute__((malloc, returns_nonnull));     /* zero-filled */
void *mem_try(size_t n);                                               /* NULL when it cannot be had */
void *mem_realloc(void *p, size_t n) __attribute__((returns_nonnull)); /* p may be NULL */
void *mem_try_realloc(void *p, size_t n);                              /* NULL leaves p as it was */
void mem_free(void *p);                                                /* NULL allowed */
char *mem_strdup(const char *s);
void *mem_dup(const void *p, size_t n);                                /* a copy of n bytes, NUL appended */

size_t mem_size(const void *p); /* usable bytes of one allocation */
/* Counts memory that was mapped past this allocator (an index's chunks); negative when it goes. */
void mem_note(ptrdiff_t bytes);
size_t mem_used(void);          /* bytes in use in the whole process, by this allocator's users */
size_t mem_rss(void);           /* resident bytes, from /proc; 0 when unknown */
size_t mem_peak(void);          /* the most that mem_used gave when this was called; call it now and then */
void mem_mark_startup(void);    /* the server is ready, without data */
size_t mem_startup(void);       /* mem_used at that moment */

/* The allocator underneath: jemalloc's figures, 0 in builds that bring another one (sanitizers). */
enum mem_figure {
    MEM_ALLOCATED, /* handed out; brings the other figures up to date, ask for it first */
    MEM_ACTIVE,    /* in pages that hold something */
    MEM_RESIDENT,  /* in pages that the system counts as ours */
};
size_t mem_allocator(enum mem_figure which);
bool mem_purge(void);                                /* gives free pages back to the system; false: it failed */

/* Moving what is in memory for good to where pages are full, so that nearly empty ones become free. Thread: one. */
bool mem_can_relocate(void);    /* the allocator tells how full its pages are */
void mem_relocate_begin(void);  /* before many: the thread's own free lists go back, which keep pages in use */
void *mem_relocated(void *p);   /* the same bytes at a better place, p is freed then; or p. NULL gives NULL */
void mem_relocate_always(bool); /* for tests: everything moves each time, whatever the allocator */
extern struct mem_relocations {
    uint64_t moved, kept;
} mem_relocations;
bool mem_report(void (*line)(void *arg, const char *text), void *arg); /* the allocator's own words */

#endif
