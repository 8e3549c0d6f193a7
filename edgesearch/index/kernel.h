/* The inner loops of the compact index; see `kernel.c`. */

#ifndef EDGESEARCH_KERNEL_H
#define EDGESEARCH_KERNEL_H

#include <stdint.h>

enum { BLOCK = 32, CODEWORDS = 16, MAX_DIM = 2048, MAX_SUBQUANTIZERS = 256 };

typedef struct {
    int32_t dim, subquantizers;
    int64_t cells, blocks;
    const float *rotation;   /* (D, D) */
    const float *codebook;   /* (M, D/M, 16) */
    const int8_t *centers;   /* (C, D) */
    const uint32_t *starts;  /* (C + 1,): the first block of each cell */
    const uint8_t *packed;   /* (P, M/2, 32): byte j has codes of subquantizer 2j (low bits) and 2j + 1 (high bits) */
    const int8_t *vectors;   /* (32 P, D), or empty if nothing is rescored */
    const int32_t *rows;     /* (32 P,): the caller's row numbers */
    const uint32_t *allowed; /* (P,): one bit per row, lowest first; NULL allows all */
} Index;

/* A codebook of M parts with K codewords each, K a multiple of 16. */
typedef struct {
    int parts, dim, words;  /* M, D/M, K */
    const float *codewords; /* (M, D/M, K) */
    const float *squares;   /* (M, K): their squared lengths */
} Codebook;

/* The postings of some words: those of word i are numbers[first[i]], ..., numbers[last[i] - 1]. */
typedef struct {
    const uint16_t *numbers; /* (count,) */
    int64_t count, words;
    const int64_t *first, *last; /* (words,) */
    const float *weights;        /* (words,) */
} Postings;

/* Search an index for the best k rows of each query, best first, then -1 and -inf if there are fewer. Return 0 if there
 * is no memory. The arguments must fit together, 1 <= probes <= C and 1 <= k <= shortlist <= 32 P.
 * queries: (count, D), rows, scores: (count, k). */
int search_index(const Index *index, const float *queries, int64_t count, int64_t probes, int64_t shortlist,
                 int rescored, int64_t k, int32_t *rows, float *scores);

/* For each query find the row with the highest sum, the first of equals, and the two highest sums; a missing row has
 * the sum 0. levels: (count, M, 16), packed: (P, M/2, 32), allowed: (count, P) bits or NULL, best: (count,),
 * highest: (count, 2). */
void match_codes(const uint8_t *levels, int64_t count, const uint8_t *packed, int subquantizers, int64_t rows,
                 const uint32_t *allowed, int32_t *best, uint16_t *highest);

/* Return whether every word's range lies inside the postings and every number in it is below `size`. */
int postings_fit(const Postings *p, int64_t size);

/* scores[number] += weight of the word, for every posting of every word. */
void add_votes(const Postings *p, float *scores);

/* codes[i][m] = the codeword of part m that is nearest to that part of row i, the first of equals.
 * x: (count, D), codes: (count, M). */
void encode_rows(const Codebook *book, const float *x, int64_t count, uint8_t *codes);

/* Quantize 2 x . w - w . w of each row x for all codewords w on one scale: it is lows[m] + step * levels[m][w] within
 * half a step. K is 16. x: (count, D), levels: (count, M, 16), lows: (count, M), steps: (count,). */
void quantize_rows(const Codebook *book, const float *x, int64_t count, uint8_t *levels, float *lows, float *steps);

/* Choose the "plain" loops, or for "" the processor's fastest; call it before any other function. Return their name, or
 * NULL if no loops have the name. */
const char *use_loops(const char *name);

#endif
