/* Search a compressed index in one call: make the table, route, scan 4-bit codes, rescore int8 rows.
 *
 * The numpy twin in `kernel.py` is the specification; its steps have the same names.
 * The scan is the "fast scan" of Andre, Kermarrec, Le Scouarnec (VLDB 2015): the 16 table entries of a subquantizer fit
 * one register, so one byte shuffle looks up 16 or 32 codes. Entries are below 64, so four of them add up in a byte
 * before it is widened.
 *
 * Two more functions compare vectors with all codewords of a codebook, and one adds up the votes of visual words.
 *
 * Shapes: B queries, k results, N rows in P blocks of 32 (a cell begins with a new block; padding rows have number -1),
 * D dimensions, M subquantizers of 16 codewords, C cells.
 */

#include "kernel.h"

#include "../_util/loops.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

enum { MAX_LEVEL = 63, MAX_QUERY = 8191, CACHE_LINE = 64, BLOCKS_AHEAD = 4 };

/* ---- Inner loops: first plain C, then vector instructions, which must give the same results. ---- */

/* sums[i] = sum over m of levels[m][code of row i], for the 32 rows of a block. Return one bit per row, lowest first:
 * whether its sum is at least `least`. If no bit is set, `sums` may stay unwritten.
 * levels: (M, 16), packed: (M/2, 32). */
typedef uint32_t BlockSums(const uint8_t *levels, const uint8_t *packed, int pairs, uint16_t least,
                           uint16_t sums[BLOCK]);

/* Find the row with the highest sum, the first of equals, and the two highest sums; a missing row has the sum 0.
 * levels: (M, 16), packed: (P, M/2, 32), allowed: (P,) bits or NULL. */
typedef void TwoHighest(const uint8_t *levels, const uint8_t *packed, int pairs, int64_t count,
                        const uint32_t *allowed, int32_t *row, uint16_t highest[2]);

/* dot[0] = row . query, dot[1] = row . row. row: (D,), query: (D,) of at most MAX_QUERY. */
typedef void Dot(const int8_t *row, const int16_t *query, int dim, int32_t dot[2]);

/* entries[m][w] = part m of (query . rotation) . codeword w of subquantizer m.
 * query: (D,), rotation: (D, D), codebook: (M, D/M, 16), entries: (M, 16), rotated: scratch (D,). */
typedef void Products(const Index *index, const float *query, float *rotated, float *entries);

static inline void products(const Index *index, const float *query, float *restrict rotated, float *restrict entries) {
    const int dim = index->dim, part = dim / index->subquantizers;
    const float *restrict row = index->rotation, *restrict words = index->codebook;
    for (int d = 0; d < dim; d++) rotated[d] = 0;
    for (int i = 0; i < dim; i++, row += dim)
        for (int d = 0; d < dim; d++) rotated[d] += query[i] * row[d];
    for (int m = 0; m < index->subquantizers; m++, entries += CODEWORDS) {
        float sums[CODEWORDS] = {0};
        for (int d = 0; d < part; d++, rotated++, words += CODEWORDS)
            for (int w = 0; w < CODEWORDS; w++) sums[w] += *rotated * words[w];
        memcpy(entries, sums, sizeof sums);
    }
}

/* codes[m] = the codeword of part m that is nearest to that part of x, the first of equals. x: (D,), codes: (M,). */
typedef void Encode(const Codebook *book, const float *x, uint8_t *codes);

/* Quantize 2 x . w - w . w for all codewords w on one scale: it is lows[m] + step * levels[m][w] within half a step.
 * Return the step. x: (D,), levels: (M, 16), lows: (M,). K is 16. */
typedef float QuantizeProducts(const Codebook *book, const float *x, uint8_t *levels, float *lows);

typedef float Floats __attribute__((vector_size(8 * sizeof(float))));
enum { LANES = sizeof(Floats) / sizeof(float), MANY = 64 }; /* MANY codewords are compared at a time */

/* sums[w] = x . codeword w, for `words` codewords. x: (dim,), codewords: (dim, stride). */
INLINE void multiply(const float *x, int dim, const float *codewords, int stride, int words, float *sums) {
    Floats totals[MANY / LANES] = {{0}}, part;
    for (int d = 0; d < dim; d++, codewords += stride)
        for (int i = 0; i < words / LANES; i++) {
            memcpy(&part, codewords + i * LANES, sizeof part);
            totals[i] += x[d] * part;
        }
    for (int i = 0; i < words / LANES; i++) memcpy(sums + i * LANES, &totals[i], sizeof totals[i]);
}

/* Keep the nearest of some codewords in each of sixteen lanes, the first of equals.
 * squares: (words,), codewords: (dim, stride), least, nearest: (16,), first: number of the first codeword. */
INLINE void compare(const float *x, int dim, const float *codewords, int stride, const float *squares, int words,
                    int first, float *least, int32_t *nearest) {
    float sums[MANY];
    multiply(x, dim, codewords, stride, words, sums);
    for (int i = 0; i < words; i += CODEWORDS)
        for (int w = 0; w < CODEWORDS; w++) {
            const float distance = squares[i + w] - 2 * sums[i + w];
            nearest[w] = distance < least[w] ? first + i + w : nearest[w];
            least[w] = distance < least[w] ? distance : least[w];
        }
}

INLINE void encode(const Codebook *book, const float *x, uint8_t *codes) {
    const float *codewords = book->codewords, *squares = book->squares;
    for (int m = 0; m < book->parts; m++, x += book->dim, squares += book->words) {
        float least[CODEWORDS];
        int32_t nearest[CODEWORDS] = {0}, best = 0;
        int i = 0;
        for (int w = 0; w < CODEWORDS; w++) least[w] = INFINITY;
        for (; i + MANY <= book->words; i += MANY)
            compare(x, book->dim, codewords + i, book->words, squares + i, MANY, i, least, nearest);
        for (; i < book->words; i += CODEWORDS)
            compare(x, book->dim, codewords + i, book->words, squares + i, CODEWORDS, i, least, nearest);
        for (int w = 1; w < CODEWORDS; w++)
            if (least[w] < least[best] || (least[w] == least[best] && nearest[w] < nearest[best])) best = w;
        codes[m] = (uint8_t)nearest[best];
        codewords += book->dim * book->words;
    }
}

/* Return the lowest and the highest of sixteen numbers, four lanes at a time, because one lane waits for itself. */
INLINE void find_range(const float x[CODEWORDS], float *lowest, float *highest) {
    enum { QUARTER = CODEWORDS / 4 };
    float low[QUARTER], high[QUARTER];
    memcpy(low, x, sizeof low), memcpy(high, x, sizeof high);
    for (int w = QUARTER; w < CODEWORDS; w += QUARTER)
        for (int i = 0; i < QUARTER; i++) {
            low[i] = x[w + i] < low[i] ? x[w + i] : low[i];
            high[i] = x[w + i] > high[i] ? x[w + i] : high[i];
        }
    for (int i = 1; i < QUARTER; i++) {
        low[0] = low[i] < low[0] ? low[i] : low[0];
        high[0] = high[i] > high[0] ? high[i] : high[0];
    }
    *lowest = low[0], *highest = high[0];
}

static const float WHOLE = 1.5f * (1 << 23); /* floats around it have no fraction */

INLINE float quantize_products(const Codebook *book, const float *x, uint8_t *restrict levels, float *lows) {
    const int parts = book->parts;
    float table[MAX_SUBQUANTIZERS * CODEWORDS], widest = 0;
    for (int m = 0; m < parts; m++) {
        float *entries = table + m * CODEWORDS, low, high;
        multiply(x + m * book->dim, book->dim, book->codewords + m * book->dim * CODEWORDS, CODEWORDS, CODEWORDS,
                 entries);
        for (int w = 0; w < CODEWORDS; w++) entries[w] = 2 * entries[w] - book->squares[m * CODEWORDS + w];
        find_range(entries, &low, &high);
        for (int w = 0; w < CODEWORDS; w++) entries[w] -= low;
        lows[m] = low, widest = high - low > widest ? high - low : widest;
    }
    const float step = widest / MAX_LEVEL, divisor = step > 0 ? step : 1;
    for (int i = 0; i < parts * CODEWORDS; i++) {
        const float level = table[i] / divisor + WHOLE - WHOLE; /* rintf, which compilers do not turn into vectors */
        levels[i] = (uint8_t)(int)(level < MAX_LEVEL ? level : MAX_LEVEL);
    }
    return step;
}

static void encode_plain(const Codebook *book, const float *x, uint8_t *codes) { encode(book, x, codes); }

static float quantize_products_plain(const Codebook *book, const float *x, uint8_t *levels, float *lows) {
    return quantize_products(book, x, levels, lows);
}

static void products_plain(const Index *index, const float *query, float *rotated, float *entries) {
    products(index, query, rotated, entries);
}

static uint32_t block_sums_plain(const uint8_t *levels, const uint8_t *packed, int pairs, uint16_t least,
                                 uint16_t sums[BLOCK]) {
    uint32_t reached = 0;
    memset(sums, 0, BLOCK * sizeof *sums);
    for (int j = 0; j < pairs; j++, levels += 2 * CODEWORDS, packed += BLOCK)
        for (int i = 0; i < BLOCK; i++)
            sums[i] = (uint16_t)(sums[i] + levels[packed[i] & 15] + levels[CODEWORDS + (packed[i] >> 4)]);
    for (int i = 0; i < BLOCK; i++) reached |= (uint32_t)(sums[i] >= least) << i;
    return reached;
}

/* Return the rows of block `number` that exist and are allowed, as bits. */
static inline uint32_t usable_rows(int64_t number, int64_t count, const uint32_t *allowed) {
    const int64_t left = count - number * BLOCK;
    return (allowed ? allowed[number] : UINT32_MAX) & (left < BLOCK ? ((uint32_t)1 << left) - 1 : UINT32_MAX);
}

INLINE void two_highest(BlockSums *block_sums, const uint8_t *levels, const uint8_t *packed, int pairs, int64_t count,
                        const uint32_t *allowed, int32_t *row, uint16_t highest[2]) {
    uint16_t sums[BLOCK];
    *row = 0, highest[0] = highest[1] = 0;
    for (int64_t b = 0; b * BLOCK < count; b++, packed += pairs * BLOCK) {
        const uint32_t usable = usable_rows(b, count, allowed);
        if (!usable) continue;
        uint32_t reached = usable & block_sums(levels, packed, pairs, (uint16_t)(highest[1] + 1), sums);
        for (; reached; reached &= reached - 1) {
            const int i = __builtin_ctz(reached);
            if (sums[i] <= highest[1]) continue;
            if (sums[i] <= highest[0]) {
                highest[1] = sums[i];
                continue;
            }
            highest[1] = highest[0], highest[0] = sums[i], *row = (int32_t)(b * BLOCK + i);
        }
    }
}

static void two_highest_plain(const uint8_t *levels, const uint8_t *packed, int pairs, int64_t count,
                              const uint32_t *allowed, int32_t *row, uint16_t highest[2]) {
    two_highest(block_sums_plain, levels, packed, pairs, count, allowed, row, highest);
}

static void dot_tail(const int8_t *row, const int16_t *query, int from, int dim, int32_t dot[2]) {
    for (int d = from; d < dim; d++) {
        dot[0] += row[d] * query[d];
        dot[1] += row[d] * row[d];
    }
}

static void dot_plain(const int8_t *row, const int16_t *query, int dim, int32_t dot[2]) {
    dot[0] = dot[1] = 0;
    dot_tail(row, query, 0, dim, dot);
}

#if defined(__x86_64__)

/* Add the table entries of two subquantizers for 32 rows, a byte each. levels: (2, 16), packed: (32,). */
TARGET_AVX2 static inline __m256i look_up_avx2(const uint8_t *levels, const uint8_t *packed) {
    const __m256i codes = _mm256_loadu_si256((const __m256i *)packed), low = _mm256_set1_epi8(15);
    const __m256i even = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)levels));
    const __m256i odd = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(levels + CODEWORDS)));
    return _mm256_add_epi8(_mm256_shuffle_epi8(even, _mm256_and_si256(codes, low)),
                           _mm256_shuffle_epi8(odd, _mm256_and_si256(_mm256_srli_epi16(codes, 4), low)));
}

/* The sums of the rows 0, 2, 4, ... and 1, 3, 5, ... of a block. */
typedef struct {
    __m256i even, odd;
} SumsAvx2;

TARGET_AVX2 static inline SumsAvx2 add_levels_avx2(const uint8_t *levels, const uint8_t *packed, int pairs) {
    const __m256i low = _mm256_set1_epi16(255);
    __m256i even = _mm256_setzero_si256(), odd = even;
    for (int j = 0; j < pairs; j += 2, levels += 4 * CODEWORDS, packed += 2 * BLOCK) {
        __m256i sum = look_up_avx2(levels, packed);
        if (j + 1 < pairs) sum = _mm256_add_epi8(sum, look_up_avx2(levels + 2 * CODEWORDS, packed + BLOCK));
        even = _mm256_add_epi16(even, _mm256_and_si256(sum, low));
        odd = _mm256_add_epi16(odd, _mm256_srli_epi16(sum, 8));
    }
    return (SumsAvx2){even, odd};
}

TARGET_AVX2 static uint32_t block_sums_avx2(const uint8_t *levels, const uint8_t *packed, int pairs, uint16_t least,
                                     uint16_t sums[BLOCK]) {
    const __m256i high = _mm256_set1_epi16((short)0xff00), bar = _mm256_set1_epi16((short)least);
    const SumsAvx2 added = add_levels_avx2(levels, packed, pairs);
    const __m256i even = added.even, odd = added.odd;
    const __m256i even_reached = _mm256_cmpeq_epi16(_mm256_max_epu16(even, bar), even);
    const __m256i odd_reached = _mm256_cmpeq_epi16(_mm256_max_epu16(odd, bar), odd);
    const uint32_t reached = (uint32_t)_mm256_movemask_epi8(_mm256_blendv_epi8(even_reached, odd_reached, high));
    if (!reached) return 0;
    const __m256i first = _mm256_unpacklo_epi16(even, odd), second = _mm256_unpackhi_epi16(even, odd);
    _mm256_storeu_si256((__m256i *)sums, _mm256_permute2x128_si256(first, second, 0x20));
    _mm256_storeu_si256((__m256i *)(sums + 16), _mm256_permute2x128_si256(first, second, 0x31));
    return reached;
}

/* The two highest sums in each lane, and the block of the highest, the first of equals. Sums are below 2^15. */
typedef struct {
    __m256i highest, second, block;
} LanesAvx2;

TARGET_AVX2 static inline void keep_two_avx2(LanesAvx2 *lanes, __m256i sums, __m256i block) {
    lanes->block = _mm256_blendv_epi8(lanes->block, block, _mm256_cmpgt_epi16(sums, lanes->highest));
    lanes->second = _mm256_max_epu16(lanes->second, _mm256_min_epu16(lanes->highest, sums));
    lanes->highest = _mm256_max_epu16(lanes->highest, sums);
}

/* Set the sums of unusable rows to 0. usable: one bit per row, lowest first. */
TARGET_AVX2 static inline SumsAvx2 mask_sums_avx2(SumsAvx2 sums, uint32_t usable) {
    const __m128i low = _mm_set1_epi16((short)usable), high = _mm_set1_epi16((short)(usable >> 16));
    const __m256i bits = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
    const __m256i even = _mm256_set_epi16(1 << 14, 1 << 12, 1 << 10, 1 << 8, 1 << 6, 1 << 4, 1 << 2, 1,
                                          1 << 14, 1 << 12, 1 << 10, 1 << 8, 1 << 6, 1 << 4, 1 << 2, 1);
    const __m256i odd = _mm256_slli_epi16(even, 1);
    sums.even = _mm256_and_si256(sums.even, _mm256_cmpeq_epi16(_mm256_and_si256(bits, even), even));
    sums.odd = _mm256_and_si256(sums.odd, _mm256_cmpeq_epi16(_mm256_and_si256(bits, odd), odd));
    return sums;
}

typedef struct {
    __m128i highest, second;
} TwoAvx2;

/* Merge the two highest sums of lanes with those of others. */
TARGET_AVX2 static inline TwoAvx2 merge_two_avx2(TwoAvx2 a, __m128i highest, __m128i second) {
    const __m128i less = _mm_max_epu16(_mm_max_epu16(a.second, second), _mm_min_epu16(a.highest, highest));
    return (TwoAvx2){_mm_max_epu16(a.highest, highest), less};
}

/* Return the first row with the highest sum. even, odd: lanes of the rows 0, 2, 4, ... and 1, 3, 5, ... of a block. */
TARGET_AVX2 static inline int32_t first_row_avx2(const LanesAvx2 *even, const LanesAvx2 *odd, uint16_t highest) {
    const __m256i sum = _mm256_set1_epi16((short)highest);
    uint32_t rows = ((uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi16(even->highest, sum)) & 0x55555555) |
                    ((uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi16(odd->highest, sum)) & 0xaaaaaaaa);
    uint16_t blocks[2][BLOCK / 2];
    int32_t first = INT32_MAX;
    _mm256_storeu_si256((__m256i *)blocks[0], even->block), _mm256_storeu_si256((__m256i *)blocks[1], odd->block);
    for (; rows; rows &= rows - 1) {
        const int i = __builtin_ctz(rows), row = blocks[i % 2][i / 2] * BLOCK + i;
        first = row < first ? row : first;
    }
    return first;
}

/* Keep the two highest sums of each lane, without branches, and merge the lanes at the end. */
TARGET_AVX2 static void two_highest_avx2(const uint8_t *levels, const uint8_t *packed, int pairs, int64_t count,
                                         const uint32_t *allowed, int32_t *row, uint16_t highest[2]) {
    if (count > (int64_t)BLOCK << 16) { /* a lane's block has 16 bits */
        two_highest(block_sums_avx2, levels, packed, pairs, count, allowed, row, highest);
        return;
    }
    LanesAvx2 even = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()}, odd = even;
    for (int64_t b = 0; b * BLOCK < count; b++, packed += pairs * BLOCK) {
        const uint32_t usable = usable_rows(b, count, allowed);
        if (!usable) continue;
        SumsAvx2 sums = add_levels_avx2(levels, packed, pairs);
        if (usable != UINT32_MAX) sums = mask_sums_avx2(sums, usable);
        keep_two_avx2(&even, sums.even, _mm256_set1_epi16((short)b));
        keep_two_avx2(&odd, sums.odd, _mm256_set1_epi16((short)b));
    }
    const __m256i most = _mm256_max_epu16(even.highest, odd.highest);
    const __m256i less = _mm256_max_epu16(_mm256_max_epu16(even.second, odd.second),
                                          _mm256_min_epu16(even.highest, odd.highest));
    TwoAvx2 two = {_mm256_castsi256_si128(most), _mm256_castsi256_si128(less)};
    two = merge_two_avx2(two, _mm256_extracti128_si256(most, 1), _mm256_extracti128_si256(less, 1));
    two = merge_two_avx2(two, _mm_srli_si128(two.highest, 8), _mm_srli_si128(two.second, 8));
    two = merge_two_avx2(two, _mm_srli_si128(two.highest, 4), _mm_srli_si128(two.second, 4));
    two = merge_two_avx2(two, _mm_srli_si128(two.highest, 2), _mm_srli_si128(two.second, 2));
    highest[0] = (uint16_t)_mm_extract_epi16(two.highest, 0), highest[1] = (uint16_t)_mm_extract_epi16(two.second, 0);
    *row = highest[0] ? first_row_avx2(&even, &odd, highest[0]) : 0;
}

TARGET_AVX2 static int32_t sum_avx2(__m256i x) {
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

TARGET_AVX2 static void dot_avx2(const int8_t *row, const int16_t *query, int dim, int32_t dot[2]) {
    __m256i product = _mm256_setzero_si256(), square = product;
    int d = 0;
    for (; d + 16 <= dim; d += 16) {
        const __m256i x = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(row + d)));
        product = _mm256_add_epi32(product, _mm256_madd_epi16(x, _mm256_loadu_si256((const __m256i *)(query + d))));
        square = _mm256_add_epi32(square, _mm256_madd_epi16(x, x));
    }
    dot[0] = sum_avx2(product), dot[1] = sum_avx2(square);
    dot_tail(row, query, d, dim, dot);
}

/* The plain loops in wider registers. */
TARGET_AVX2 static void products_avx2(const Index *index, const float *query, float *rotated, float *entries) {
    products(index, query, rotated, entries);
}

/* The plain loops in wider registers. They round a product and its sum once, so that a distance may differ in its last
 * bit. */
TARGET_AVX2_FMA static void encode_avx2(const Codebook *book, const float *x, uint8_t *codes) {
    encode(book, x, codes);
}

TARGET_AVX2_FMA static float quantize_products_avx2(const Codebook *book, const float *x, uint8_t *levels,
                                                    float *lows) {
    return quantize_products(book, x, levels, lows);
}

/* Return whether the processor has AVX2 and FMA and the system saves their registers. */
static int has_avx2(void) {
    unsigned a, b, c, d, saved;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_FMA)) return 0;
    __asm__("xgetbv" : "=a"(saved), "=d"(d) : "c"(0));
    return (saved & 6) == 6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2);
}

#elif defined(__aarch64__)

/* Add the table entries of two subquantizers for 16 rows, a byte each. levels: (2, 16), packed: (16,). */
static inline uint8x16_t look_up_neon(const uint8_t *levels, const uint8_t *packed) {
    const uint8x16_t codes = vld1q_u8(packed);
    return vaddq_u8(vqtbl1q_u8(vld1q_u8(levels), vandq_u8(codes, vdupq_n_u8(15))),
                    vqtbl1q_u8(vld1q_u8(levels + CODEWORDS), vshrq_n_u8(codes, 4)));
}

static uint32_t block_sums_neon(const uint8_t *levels, const uint8_t *packed, int pairs, uint16_t least,
                                uint16_t sums[BLOCK]) {
    static const uint16_t bit_of_lane[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    uint32_t reached = 0;
    uint16x8_t total[4] = {vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0)};
    for (int j = 0; j < pairs; j += 2, levels += 4 * CODEWORDS, packed += 2 * BLOCK)
        for (int half = 0; half < 2; half++) {
            uint8x16_t sum = look_up_neon(levels, packed + 16 * half);
            if (j + 1 < pairs)
                sum = vaddq_u8(sum, look_up_neon(levels + 2 * CODEWORDS, packed + BLOCK + 16 * half));
            total[2 * half] = vaddw_u8(total[2 * half], vget_low_u8(sum));
            total[2 * half + 1] = vaddw_high_u8(total[2 * half + 1], sum);
        }
    for (int i = 0; i < 4; i++) {
        const uint16x8_t bits = vandq_u16(vcgeq_u16(total[i], vdupq_n_u16(least)), vld1q_u16(bit_of_lane));
        reached |= (uint32_t)vaddvq_u16(bits) << (8 * i);
        vst1q_u16(sums + 8 * i, total[i]);
    }
    return reached;
}

static void two_highest_neon(const uint8_t *levels, const uint8_t *packed, int pairs, int64_t count,
                             const uint32_t *allowed, int32_t *row, uint16_t highest[2]) {
    two_highest(block_sums_neon, levels, packed, pairs, count, allowed, row, highest);
}

static void dot_neon(const int8_t *row, const int16_t *query, int dim, int32_t dot[2]) {
    int32x4_t product = vdupq_n_s32(0), square = product;
    int d = 0;
    for (; d + 8 <= dim; d += 8) {
        const int16x8_t x = vmovl_s8(vld1_s8(row + d)), q = vld1q_s16(query + d);
        product = vmlal_high_s16(vmlal_s16(product, vget_low_s16(x), vget_low_s16(q)), x, q);
        square = vmlal_high_s16(vmlal_s16(square, vget_low_s16(x), vget_low_s16(x)), x, x);
    }
    dot[0] = vaddvq_s32(product), dot[1] = vaddvq_s32(square);
    dot_tail(row, query, d, dim, dot);
}

#elif defined(__wasm_simd128__)

/* Add the table entries of two subquantizers for 16 rows, a byte each. levels: (2, 16), packed: (16,). */
static inline v128_t look_up_wasm(const uint8_t *levels, const uint8_t *packed) {
    const v128_t codes = wasm_v128_load(packed), low = wasm_i8x16_splat(15);
    return wasm_i8x16_add(wasm_i8x16_swizzle(wasm_v128_load(levels), wasm_v128_and(codes, low)),
                          wasm_i8x16_swizzle(wasm_v128_load(levels + CODEWORDS), wasm_u8x16_shr(codes, 4)));
}

static uint32_t block_sums_wasm(const uint8_t *levels, const uint8_t *packed, int pairs, uint16_t least,
                                uint16_t sums[BLOCK]) {
    uint32_t reached = 0;
    v128_t total[4] = {wasm_i16x8_splat(0), wasm_i16x8_splat(0), wasm_i16x8_splat(0), wasm_i16x8_splat(0)};
    for (int j = 0; j < pairs; j += 2, levels += 4 * CODEWORDS, packed += 2 * BLOCK)
        for (int half = 0; half < 2; half++) {
            v128_t sum = look_up_wasm(levels, packed + 16 * half);
            if (j + 1 < pairs)
                sum = wasm_i8x16_add(sum, look_up_wasm(levels + 2 * CODEWORDS, packed + BLOCK + 16 * half));
            total[2 * half] = wasm_i16x8_add(total[2 * half], wasm_u16x8_extend_low_u8x16(sum));
            total[2 * half + 1] = wasm_i16x8_add(total[2 * half + 1], wasm_u16x8_extend_high_u8x16(sum));
        }
    for (int i = 0; i < 4; i++) {
        reached |= (uint32_t)wasm_i16x8_bitmask(wasm_u16x8_ge(total[i], wasm_i16x8_splat((int16_t)least))) << (8 * i);
        wasm_v128_store(sums + 8 * i, total[i]);
    }
    return reached;
}

static void two_highest_wasm(const uint8_t *levels, const uint8_t *packed, int pairs, int64_t count,
                             const uint32_t *allowed, int32_t *row, uint16_t highest[2]) {
    two_highest(block_sums_wasm, levels, packed, pairs, count, allowed, row, highest);
}

static int32_t sum_wasm(v128_t x) {
    return wasm_i32x4_extract_lane(x, 0) + wasm_i32x4_extract_lane(x, 1) + wasm_i32x4_extract_lane(x, 2) +
           wasm_i32x4_extract_lane(x, 3);
}

static void dot_wasm(const int8_t *row, const int16_t *query, int dim, int32_t dot[2]) {
    v128_t product = wasm_i32x4_splat(0), square = product;
    int d = 0;
    for (; d + 8 <= dim; d += 8) {
        const v128_t x = wasm_i16x8_load8x8(row + d);
        product = wasm_i32x4_add(product, wasm_i32x4_dot_i16x8(x, wasm_v128_load(query + d)));
        square = wasm_i32x4_add(square, wasm_i32x4_dot_i16x8(x, x));
    }
    dot[0] = sum_wasm(product), dot[1] = sum_wasm(square);
    dot_tail(row, query, d, dim, dot);
}

#endif

typedef struct {
    const char *name;
    Products *products;
    BlockSums *block_sums;
    TwoHighest *two_highest;
    Dot *dot;
    Encode *encode;
    QuantizeProducts *quantize_products;
} Loops;

static const Loops PLAIN = {
    "plain",   products_plain, block_sums_plain,        two_highest_plain,
                            dot_plain, encode_plain,   quantize_products_plain};

/* Return the fastest loops that this processor runs. */
static Loops choose_loops(void) {
#if defined(__x86_64__)
    if (has_avx2())
        return (Loops){"avx2",   products_avx2, block_sums_avx2,       two_highest_avx2,
                       dot_avx2, encode_avx2,   quantize_products_avx2};
#elif defined(__aarch64__)
    return (Loops){"neon",   products_plain, block_sums_neon,        two_highest_neon,
                   dot_neon, encode_plain,   quantize_products_plain};
#elif defined(__wasm_simd128__)
    return (Loops){"simd128", products_plain, block_sums_wasm,        two_highest_wasm,
                   dot_wasm,  encode_plain,   quantize_products_plain};
#endif
    return PLAIN;
}

static Loops loops; /* `use_loops` chooses them */

const char *use_loops(const char *name) {
    if (*name && strcmp(name, PLAIN.name)) return NULL;
    loops = *name ? PLAIN : choose_loops();
    return loops.name;
}

/* ---- The best of many: a buffer of keys that is cut to the best `keep` whenever it is full. ---- */

/* A key is score << 32 | ~position, so that keys order by score, then by lower position. */
typedef struct {
    uint64_t *keys; /* room for 2 keep + BLOCK */
    int64_t count, keep;
    uint32_t least; /* scores below it can no longer be among the best */
} Best;

static uint32_t position_of(uint64_t key) { return ~(uint32_t)key; }

/* Move the highest `keep` keys to the front, in any order (quickselect, Hoare 1961). keys: (count,). */
static void select_highest(uint64_t *keys, int64_t count, int64_t keep) {
    int64_t low = 0, high = count - 1;
    while (low < high) {
        const uint64_t a = keys[low], b = keys[low + (high - low) / 2], c = keys[high];
        const uint64_t pivot = a < b ? (b < c ? b : (a < c ? c : a)) : (a < c ? a : (b < c ? c : b));
        int64_t i = low, j = high;
        while (i <= j) {
            while (keys[i] > pivot) i++;
            while (keys[j] < pivot) j--;
            if (i <= j) {
                const uint64_t swapped = keys[i];
                keys[i++] = keys[j], keys[j--] = swapped;
            }
        }
        if (keep - 1 <= j) high = j;
        else if (keep - 1 >= i) low = i;
        else return;
    }
}

/* Drop all but the best `keep` keys. */
static void shrink(Best *best) {
    if (best->count <= best->keep) return;
    select_highest(best->keys, best->count, best->keep);
    best->count = best->keep;
    uint64_t least = best->keys[0];
    for (int64_t i = 1; i < best->keep; i++)
        if (best->keys[i] < least) least = best->keys[i];
    best->least = (uint32_t)(least >> 32);
}

/* Add a key unless its score is too low. */
static inline void offer(Best *best, uint32_t score, uint32_t position) {
    if (score < best->least) return;
    best->keys[best->count++] = (uint64_t)score << 32 | (uint32_t)~position;
    if (best->count == 2 * best->keep + BLOCK) shrink(best);
}

static int by_key_descending(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

/* Map a float to an unsigned integer, keeping the order. */
static uint32_t order_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* Undo `order_of`. */
static float float_of(uint32_t order) {
    const uint32_t bits = order & 0x80000000u ? order & 0x7fffffffu : ~order;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* ---- One query ---- */

/* Memory for one query at a time. */
typedef struct {
    float *rotated;  /* (D,) */
    float *table;    /* (M, 16) */
    uint8_t *levels; /* (M, 16) */
    int16_t *query;  /* (D,) */
    float query_norm, step, bias;
    uint32_t *counts; /* (63 M + 1,): how many rows have each sum */
    uint32_t counted; /* rows whose sum is at least shortlist.least */
    Best cells, shortlist, found;
} Scratch;

/* Quantize the products of the query with all codewords on one scale, so that
 * sum over m of product(m, w_m) ~ bias + step * sum over m of levels[m][w_m]. query: (D,), levels: (M, 16). */
static void make_table(const Index *index, const float *query, Scratch *s) {
    const int m_count = index->subquantizers;
    loops.products(index, query, s->rotated, s->table);
    float widest = s->bias = 0;
    for (int m = 0; m < m_count; m++) {
        float *entries = s->table + m * CODEWORDS, low = entries[0];
        for (int w = 1; w < CODEWORDS; w++) low = entries[w] < low ? entries[w] : low;
        for (int w = 0; w < CODEWORDS; w++) {
            entries[w] -= low;
            widest = entries[w] > widest ? entries[w] : widest;
        }
        s->bias += low;
    }
    s->step = widest > 0 ? widest / MAX_LEVEL : 1;
    for (int i = 0; i < m_count * CODEWORDS; i++) {
        const float level = s->table[i] / s->step + 0.5f;
        s->levels[i] = (uint8_t)(level > 0 ? (level < MAX_LEVEL ? level : MAX_LEVEL) : 0); /* NaN gives 0 */
    }
}

/* Quantize the query so that its products with int8 rows add up in an int32. query: (D,). */
static void quantize_query(const float *query, int dim, Scratch *s) {
    float most = 0;
    for (int d = 0; d < dim; d++)
        if (fabsf(query[d]) > most) most = fabsf(query[d]);
    const float scale = most > 0 ? MAX_QUERY / most : 0;
    double square = 0;
    for (int d = 0; d < dim; d++) {
        const float level = query[d] * scale;
        s->query[d] = (int16_t)floorf(level > -MAX_QUERY ? (level < MAX_QUERY ? level : MAX_QUERY) + 0.5f : -MAX_QUERY);
        square += (double)s->query[d] * s->query[d];
    }
    s->query_norm = (float)sqrt(square);
}

/* Return the cosine of the query with a row; 0 for a row of zeros. row: (D,). */
static float cosine(const int8_t *row, int dim, const Scratch *s) {
    int32_t dot[2];
    loops.dot(row, s->query, dim, dot);
    const float norms = s->query_norm * sqrtf((float)dot[1]);
    return norms > 0 ? (float)dot[0] / norms : 0;
}

/* Put the cells with the nearest centres into s->cells, nearest first. */
static void route(const Index *index, Scratch *s) {
    s->cells.count = s->cells.least = 0;
    for (int64_t c = 0; c < index->cells; c++)
        offer(&s->cells, order_of(cosine(index->centers + c * index->dim, index->dim, s)), (uint32_t)c);
    shrink(&s->cells);
    qsort(s->cells.keys, (size_t)s->cells.count, sizeof(uint64_t), by_key_descending);
}

/* Offer a row to s->shortlist. Count the sums, so that `least` rises with every row and not only when the buffer is
 * full. */
static inline void offer_sum(Scratch *s, uint32_t sum, uint32_t position) {
    Best *best = &s->shortlist;
    s->counts[sum]++;
    if (++s->counted == best->keep) {
        best->least = sum;
        for (int64_t i = 0; i < best->count; i++) {
            const uint32_t other = (uint32_t)(best->keys[i] >> 32);
            if (other < best->least) best->least = other;
        }
    }
    for (; s->counted - s->counts[best->least] >= best->keep; best->least++) s->counted -= s->counts[best->least];
    if (sum >= best->least) offer(best, sum, position);
}

/* Load a block of codes into the caches before it is scanned: a cell is somewhere in memory, and pages end soon. */
static inline void prefetch_block(const Index *index, int64_t block) {
    const int bytes = index->subquantizers / 2 * BLOCK;
    const uint8_t *packed = index->packed + block * bytes;
    for (int i = 0; i < bytes; i += CACHE_LINE) __builtin_prefetch(packed + i);
}

/* Offer every allowed row of the blocks from `from` to before `to` to s->shortlist; `next` is scanned after them. */
static void scan(const Index *index, int64_t from, int64_t to, int64_t next, Scratch *s) {
    const int pairs = index->subquantizers / 2;
    uint16_t sums[BLOCK];
    for (int64_t b = from; b < to; b++) {
        const uint8_t *packed = index->packed + b * pairs * BLOCK;
        const int64_t ahead = b + BLOCKS_AHEAD < to ? b + BLOCKS_AHEAD : next + b + BLOCKS_AHEAD - to;
        if (ahead < index->blocks) prefetch_block(index, ahead);
        uint32_t left = index->allowed ? index->allowed[b] : UINT32_MAX;
        if (left) left &= loops.block_sums(s->levels, packed, pairs, (uint16_t)s->shortlist.least, sums);
        for (; left; left &= left - 1) {
            const int i = __builtin_ctz(left);
            if (sums[i] >= s->shortlist.least && index->rows[b * BLOCK + i] >= 0)
                offer_sum(s, sums[i], (uint32_t)(b * BLOCK + i));
        }
    }
}

/* Put the rows of the shortlist into s->found, by the cosines of their vectors. */
static void rescore(const Index *index, Scratch *s) {
    enum { AHEAD = 8 };
    const int dim = index->dim;
    s->found.count = s->found.least = 0;
    for (int64_t i = 0; i < s->shortlist.count; i++) {
        if (i + AHEAD < s->shortlist.count) {
            const int8_t *next = index->vectors + (int64_t)position_of(s->shortlist.keys[i + AHEAD]) * dim;
            for (int d = 0; d < dim; d += CACHE_LINE) __builtin_prefetch(next + d);
        }
        const uint32_t position = position_of(s->shortlist.keys[i]);
        offer(&s->found, order_of(cosine(index->vectors + (int64_t)position * dim, dim, s)), position);
    }
}

/* Return the cell to scan as number `p`. */
static int64_t nth_cell(const Index *index, int64_t probes, int64_t p, const Scratch *s) {
    return probes < index->cells ? position_of(s->cells.keys[p]) : p;
}

/* Answer one query: rows and scores of the best k, best first, then -1 and -inf if there are fewer.
 * query: (D,), rows: (k,), scores: (k,). */
static void search_one(const Index *index, const float *query, int64_t probes, int rescored, int64_t k, Scratch *s,
                       int32_t *rows, float *scores) {
    make_table(index, query, s);
    quantize_query(query, index->dim, s);
    s->shortlist.count = s->shortlist.least = s->counted = 0;
    memset(s->counts, 0, ((size_t)MAX_LEVEL * (size_t)index->subquantizers + 1) * sizeof *s->counts);
    if (probes < index->cells) route(index, s);
    for (int64_t p = 0, cell = nth_cell(index, probes, 0, s), next; p < probes; p++, cell = next) {
        next = nth_cell(index, probes, p + 1 < probes ? p + 1 : p, s);
        scan(index, index->starts[cell], index->starts[cell + 1], index->starts[next], s);
    }
    shrink(&s->shortlist);
    Best *best = &s->shortlist;
    if (rescored) {
        rescore(index, s);
        best = &s->found;
        shrink(best);
    }
    qsort(best->keys, (size_t)best->count, sizeof(uint64_t), by_key_descending);
    for (int64_t i = 0; i < k; i++) {
        if (i >= best->count) {
            rows[i] = -1, scores[i] = -INFINITY;
            continue;
        }
        const uint32_t score = (uint32_t)(best->keys[i] >> 32);
        rows[i] = index->rows[position_of(best->keys[i])];
        scores[i] = rescored ? float_of(score) : s->bias + s->step * (float)score;
    }
}

/* Cut the next bytes from a piece of memory, in whole cache lines. */
static void *take_bytes(char **memory, size_t bytes) {
    void *part = *memory;
    *memory += (bytes + 63) / 64 * 64;
    return part;
}

/* Allocate the memory for one query in one piece and return it, for `free`; NULL if there is none. */
static void *make_scratch(const Index *index, int64_t probes, int64_t shortlist, int64_t k, Scratch *s) {
    const size_t dim = (size_t)index->dim, entries = (size_t)index->subquantizers * CODEWORDS;
    Best *const lists[] = {&s->cells, &s->shortlist, &s->found};
    const int64_t keeps[] = {probes, shortlist, k};
    const size_t sums = ((size_t)MAX_LEVEL * (size_t)index->subquantizers + 1) * sizeof *s->counts;
    size_t bytes = dim * (sizeof(float) + sizeof(int16_t)) + entries * (sizeof(float) + 1) + sums + 8 * 64;
    for (int i = 0; i < 3; i++) bytes += (2 * (size_t)keeps[i] + BLOCK) * sizeof(uint64_t);
    void *whole = malloc(bytes);
    if (!whole) return NULL;
    char *memory = whole;
    s->rotated = take_bytes(&memory, dim * sizeof(float));
    s->table = take_bytes(&memory, entries * sizeof(float));
    s->levels = take_bytes(&memory, entries);
    s->query = take_bytes(&memory, dim * sizeof(int16_t));
    s->counts = take_bytes(&memory, sums);
    for (int i = 0; i < 3; i++)
        *lists[i] = (Best){take_bytes(&memory, (2 * (size_t)keeps[i] + BLOCK) * sizeof(uint64_t)), 0, keeps[i], 0};
    return whole;
}

int search_index(const Index *index, const float *queries, int64_t count, int64_t probes, int64_t shortlist,
                 int rescored, int64_t k, int32_t *rows, float *scores) {
    Scratch scratch;
    void *memory = make_scratch(index, probes, shortlist, k, &scratch);
    if (!memory) return 0;
    for (int64_t q = 0; q < count; q++)
        search_one(index, queries + q * index->dim, probes, rescored, k, &scratch, rows + q * k, scores + q * k);
    free(memory);
    return 1;
}

void match_codes(const uint8_t *levels, int64_t count, const uint8_t *packed, int subquantizers, int64_t rows,
                 const uint32_t *allowed, int32_t *best, uint16_t *highest) {
    const int64_t blocks = (rows + BLOCK - 1) / BLOCK;
    for (int64_t q = 0; q < count; q++)
        loops.two_highest(levels + q * subquantizers * CODEWORDS, packed, subquantizers / 2, rows,
                          allowed ? allowed + q * blocks : NULL, best + q, highest + 2 * q);
}

int postings_fit(const Postings *p, int64_t size) {
    for (int64_t i = 0; i < p->words; i++) {
        if (p->first[i] < 0 || p->first[i] > p->last[i] || p->last[i] > p->count) return 0;
        uint16_t highest = 0;
        for (int64_t j = p->first[i]; j < p->last[i]; j++)
            if (p->numbers[j] > highest) highest = p->numbers[j];
        if (p->first[i] < p->last[i] && highest >= size) return 0;
    }
    return 1;
}

void add_votes(const Postings *p, float *scores) {
    for (int64_t i = 0; i < p->words; i++)
        for (int64_t j = p->first[i]; j < p->last[i]; j++) scores[p->numbers[j]] += p->weights[i];
}

void encode_rows(const Codebook *book, const float *x, int64_t count, uint8_t *codes) {
    const int64_t dim = book->parts * book->dim;
    for (int64_t i = 0; i < count; i++) loops.encode(book, x + i * dim, codes + i * book->parts);
}

void quantize_rows(const Codebook *book, const float *x, int64_t count, uint8_t *levels, float *lows, float *steps) {
    const int64_t parts = book->parts;
    for (int64_t i = 0; i < count; i++)
        steps[i] = loops.quantize_products(book, x + i * parts * book->dim, levels + i * parts * CODEWORDS,
                                           lows + i * parts);
}
