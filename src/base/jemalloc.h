/* What mem_*.c call of jemalloc beyond malloc. Weak: absent in builds under a sanitizer, which bring an allocator of
 * their own. Thread: any. */
#ifndef BASE_JEMALLOC_H
#define BASE_JEMALLOC_H

#include <stddef.h>

extern int mallctl(const char *name, void *old, size_t *oldlen, void *new, size_t newlen) __attribute__((weak));
extern int mallctlnametomib(const char *name, size_t *mib, size_t *len) __attribute__((weak));
extern int mallctlbymib(const size_t *mib, size_t len, void *old, size_t *oldlen, void *new, size_t newlen)
    __attribute__((weak));
extern void *mallocx(size_t n, int flags) __attribute__((weak));
extern void dallocx(void *p, int flags) __attribute__((weak));
extern void malloc_stats_print(void (*write)(void *arg, const char *text), void *arg, const char *opts)
    __attribute__((weak));

#endif
