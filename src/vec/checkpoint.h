/* What file.c (opening, blocking) and checkpoint.c (writing, on the loop) share: the sealed header and the double-write
 * area, a sibling file NAME.dw that holds a whole checkpoint before any of it goes in place. */
#ifndef VEC_CHECKPOINT_H
#define VEC_CHECKPOINT_H

#include "vec/index.h"

/* NAME.dw:
 *        0  4096   dw_header
 *     4096  4096 * count   the pages, in the order of the list; the last is the index's header
 *     then  16 * count     the list
 * It is whole when the header's CRC, the list's and every page's are right. */
struct dw_entry {
    uint64_t off; /* where the page belongs in NAME */
    uint32_t crc; /* CRC32C of the page */
    uint32_t zero;
};
static_assert(sizeof(struct dw_entry) == 16, "double-write entry");

#define DW_MAGIC   "SKALDVDW"
#define DW_PAGE(i) (SPACE_PAGE * ((uint64_t)(i) + 1))
struct dw_header {
    char magic[8];
    uint32_t version, byte_order;
    uint64_t uid, epoch; /* as in the header page it carries */
    uint64_t count;
    uint32_t list_crc;
    char zero[4048];
    uint32_t crc;
};
static_assert(offsetof(struct dw_header, list_crc) == 40 && offsetof(struct dw_header, crc) == 4092,
              "double-write header");
static_assert(sizeof(struct dw_header) == SPACE_PAGE, "double-write header");

/* The numbers that live beside the header go into it, then its CRC. */
void header_fill(struct vec_index *v, struct vec_header *h);
bool header_sealed(const struct vec_header *h); /* ours, whole */

/* A whole double-write area at least as new as the file is put in place, blocking. 0 also when there is none. */
int dw_apply(int fd, int dw_fd, struct err *err);

#endif
