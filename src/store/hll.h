/* HyperLogLog: how many different elements were seen, to about 0.81 %, in at most 12 KB. The value is an ordinary
 * string, byte for byte what Redis 7 makes of the same elements, so that GET, SET, DUMP and RDB files carry it between
 * the two.
 *
 *   offset  0  "HYLL"
 *           4  u8   0 dense, 1 sparse
 *           5  3 bytes, zero
 *           8  u64  little-endian: the count as last computed; its highest bit says that it is out of date
 *          16  the registers: 16384 numbers of 0..51
 *              dense   6 bits each, the lowest first
 *              sparse  runs:  00llllll           l+1 registers that are 0      (z, 1..64)
 *                             01llllll llllllll  l+1 registers that are 0      (Z, 1..16384)
 *                             1vvvvvll           l+1 registers that are v+1    (v, 1..4 of 1..32)
 *
 * Such a string may come from anybody: hll_is looks at the header only, and every function that reads runs checks that
 * they cover the registers exactly, and says when they do not.
 *
 * Thread: any, except hll_settings and what grows a sparse value (they use the setting hll-sparse-max-bytes): loop. */
#ifndef STORE_HLL_H
#define STORE_HLL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#define HLL_REGISTERS   16384
#define HLL_HEAD        16
#define HLL_DENSE_BYTES (HLL_HEAD + HLL_REGISTERS * 6 / 8)

enum hll_encoding { HLL_DENSE, HLL_SPARSE };

enum hll_change {
    HLL_DAMAGED = -1, /* the runs make no sense; the value may be changed in part, so throw the copy away */
    HLL_SAME = 0,
    HLL_CHANGED = 1, /* the stored count is marked as out of date */
};

void hll_settings(void); /* registers hll-sparse-max-bytes */

bool hll_is(struct slice hll); /* what the functions below may be given */
enum hll_encoding hll_encoding(struct slice hll);
void hll_init(struct buf *to); /* `to` becomes an empty sparse value */

/* hll_add takes either encoding, and goes over to dense when it must; hll_dense_add works in place. */
enum hll_change hll_add(struct buf *hll, struct slice element);
enum hll_change hll_dense_add(char *hll, struct slice element);
enum hll_change hll_raise(struct buf *hll, unsigned reg, uint8_t to); /* one register, if it is lower */
enum hll_change hll_to_dense(struct buf *hll);                        /* HLL_SAME: it was */

bool hll_merge(uint8_t max[HLL_REGISTERS], struct slice hll); /* each register raised to hll's; false: damaged */
bool hll_count(struct slice hll, uint64_t *n);                /* the estimate, computed anew; false: damaged */
uint64_t hll_count_registers(const uint8_t regs[HLL_REGISTERS]);

/* The count in the header. */
bool hll_cached(struct slice hll, uint64_t *n); /* false: out of date */
void hll_cache(char *hll, uint64_t n);
void hll_forget(char *hll);

void hll_decode(struct slice hll, struct buf *to); /* a sparse value's runs as text: "Z:100 v:3,1 z:20" */
int hll_self_test(struct err *err);                /* takes some tens of milliseconds */

#endif
