/* Compute the 8-bit layers of a network to the same bits as onnxruntime.
 *
 * Sums of products are whole numbers and therefore exact in any order. What onnxruntime rounds is rounded here in the
 * same steps: a sum to float, its product with the scale, that to the nearest whole number, or to the even one.
 *
 * Products are added in pairs (`add_products`), because processors have an instruction for that. A convolution lays out
 * the terms of four results side by side, widened to 16 bits, and multiplies them by all filters, as many at a time as
 * the registers hold.
 */

#include "quantized_layers.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#ifdef __wasm_simd128__
#include <wasm_simd128.h>
#endif

enum {
    PIXELS = 4,           /* results of a filter that are computed together */
    ROW_BYTES = 8,        /* to which the terms of a result are rounded up */
    GROUP_BYTES = 16384,  /* of terms that all filters are applied to, one after the other */
    MAX_TAPS = 1024,      /* pixels of a kernel */
    ROUNDING = 0x4b400000 /* the bits of 1.5 * 2^23: a float that is added to it is rounded to a whole number */
};

typedef uint8_t Bytes __attribute__((vector_size(16)));
typedef uint8_t HalfBytes __attribute__((vector_size(8)));
typedef int16_t Shorts __attribute__((vector_size(16)));
typedef int32_t Ints __attribute__((vector_size(16)));
typedef float Floats __attribute__((vector_size(16)));

/* Add the products of numbers 2i and 2i + 1 to sum i. */
static inline Ints add_products(Ints sums, Shorts a, Shorts b) {
#ifdef __wasm_simd128__
    return sums + (Ints)wasm_i32x4_dot_i16x8((v128_t)a, (v128_t)b);
#else
    for (int i = 0; i < 4; i++) sums[i] += a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1];
    return sums;
#endif
}

static inline Floats limit(Floats values, float low, float high) {
#ifdef __wasm_simd128__
    return (Floats)wasm_f32x4_pmin(wasm_f32x4_pmax((v128_t)values, wasm_f32x4_splat(low)), wasm_f32x4_splat(high));
#else
    for (int i = 0; i < 4; i++) values[i] = values[i] < low ? low : values[i] > high ? high : values[i];
    return values;
#endif
}

static inline Shorts widen(const uint8_t *from) {
    HalfBytes bytes;
    memcpy(&bytes, from, sizeof(bytes));
    return __builtin_convertvector(bytes, Shorts);
}

/* Return two numbers, repeated. */
static inline Shorts repeat_pair(const int16_t *from) {
    int32_t pair;
    memcpy(&pair, from, sizeof(pair));
    return (Shorts)(Ints){pair, pair, pair, pair};
}

/* Scale four sums and round them to whole numbers from 0 to 255. */
static inline Ints round_sums(const Convolution *c, Ints sums, const int32_t *bias, const float *scales) {
    Ints biases;
    Floats factors;
    memcpy(&biases, bias, sizeof(biases));
    memcpy(&factors, scales, sizeof(factors));
    const Floats scaled = limit(__builtin_convertvector(sums + biases, Floats) * factors, c->low, c->high);
    return (Ints)(scaled + 0x1.8p23F) - (ROUNDING + (int)c->low);
}

/* Round TOGETHER sums to 8 bits, and store as many as there are outputs from `first` on. */
static inline void store(const Convolution *c, const Ints *sums, const int32_t *bias, const float *scales, int first,
                         uint8_t *to) {
    const Ints low = round_sums(c, sums[0], bias + first, scales + first);
    const Ints high = round_sums(c, sums[1], bias + first + 4, scales + first + 4);
    const Bytes bytes = __builtin_shufflevector((Bytes)low, (Bytes)high, 0, 4, 8, 12, 16, 20, 24, 28, 0, 0, 0, 0, 0, 0, 0, 0);
    if (c->outputs - first >= TOGETHER) memcpy(to + first, &bytes, TOGETHER);
    else for (int i = first; i < c->outputs; i++) to[i] = bytes[i - first];
}

/* Note where the input of each pixel of the kernel begins, for result `at`; outside the input, `padding`. */
static void find_taps(const Convolution *c, const uint8_t *from, int at, const uint8_t *padding, const uint8_t **taps) {
    const int y = at / c->columns * c->stride - c->top, x = at % c->columns * c->stride - c->left;
    for (int a = 0; a < c->kernel_rows; a++) {
        for (int b = 0; b < c->kernel_columns; b++) {
            const int inside = y + a >= 0 && y + a < c->height && x + b >= 0 && x + b < c->width;
            *taps++ = inside ? from + ((ptrdiff_t)(y + a) * c->width + x + b) * c->channels : padding;
        }
    }
}

/* ---- All channels ---- */

/* Return the terms of result `at`, one after the other: where they lie, or a copy in `row`. */
static const uint8_t *gather_terms(const Convolution *c, const uint8_t *from, int at, const uint8_t *padding,
                                   uint8_t *row) {
    const uint8_t *taps[MAX_TAPS];
    const int count = c->kernel_rows * c->kernel_columns;
    find_taps(c, from, at, padding, taps);
    if (count == 1 && c->channels % ROW_BYTES == 0) return taps[0];
    for (int t = 0; t < count; t++) memcpy(row + t * c->channels, taps[t], (size_t)c->channels);
    return row;
}

/* Lay out the terms of PIXELS results as (T / 2, PIXELS, 2). */
static void interleave_terms(const uint8_t *const *rows, int terms, int16_t *to) {
    for (int k = 0; k < terms; k += ROW_BYTES, to += ROW_BYTES * PIXELS) {
        const Ints a = (Ints)widen(rows[0] + k), b = (Ints)widen(rows[1] + k);
        const Ints c = (Ints)widen(rows[2] + k), d = (Ints)widen(rows[3] + k);
        const Ints ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
        const Ints fg = __builtin_shufflevector(a, b, 2, 6, 3, 7), hi = __builtin_shufflevector(c, d, 2, 6, 3, 7);
        const Ints laid[4] = {
            __builtin_shufflevector(ab, cd, 0, 1, 4, 5), __builtin_shufflevector(ab, cd, 2, 3, 6, 7),
            __builtin_shufflevector(fg, hi, 0, 1, 4, 5), __builtin_shufflevector(fg, hi, 2, 3, 6, 7),
        };
        memcpy(to, laid, sizeof(laid));
    }
}

/* Apply TOGETHER filters to the terms of PIXELS results. */
static inline void multiply(const int16_t *terms, int pairs, const Shorts *weights, Ints sums[PIXELS][2]) {
    for (int k = 0; k < pairs; k++, weights += 2, terms += 2 * PIXELS) {
        for (int p = 0; p < PIXELS; p++) {
            const Shorts pair = repeat_pair(terms + 2 * p);
            sums[p][0] = add_products(sums[p][0], pair, weights[0]);
            sums[p][1] = add_products(sums[p][1], pair, weights[1]);
        }
    }
}

int convolve_levels(const Convolution *c, const uint8_t *from, int zero, const int16_t *weights, const int32_t *bias,
                    const float *scales, uint8_t *to) {
    const int taps = c->kernel_rows * c->kernel_columns, results = c->rows * c->columns;
    const int terms = (taps * c->channels + ROW_BYTES - 1) / ROW_BYTES * ROW_BYTES;
    const int tile = terms * PIXELS, fitting = GROUP_BYTES / 2 / tile * PIXELS;
    const int group = fitting > PIXELS ? fitting : PIXELS;
    int16_t *laid = malloc((size_t)tile / PIXELS * (size_t)group * sizeof(int16_t));
    uint8_t *rows = calloc(PIXELS + 1, (size_t)terms);
    if (taps > MAX_TAPS || !laid || !rows) {
        free(laid);
        free(rows);
        return 0;
    }
    memset(rows + PIXELS * terms, zero, (size_t)terms);
    for (int begin = 0; begin < results; begin += group) {
        const int end = results - begin < group ? results : begin + group;
        for (int at = begin; at < end; at += PIXELS) {
            const uint8_t *found[PIXELS];
            for (int p = 0; p < PIXELS; p++)
                found[p] = gather_terms(c, from, at + p < end ? at + p : at, rows + PIXELS * terms, rows + p * terms);
            interleave_terms(found, terms, laid + (ptrdiff_t)(at - begin) * terms);
        }
        for (int first = 0; first < c->outputs; first += TOGETHER) {
            const Shorts *own = (const Shorts *)(weights + (ptrdiff_t)first * terms);
            for (int at = begin; at < end; at += PIXELS) {
                Ints sums[PIXELS][2] = {{{0}}};
                multiply(laid + (ptrdiff_t)(at - begin) * terms, terms / 2, own, sums);
                for (int p = 0; p < PIXELS && at + p < end; p++)
                    store(c, sums[p], bias, scales, first, to + (ptrdiff_t)(at + p) * c->outputs);
            }
        }
    }
    free(laid);
    free(rows);
    return 1;
}

/* ---- One filter to each channel ---- */

/* Apply TOGETHER filters to as many channels, from `first` on. */
static inline void multiply_taps(const uint8_t *const *taps, int pairs, int first, const Shorts *weights, Ints *sums) {
    for (int t = 0; t < pairs; t++, weights += 2) {
        const Shorts a = widen(taps[2 * t] + first), b = widen(taps[2 * t + 1] + first);
        sums[0] = add_products(sums[0], __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11), weights[0]);
        sums[1] = add_products(sums[1], __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15), weights[1]);
    }
}

int convolve_levels_by_channel(const Convolution *c, const uint8_t *from, int zero, const int16_t *weights,
                               const int32_t *bias, const float *scales, uint8_t *to) {
    const uint8_t *taps[MAX_TAPS + 1];
    const int count = c->kernel_rows * c->kernel_columns, pairs = (count + 1) / 2;
    uint8_t *padding = malloc((size_t)c->channels + TOGETHER);
    if (count > MAX_TAPS || !padding) {
        free(padding);
        return 0;
    }
    memset(padding, zero, (size_t)c->channels + TOGETHER);
    taps[count] = padding; /* of an odd number, the last has no other */
    for (int at = 0; at < c->rows * c->columns; at++) {
        find_taps(c, from, at, padding, taps);
        for (int first = 0; first < c->channels; first += TOGETHER) {
            Ints sums[2] = {{0}};
            multiply_taps(taps, pairs, first, (const Shorts *)weights + (ptrdiff_t)(first / TOGETHER) * pairs * 2, sums);
            store(c, sums, bias, scales, first, to + (ptrdiff_t)at * c->outputs);
        }
    }
    free(padding);
    return 1;
}

/* ---- Single values ---- */

static inline uint8_t round_level(float value, int zero) {
    const float rounded = nearbyintf(value) + (float)zero;
    return (uint8_t)(rounded < 0 ? 0 : rounded > 255 ? 255 : rounded);
}

/* onnxruntime fuses products with sums, in this order: those of the zero points, then those of the levels. */
void add_levels(const uint8_t *one, Levels of_one, const uint8_t *other, Levels of_other, int count, Levels of_sum,
                uint8_t *to) {
    const float a = of_one.scale / of_sum.scale, b = of_other.scale / of_sum.scale;
    const float zeros = (float)((double)a * of_one.zero + (double)(b * (float)of_other.zero));
    const float rest = (float)of_sum.zero - zeros;
    double products[256];
    float sums[256];
    for (int level = 0; level < 256; level++) {
        products[level] = (double)a * level;
        sums[level] = (float)((double)b * level + (double)rest);
    }
    for (int n = 0; n < count; n++)
        to[n] = round_level((float)(products[one[n]] + (double)sums[other[n]]), 0);
}

void quantize(const float *from, int count, Levels levels, uint8_t *to) {
    for (int n = 0; n < count; n++) to[n] = round_level(from[n] / levels.scale, levels.zero);
}
