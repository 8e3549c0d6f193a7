/* Convolve in float to the same bits as onnxruntime on x86-64.
 *
 * The first convolutions of an int8 network stay float, and their results are rounded to 8 bits. Where one is rounded
 * the other way, the quantized layers behind it multiply the difference: embeddings then differ by a quarter of what
 * quantization costs. So a product and a sum are rounded once, and the order of sums is that of onnxruntime: kernels of
 * several pixels first sum the products of each input channel.
 *
 * WebAssembly has a fused multiply-add since 2023, where the browser and the processor have it. Elsewhere a product and
 * a sum in double precision, rounded to float, stand in for it.
 */

#include "convolution.h"

#include <stddef.h>
#include <string.h>
#ifdef __wasm_simd128__
#include <wasm_simd128.h>
#endif

enum { WIDTH = 16 / sizeof(Weight), VECTORS = LANES / WIDTH };

typedef Weight Vector __attribute__((vector_size(16), aligned(8)));
typedef float Values __attribute__((vector_size(WIDTH * sizeof(float)), aligned(4)));

typedef struct {
    int first, last; /* of the kernel's rows or columns, those inside the input */
} Span;

static Span span_inside(int start, int kernel, int size) {
    Span inside = {start < 0 ? -start : 0, size - start < kernel ? size - start : kernel};
    return inside;
}

/* Round to float. From the same in C, clang makes instructions for one number at a time, which take twice as long. */
static inline Vector rounded(Vector sum) {
#ifdef __wasm_relaxed_simd__
    return sum;
#elif defined(__wasm_simd128__)
    Vector result;
    __asm__("local.get %1\nf32x4.demote_f64x2_zero\nf64x2.promote_low_f32x4\nlocal.set %0" : "=r"(result) : "r"(sum));
    return result;
#else
    for (int i = 0; i < WIDTH; i++) sum[i] = (float)sum[i];
    return sum;
#endif
}

static inline Vector add_product(Vector sum, Vector value, Vector weight) {
#ifdef __wasm_relaxed_simd__
    return (Vector)wasm_f32x4_relaxed_madd((v128_t)value, (v128_t)weight, (v128_t)sum);
#else
    return rounded(sum + value * weight);
#endif
}

static inline Vector repeat(float value) { return (Vector){0} + (Weight)value; }

static inline Vector load(const float *from) { return __builtin_convertvector(*(const Values *)from, Vector); }

int fuses(void) {
    volatile float value = 1 + 0x1p-12F;
    const Vector sum = add_product(repeat(-1 - 0x1p-11F), repeat(value), repeat(value));
    return (float)sum[0] == 0x1p-24F;
}

/* Add the bias to LANES results, limit them, and store as many as there are outputs from `first` on. */
static inline void finish(const Convolution *c, const Vector *sums, const float *bias, int first, float *to) {
    float results[LANES];
    for (int i = 0; i < VECTORS; i++) {
        const Values sum = __builtin_convertvector(sums[i] + load(bias + first + i * WIDTH), Values);
        memcpy(results + i * WIDTH, &sum, sizeof(sum));
    }
    for (int i = 0; i < LANES; i++)
        results[i] = results[i] < c->low ? c->low : results[i] > c->high ? c->high : results[i];
    if (c->outputs - first >= LANES) memcpy(to + first, results, sizeof(results));
    else memcpy(to + first, results, (size_t)(c->outputs - first) * sizeof(float));
}

/* Apply LANES filters of one pixel to all channels. */
static void convolve_pixels(const Convolution *c, const float *from, const Vector *weights, const float *bias,
                            int first, float *to) {
    for (ptrdiff_t at = 0; at < (ptrdiff_t)c->rows * c->columns; at++) {
        const float *values = from + at * c->channels;
        Vector sums[VECTORS] = {{0}};
        for (int channel = 0; channel < c->channels; channel++) {
            const Vector value = repeat(values[channel]);
            for (int i = 0; i < VECTORS; i++) sums[i] = add_product(sums[i], value, weights[channel * VECTORS + i]);
        }
        finish(c, sums, bias, first, to + at * c->outputs);
    }
}

/* Apply LANES filters of several pixels to all channels. */
static void convolve_windows(const Convolution *c, const float *from, const Vector *weights, const float *bias,
                             int first, float *to) {
    for (int at = 0; at < c->rows * c->columns; at++) {
        const int y = at / c->columns * c->stride - c->top, x = at % c->columns * c->stride - c->left;
        const Span down = span_inside(y, c->kernel_rows, c->height), across = span_inside(x, c->kernel_columns, c->width);
        Vector total[VECTORS] = {{0}};
        for (int channel = 0; channel < c->channels; channel++) {
            Vector sums[VECTORS] = {{0}};
            for (int a = down.first; a < down.last; a++) {
                for (int b = across.first; b < across.last; b++) {
                    const Vector value = repeat(from[((ptrdiff_t)(y + a) * c->width + x + b) * c->channels + channel]);
                    const Vector *own = weights + ((channel * c->kernel_rows + a) * c->kernel_columns + b) * VECTORS;
                    for (int i = 0; i < VECTORS; i++) sums[i] = add_product(sums[i], value, own[i]);
                }
            }
            for (int i = 0; i < VECTORS; i++) total[i] = rounded(total[i] + sums[i]);
        }
        finish(c, total, bias, first, to + (ptrdiff_t)at * c->outputs);
    }
}

void convolve(const Convolution *c, const float *from, const Weight *weights, const float *bias, float *to) {
    const int taps = c->kernel_rows * c->kernel_columns;
    const int is_plain = taps == 1 && c->stride == 1 && !c->top && !c->left;
    for (int first = 0; first < c->outputs; first += LANES) {
        const Vector *own = (const Vector *)(weights + (ptrdiff_t)first * c->channels * taps);
        (is_plain ? convolve_pixels : convolve_windows)(c, from, own, bias, first, to);
    }
}

/* Apply LANES filters to as many channels. */
static void convolve_lanes(const Convolution *c, const float *from, const Vector *weights, const float *bias, int first,
                           float *to) {
    for (int at = 0; at < c->rows * c->columns; at++) {
        const int y = at / c->columns * c->stride - c->top, x = at % c->columns * c->stride - c->left;
        const Span down = span_inside(y, c->kernel_rows, c->height), across = span_inside(x, c->kernel_columns, c->width);
        Vector sums[VECTORS] = {{0}};
        for (int a = down.first; a < down.last; a++) {
            for (int b = across.first; b < across.last; b++) {
                const float *values = from + ((ptrdiff_t)(y + a) * c->width + x + b) * c->channels + first;
                const Vector *own = weights + (a * c->kernel_columns + b) * VECTORS;
                for (int i = 0; i < VECTORS; i++) sums[i] = add_product(sums[i], load(values + i * WIDTH), own[i]);
            }
        }
        finish(c, sums, bias, first, to + (ptrdiff_t)at * c->outputs);
    }
}

void convolve_by_channel(const Convolution *c, const float *from, const Weight *weights, const float *bias, float *to) {
    const int taps = c->kernel_rows * c->kernel_columns;
    for (int first = 0; first < c->channels; first += LANES)
        convolve_lanes(c, from, (const Vector *)(weights + (ptrdiff_t)first * taps), bias, first, to);
}
