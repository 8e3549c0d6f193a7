/* What all C files share: the compilers that they need, the C library, and instruction sets. */

#ifndef EDGESEARCH_LOOPS_H
#define EDGESEARCH_LOOPS_H

#if !defined(__GNUC__) && !defined(__clang__)
#error "edgesearch needs gcc or clang to compile its inner loops; without them, numpy does the work many times slower."
#endif

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Inlined into every function that is compiled for other registers. */
#define INLINE static inline __attribute__((always_inline))

/* Two sets of AVX2, because a fused multiply-add rounds once where two instructions round twice: loops whose sums must
 * equal those of plain C do without it. */
#if defined(__x86_64__)
#define TARGET_AVX2 __attribute__((target("avx2")))
#define TARGET_AVX2_FMA __attribute__((target("avx2,fma")))
#endif

#endif
