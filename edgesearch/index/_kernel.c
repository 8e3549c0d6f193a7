/* Search of one compressed index, in one call: table, routing, scan of 4-bit codes, rescoring of int8 rows.
 *
 * `kernel.py` holds the numpy twin, which is the specification: the steps of a query have the same names there.
 * The scan is the "fast scan" of Andre, Kermarrec, Le Scouarnec (VLDB 2015): a subquantizer's 16 table entries fit one
 * register, so a byte shuffle looks up 16 or 32 codes at once. Entries are below 64, so that four of them add up in a
 * byte before it is widened.
 *
 * Shapes: B queries, k results, N rows in P blocks of 32 (each cell begins a block; rows that fill up have number -1),
 * D dimensions, M subquantizers of 16 codewords, C cells. Arrays are C-contiguous, integers of the machine's order.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2")))
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

enum { BLOCK = 32, CODEWORDS = 16, MAX_LEVEL = 63, MAX_QUERY = 8191, MAX_DIM = 2048, MAX_SUBQUANTIZERS = 256 };

typedef struct {
    int32_t dim, subquantizers;
    int64_t cells, blocks;
    const float *rotation;   /* (D, D) */
    const float *codebook;   /* (M, D/M, 16) */
    const int8_t *centers;   /* (C, D) */
    const uint32_t *starts;  /* (C + 1,): block where each cell begins */
    const uint8_t *packed;   /* (P, M/2, 32): low four bits a code of subquantizer 2j, high four of 2j + 1 */
    const int8_t *vectors;   /* (32 P, D), or nothing where none is rescored */
    const int32_t *rows;     /* (32 P,) */
    const uint32_t *allowed; /* (P,): one bit a row, lowest first; NULL for all */
} Index;

/* ---- The inner loops: plain, then by byte shuffles. The plain ones are what the others must equal. ---- */

/* Sums of one block: sums[i] = sum over m of levels[m][code of row i]. Returns one bit a row, lowest first: its sum
 * reaches `least`. Where none does, sums may be left unwritten. levels: (M, 16), packed: (M/2, 32). */
typedef uint32_t BlockSums(const uint8_t *levels, const uint8_t *packed, int pairs, uint16_t least,
                           uint16_t sums[BLOCK]);

/* dot[0] = row . query, dot[1] = row . row; row: (D,) int8, query: (D,) int16 of at most MAX_QUERY. */
typedef void Dot(const int8_t *row, const int16_t *query, int dim, int32_t dot[2]);

/* entries[m][w] = (query . rotation) . codeword w of subquantizer m.
 * query: (D,), rotation: (D, D), codebook: (M, D/M, 16), entries: (M, 16); rotated: room for (D,). */
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

AVX2 static inline __m256i looked_up_avx2(const uint8_t *levels, const uint8_t *packed) {
    const __m256i codes = _mm256_loadu_si256((const __m256i *)packed), low = _mm256_set1_epi8(15);
    const __m256i even = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)levels));
    const __m256i odd = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(levels + CODEWORDS)));
    return _mm256_add_epi8(_mm256_shuffle_epi8(even, _mm256_and_si256(codes, low)),
                           _mm256_shuffle_epi8(odd, _mm256_and_si256(_mm256_srli_epi16(codes, 4), low)));
}

AVX2 static uint32_t block_sums_avx2(const uint8_t *levels, const uint8_t *packed, int pairs, uint16_t least,
                                     uint16_t sums[BLOCK]) {
    const __m256i low = _mm256_set1_epi16(255), high = _mm256_set1_epi16((short)0xff00);
    const __m256i bar = _mm256_set1_epi16((short)least);
    __m256i even = _mm256_setzero_si256(), odd = even; /* rows 0, 2, 4, ... and 1, 3, 5, ... */
    for (int j = 0; j < pairs; j += 2, levels += 4 * CODEWORDS, packed += 2 * BLOCK) {
        __m256i sum = looked_up_avx2(levels, packed);
        if (j + 1 < pairs) sum = _mm256_add_epi8(sum, looked_up_avx2(levels + 2 * CODEWORDS, packed + BLOCK));
        even = _mm256_add_epi16(even, _mm256_and_si256(sum, low));
        odd = _mm256_add_epi16(odd, _mm256_srli_epi16(sum, 8));
    }
    const __m256i even_reached = _mm256_cmpeq_epi16(_mm256_max_epu16(even, bar), even);
    const __m256i odd_reached = _mm256_cmpeq_epi16(_mm256_max_epu16(odd, bar), odd);
    const uint32_t reached = (uint32_t)_mm256_movemask_epi8(_mm256_blendv_epi8(even_reached, odd_reached, high));
    if (!reached) return 0;
    const __m256i first = _mm256_unpacklo_epi16(even, odd), second = _mm256_unpackhi_epi16(even, odd);
    _mm256_storeu_si256((__m256i *)sums, _mm256_permute2x128_si256(first, second, 0x20));
    _mm256_storeu_si256((__m256i *)(sums + 16), _mm256_permute2x128_si256(first, second, 0x31));
    return reached;
}

AVX2 static int32_t sum_avx2(__m256i x) {
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

AVX2 static void dot_avx2(const int8_t *row, const int16_t *query, int dim, int32_t dot[2]) {
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

/* The plain loops in wider registers; without fused multiply-add, so that the sums are the same. */
AVX2 static void products_avx2(const Index *index, const float *query, float *rotated, float *entries) {
    products(index, query, rotated, entries);
}

/* The processor has AVX2 and the system keeps its registers. */
static int has_avx2(void) {
    unsigned a, b, c, d, kept;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return 0;
    __asm__("xgetbv" : "=a"(kept), "=d"(d) : "c"(0));
    return (kept & 6) == 6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2);
}

#elif defined(__aarch64__)

static inline uint8x16_t looked_up_neon(const uint8_t *levels, const uint8_t *packed) {
    const uint8x16_t codes = vld1q_u8(packed);
    return vaddq_u8(vqtbl1q_u8(vld1q_u8(levels), vandq_u8(codes, vdupq_n_u8(15))),
                    vqtbl1q_u8(vld1q_u8(levels + CODEWORDS), vshrq_n_u8(codes, 4)));
}

static uint32_t block_sums_neon(const uint8_t *levels, const uint8_t *packed, int pairs, uint16_t least,
                                uint16_t sums[BLOCK]) {
    static const uint16_t places[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    uint32_t reached = 0;
    uint16x8_t total[4] = {vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0)};
    for (int j = 0; j < pairs; j += 2, levels += 4 * CODEWORDS, packed += 2 * BLOCK)
        for (int half = 0; half < 2; half++) {
            uint8x16_t sum = looked_up_neon(levels, packed + 16 * half);
            if (j + 1 < pairs)
                sum = vaddq_u8(sum, looked_up_neon(levels + 2 * CODEWORDS, packed + BLOCK + 16 * half));
            total[2 * half] = vaddw_u8(total[2 * half], vget_low_u8(sum));
            total[2 * half + 1] = vaddw_high_u8(total[2 * half + 1], sum);
        }
    for (int i = 0; i < 4; i++) {
        const uint16x8_t bits = vandq_u16(vcgeq_u16(total[i], vdupq_n_u16(least)), vld1q_u16(places));
        reached |= (uint32_t)vaddvq_u16(bits) << (8 * i);
        vst1q_u16(sums + 8 * i, total[i]);
    }
    return reached;
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

#endif

typedef struct {
    const char *name;
    Products *products;
    BlockSums *block_sums;
    Dot *dot;
} Loops;

static const Loops PLAIN = {"plain", products_plain, block_sums_plain, dot_plain};

/* The fastest loops of this processor. */
static Loops loops_here(void) {
#if defined(__x86_64__)
    if (has_avx2()) return (Loops){"avx2", products_avx2, block_sums_avx2, dot_avx2};
#elif defined(__aarch64__)
    return (Loops){"neon", products_plain, block_sums_neon, dot_neon};
#endif
    return PLAIN;
}

static Loops loops; /* set when the module is loaded; `use` changes it for tests */

/* ---- The best of many: a buffer of keys, cut down to the best `keep` whenever it is full. ---- */

/* A key orders by score, then by lower position: score << 32 | ~position. */
typedef struct {
    uint64_t *keys; /* room for 2 keep + BLOCK */
    int64_t count, keep;
    uint32_t least; /* no score below it can be among the best any more */
} Best;

static uint32_t position_of(uint64_t key) { return ~(uint32_t)key; }

/* Order keys so that the highest `keep` come first (quickselect, Hoare 1961). */
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

static void shrink(Best *best) {
    if (best->count <= best->keep) return;
    select_highest(best->keys, best->count, best->keep);
    best->count = best->keep;
    uint64_t least = best->keys[0];
    for (int64_t i = 1; i < best->keep; i++)
        if (best->keys[i] < least) least = best->keys[i];
    best->least = (uint32_t)(least >> 32);
}

static inline void offer(Best *best, uint32_t score, uint32_t position) {
    if (score < best->least) return;
    best->keys[best->count++] = (uint64_t)score << 32 | (uint32_t)~position;
    if (best->count == 2 * best->keep + BLOCK) shrink(best);
}

static int by_key_descending(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

/* Unsigned integers in the order of the floats. */
static uint32_t ordered(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static float unordered(uint32_t order) {
    const uint32_t bits = order & 0x80000000u ? order & 0x7fffffffu : ~order;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* ---- One query ---- */

typedef struct {
    float *rotated;  /* (D,) */
    float *table;    /* (M, 16) */
    uint8_t *levels; /* (M, 16) */
    int16_t *query;  /* (D,) */
    float query_norm, step, bias;
    uint32_t *counts, counted; /* (63 M + 1,): rows of each sum; of sums that reach the bar of the shortlist */
    Best cells, shortlist, found;
} Scratch;

/* Levels of the products of the query with every codeword: table[m][w] ~ bias / M + step * levels[m][w]. */
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
        s->levels[i] = (uint8_t)(level > 0 ? (level < MAX_LEVEL ? level : MAX_LEVEL) : 0); /* NaN becomes 0 */
    }
}

/* The query on a scale that fits int16 products of int8 rows. */
static void make_query(const float *query, int dim, Scratch *s) {
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

/* Cosine of the query with an int8 row. */
static float cosine(const int8_t *row, int dim, const Scratch *s) {
    int32_t dot[2];
    loops.dot(row, s->query, dim, dot);
    const float norms = s->query_norm * sqrtf((float)dot[1]);
    return norms > 0 ? (float)dot[0] / norms : 0;
}

/* Names the `probes` cells with the nearest centres, nearest first, as positions of s->cells. */
static void route(const Index *index, Scratch *s) {
    s->cells.count = s->cells.least = 0;
    for (int64_t c = 0; c < index->cells; c++)
        offer(&s->cells, ordered(cosine(index->centers + c * index->dim, index->dim, s)), (uint32_t)c);
    shrink(&s->cells);
    qsort(s->cells.keys, (size_t)s->cells.count, sizeof(uint64_t), by_key_descending);
}

/* Offers a row to s->shortlist and raises its bar: at once, by counting sums, and not only when the buffer is full. */
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

/* Offers every allowed row of the blocks [from, to) to s->shortlist. */
static void scan(const Index *index, int64_t from, int64_t to, Scratch *s) {
    const int pairs = index->subquantizers / 2;
    uint16_t sums[BLOCK];
    for (int64_t b = from; b < to; b++) {
        const uint8_t *packed = index->packed + b * pairs * BLOCK;
        uint32_t left = index->allowed ? index->allowed[b] : UINT32_MAX;
        if (left) left &= loops.block_sums(s->levels, packed, pairs, (uint16_t)s->shortlist.least, sums);
        for (; left; left &= left - 1) {
            const int i = __builtin_ctz(left);
            if (sums[i] >= s->shortlist.least && index->rows[b * BLOCK + i] >= 0)
                offer_sum(s, sums[i], (uint32_t)(b * BLOCK + i));
        }
    }
}

/* Replaces the shortlist by its best `k` by the cosine of their vectors, in s->found. */
static void rescore(const Index *index, Scratch *s) {
    enum { AHEAD = 8 };
    const int dim = index->dim;
    s->found.count = s->found.least = 0;
    for (int64_t i = 0; i < s->shortlist.count; i++) {
        if (i + AHEAD < s->shortlist.count) {
            const int8_t *next = index->vectors + (size_t)position_of(s->shortlist.keys[i + AHEAD]) * dim;
            for (int d = 0; d < dim; d += 64) __builtin_prefetch(next + d);
        }
        const uint32_t position = position_of(s->shortlist.keys[i]);
        offer(&s->found, ordered(cosine(index->vectors + (size_t)position * dim, dim, s)), position);
    }
}

/* Answers one query: rows[k] and scores[k], best first, -1 and -inf where there are fewer. */
static void search_one(const Index *index, const float *query, const uint32_t *routed, int64_t probes, int rescored,
                       int64_t k, Scratch *s, int32_t *rows, float *scores) {
    make_table(index, query, s);
    make_query(query, index->dim, s);
    s->shortlist.count = s->shortlist.least = s->counted = 0;
    memset(s->counts, 0, ((size_t)MAX_LEVEL * index->subquantizers + 1) * sizeof *s->counts);
    if (!routed && probes < index->cells) route(index, s);
    for (int64_t p = 0; p < probes; p++) {
        int64_t cell = p;
        if (routed) cell = routed[p];
        else if (probes < index->cells) cell = position_of(s->cells.keys[p]);
        scan(index, index->starts[cell], index->starts[cell + 1], s);
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
        scores[i] = rescored ? unordered(score) : s->bias + s->step * (float)score;
    }
}

/* The two of `count` rows with the highest sums: the first row, and both sums. Rows are packed as in an index.
 * levels: (M, 16), packed: (P, M/2, 32), allowed: (P,) bits or NULL; 0 is the sum of a row that is not there. */
static void two_highest(const uint8_t *levels, const uint8_t *packed, int pairs, int64_t count,
                        const uint32_t *allowed, int32_t *row, uint16_t highest[2]) {
    uint16_t sums[BLOCK];
    *row = 0, highest[0] = highest[1] = 0;
    for (int64_t first = 0; first < count; first += BLOCK, packed += pairs * BLOCK) {
        const uint32_t usable = allowed ? *allowed++ : UINT32_MAX;
        if (!usable) continue;
        uint32_t reached = usable & loops.block_sums(levels, packed, pairs, (uint16_t)(highest[1] + 1), sums);
        for (; reached; reached &= reached - 1) {
            const int i = __builtin_ctz(reached);
            if (first + i >= count || sums[i] <= highest[1]) continue;
            if (sums[i] <= highest[0]) {
                highest[1] = sums[i];
                continue;
            }
            highest[1] = highest[0], highest[0] = sums[i], *row = (int32_t)(first + i);
        }
    }
}

/* ---- Python ---- */

enum {
    QUERIES, ROTATION, CODEBOOK, CENTERS, STARTS, PACKED, VECTORS, ROWS, ALLOWED, ROUTED, /* read */
    OUT_ROWS, OUT_SCORES,                                                               /* written */
    ARRAYS
};

/* What `search` is asked. */
typedef struct {
    Py_buffer arrays[ARRAYS];
    int dim, subquantizers, rescored;
    long long probes, shortlist, k;
    int64_t queries;
} Call;

/* Fills in the index and the number of queries; returns what does not fit, NULL where all fits. */
static const char *misfit(Call *call, Index *index) {
    const Py_buffer *a = call->arrays;
    const int64_t d = call->dim, m = call->subquantizers, k = call->k, word = 4; /* bytes of a float or an int32 */
    if (d < 1 || d > MAX_DIM || m < 2 || m > MAX_SUBQUANTIZERS || m % 2 || d % m) return "dim, subquantizers";
    const int64_t blocks = a[ROWS].len / (BLOCK * word), cells = a[STARTS].len / word - 1;
    const int64_t queries = call->queries = a[QUERIES].len / (d * word);
    if (blocks < 1 || blocks > UINT32_MAX / BLOCK || cells < 1) return "rows, starts";
    if (call->probes < 1 || call->probes > cells) return "probes";
    if (k < 1 || call->shortlist < k || call->shortlist > blocks * BLOCK) return "k, shortlist";
    const int64_t expected[ARRAYS] = {
        [QUERIES] = queries * d * word,     [ROTATION] = d * d * word,
        [CODEBOOK] = CODEWORDS * d * word,  [CENTERS] = cells * d,
        [STARTS] = (cells + 1) * word,      [PACKED] = blocks * BLOCK * m / 2,
        [VECTORS] = call->rescored || a[VECTORS].len ? blocks * BLOCK * d : 0,
        [ROWS] = blocks * BLOCK * word,
        [ALLOWED] = a[ALLOWED].len ? blocks * word : 0,
        [ROUTED] = a[ROUTED].len ? queries * call->probes * word : 0,
        [OUT_ROWS] = queries * k * word,    [OUT_SCORES] = queries * k * word,
    };
    static const char *const names[ARRAYS] = {"queries", "rotation", "codebook", "centers", "starts",   "packed",
                                              "vectors", "rows",     "allowed",  "routed",  "out_rows", "out_scores"};
    for (int i = 0; i < ARRAYS; i++)
        if (a[i].len != expected[i]) return names[i];
    const uint32_t *starts = a[STARTS].buf, *routed = a[ROUTED].buf;
    if (starts[0] != 0 || starts[cells] != blocks) return "starts";
    for (int64_t c = 0; c < cells; c++)
        if (starts[c] > starts[c + 1]) return "starts";
    for (int64_t i = 0; i < a[ROUTED].len / word; i++)
        if (routed[i] >= cells) return "routed";
    *index = (Index){
        .dim = call->dim, .subquantizers = call->subquantizers, .cells = cells, .blocks = blocks,
        .rotation = a[ROTATION].buf, .codebook = a[CODEBOOK].buf, .centers = a[CENTERS].buf, .starts = starts,
        .packed = a[PACKED].buf, .vectors = a[VECTORS].buf, .rows = a[ROWS].buf,
        .allowed = a[ALLOWED].len ? a[ALLOWED].buf : NULL,
    };
    return NULL;
}

static void *take(char **memory, size_t bytes) {
    void *part = *memory;
    *memory += (bytes + 63) / 64 * 64;
    return part;
}

/* Room for the work of one query, in one piece, which is returned; NULL where there is none. */
static void *make_scratch(const Call *call, Scratch *s) {
    const size_t dim = (size_t)call->dim, entries = (size_t)call->subquantizers * CODEWORDS;
    Best *const lists[] = {&s->cells, &s->shortlist, &s->found};
    const int64_t keeps[] = {call->probes, call->shortlist, call->k};
    const size_t sums = ((size_t)MAX_LEVEL * (size_t)call->subquantizers + 1) * sizeof *s->counts;
    size_t bytes = dim * (sizeof(float) + sizeof(int16_t)) + entries * (sizeof(float) + 1) + sums + 8 * 64;
    for (int i = 0; i < 3; i++) bytes += (2 * (size_t)keeps[i] + BLOCK) * sizeof(uint64_t);
    void *whole = malloc(bytes);
    if (!whole) return NULL;
    char *memory = whole;
    s->rotated = take(&memory, dim * sizeof(float));
    s->table = take(&memory, entries * sizeof(float));
    s->levels = take(&memory, entries);
    s->query = take(&memory, dim * sizeof(int16_t));
    s->counts = take(&memory, sums);
    for (int i = 0; i < 3; i++)
        *lists[i] = (Best){take(&memory, (2 * (size_t)keeps[i] + BLOCK) * sizeof(uint64_t)), 0, keeps[i], 0};
    return whole;
}

static PyObject *answer(Call *call) {
    Index index;
    Scratch scratch;
    const char *wrong = misfit(call, &index);
    if (wrong) return PyErr_Format(PyExc_ValueError, "the arrays do not fit together: %s", wrong);
    void *memory = make_scratch(call, &scratch);
    if (!memory) return PyErr_NoMemory();
    const float *queries = call->arrays[QUERIES].buf;
    const uint32_t *routed = call->arrays[ROUTED].len ? call->arrays[ROUTED].buf : NULL;
    int32_t *rows = call->arrays[OUT_ROWS].buf;
    float *scores = call->arrays[OUT_SCORES].buf;
    Py_BEGIN_ALLOW_THREADS
    for (int64_t q = 0; q < call->queries; q++)
        search_one(&index, queries + q * call->dim, routed ? routed + q * call->probes : NULL, call->probes,
                   call->rescored, call->k, &scratch, rows + q * call->k, scores + q * call->k);
    Py_END_ALLOW_THREADS
    free(memory);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(search_doc,
             "search(queries, rotation, codebook, centers, starts, packed, vectors, rows, allowed, routed, out_rows,\n"
             "       out_scores, dim, subquantizers, probes, shortlist, k, rescored)\n\n"
             "As kernel.search; `allowed` and `routed` may be empty, and `vectors` where not\n"
             "rescored. Raises ValueError: sizes that do not fit.");

static PyObject *search(PyObject *Py_UNUSED(module), PyObject *args) {
    Call call;
    Py_buffer *a = call.arrays;
    if (!PyArg_ParseTuple(args, "y*y*y*y*y*y*y*y*y*y*w*w*iiLLLp:search", &a[0], &a[1], &a[2], &a[3], &a[4], &a[5],
                          &a[6], &a[7], &a[8], &a[9], &a[10], &a[11], &call.dim, &call.subquantizers, &call.probes,
                          &call.shortlist, &call.k, &call.rescored))
        return NULL;
    PyObject *answered = answer(&call);
    for (int i = 0; i < ARRAYS; i++) PyBuffer_Release(&a[i]);
    return answered;
}

/* Lets go of the arrays; None, or the error that they do not fit together. */
static PyObject *finished(Py_buffer **arrays, int count, int fits) {
    for (int i = 0; i < count; i++) PyBuffer_Release(arrays[i]);
    if (!fits) return PyErr_Format(PyExc_ValueError, "the arrays do not fit together");
    Py_RETURN_NONE;
}

PyDoc_STRVAR(match_doc, "match(levels, packed, allowed, out_rows, out_sums, subquantizers, count)\n\n"
                        "As kernel.match; `allowed` may be empty. Raises ValueError: sizes that do not fit.");

static PyObject *match(PyObject *Py_UNUSED(module), PyObject *args) {
    Py_buffer levels, packed, allowed, rows, sums;
    int m;
    long long count;
    if (!PyArg_ParseTuple(args, "y*y*y*w*w*iL:match", &levels, &packed, &allowed, &rows, &sums, &m, &count)) return NULL;
    const int64_t queries = rows.len / (int64_t)sizeof(int32_t), blocks = (count + BLOCK - 1) / BLOCK;
    const int fits = m > 1 && m <= MAX_SUBQUANTIZERS && m % 2 == 0 && levels.len == queries * m * CODEWORDS &&
                     rows.len == queries * (int64_t)sizeof(int32_t) && sums.len == rows.len && count >= 0 &&
                     count <= INT32_MAX && packed.len == blocks * BLOCK * m / 2 &&
                     (!allowed.len || allowed.len == queries * blocks * (int64_t)sizeof(uint32_t));
    if (fits) {
        Py_BEGIN_ALLOW_THREADS
        for (int64_t q = 0; q < queries; q++)
            two_highest((uint8_t *)levels.buf + q * m * CODEWORDS, packed.buf, m / 2, count,
                        allowed.len ? (uint32_t *)allowed.buf + q * blocks : NULL, (int32_t *)rows.buf + q,
                        (uint16_t *)sums.buf + 2 * q);
        Py_END_ALLOW_THREADS
    }
    return finished((Py_buffer *[]){&levels, &packed, &allowed, &rows, &sums}, 5, fits);
}

PyDoc_STRVAR(vote_doc, "vote(postings, first, last, weights, scores)\n\n"
                       "As kernel.vote. Raises ValueError: sizes or numbers that do not fit.");

static PyObject *vote(PyObject *Py_UNUSED(module), PyObject *args) {
    Py_buffer postings, first, last, weights, scores;
    if (!PyArg_ParseTuple(args, "y*y*y*y*w*:vote", &postings, &first, &last, &weights, &scores)) return NULL;
    const int64_t words = weights.len / (int64_t)sizeof(float), all = postings.len / (int64_t)sizeof(uint16_t);
    const int64_t n = scores.len / (int64_t)sizeof(float), size = words * (int64_t)sizeof(int64_t);
    const uint16_t *numbers = postings.buf;
    const int64_t *begin = first.buf, *end = last.buf;
    float *to = scores.buf;
    int fits = first.len == size && last.len == size;
    for (int64_t i = 0; i < words && fits; i++) fits = begin[i] >= 0 && begin[i] <= end[i] && end[i] <= all;
    if (fits) {
        Py_BEGIN_ALLOW_THREADS
        for (int64_t i = 0; i < words && fits; i++) {
            const float weight = ((float *)weights.buf)[i];
            for (int64_t j = begin[i]; j < end[i] && fits; j++)
                if ((fits = numbers[j] < n)) to[numbers[j]] += weight;
        }
        Py_END_ALLOW_THREADS
    }
    return finished((Py_buffer *[]){&postings, &first, &last, &weights, &scores}, 5, fits);
}

PyDoc_STRVAR(use_doc, "use(name)\n\n"
                      "Take the \"plain\" loops, or for \"\" the processor's own; returns the name of those taken.");

static PyObject *use(PyObject *Py_UNUSED(module), PyObject *args) {
    const char *name;
    if (!PyArg_ParseTuple(args, "s:use", &name)) return NULL;
    if (*name && strcmp(name, PLAIN.name)) return PyErr_Format(PyExc_ValueError, "no loops of the name %s", name);
    loops = *name ? PLAIN : loops_here();
    return PyUnicode_FromString(loops.name);
}

static PyMethodDef methods[] = {
    {"search", search, METH_VARARGS, search_doc},
    {"match", match, METH_VARARGS, match_doc},
    {"vote", vote, METH_VARARGS, vote_doc},
    {"use", use, METH_VARARGS, use_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_kernel", .m_size = 0, .m_methods = methods};

PyMODINIT_FUNC PyInit__kernel(void) {
    loops = loops_here();
    return PyModuleDef_Init(&definition);
}
