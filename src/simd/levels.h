/* What the files of this folder know of each other: every level's row, present when it was compiled for this machine.
 */
#ifndef SIMD_LEVELS_H
#define SIMD_LEVELS_H

#include "simd/codes.h"
#include "simd/simd.h"

#if defined(__x86_64__)
extern const struct simd_kernels simd_avx2;
extern const struct simd_kernels simd_avx512;
const struct simd_kernels *simd_avx512vnni(void); /* avx512 with the byte products of VNNI */
extern const struct simd_codes simd_codes_avx2;
extern const struct simd_codes simd_codes_avx512;
const struct simd_codes *simd_codes_avx512popcnt(void); /* avx512 with VPOPCNTDQ */
#elif defined(__aarch64__)
extern const struct simd_kernels simd_neon;
extern const struct simd_codes simd_codes_neon;
#endif

#endif
