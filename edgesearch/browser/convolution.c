/* Convolve in float to the same bits as onnxruntime on x86-64.
 *
 * The first convolutions of an int8 network stay float, and their results are rounded to 8 bits. WebAssembly has no
 * fused multiply-add, so the sums of onnxruntime's WebAssembly end in other bits. Where one is rounded the other way,
 * the quantized layers behind it multiply the difference: embeddings differ by a quarter of what quantization costs.
 * Here a product and a sum in double precision, rounded to float, stand in for the fused operation, and the order of
 * sums is that of onnxruntime: kernels of several pixels first sum the products of each input channel.
 */

#include "convolution.h"

#include <stddef.h>

enum { LANES = 16, PAIRS = LANES / 2 }; /* results that are computed together */

typedef double Pair __attribute__((vector_size(16), aligned(8)));

typedef struct {
    int first, last; /* of the kernel's rows or columns, those inside the input */
} Span;

static Span span_inside(int start, int kernel, int size) {
    Span inside = {start < 0 ? -start : 0, size - start < kernel ? size - start : kernel};
    return inside;
}

/* Round to float. From the same in C, clang makes instructions for one number at a time, which take twice as long. */
static inline Pair rounded(Pair sum) {
    Pair result;
    __asm__("local.get %1\nf32x4.demote_f64x2_zero\nf64x2.promote_low_f32x4\nlocal.set %0" : "=r"(result) : "r"(sum));
    return result;
}

/* Add the bias to LANES results, limit and store them. */
static inline void finish(const Convolution *c, const Pair *sums, const double *bias, double *to) {
    for (int i = 0; i < PAIRS; i++) {
        const Pair sum = rounded(sums[i] + ((const Pair *)bias)[i]);
        for (int j = 0; j < 2; j++) to[2 * i + j] = sum[j] < c->low ? c->low : sum[j] > c->high ? c->high : sum[j];
    }
}

/* Apply LANES filters of one pixel to all channels. */
static void convolve_pixels(const Convolution *c, const double *from, const Pair *weights, const double *bias,
                            double *to) {
    for (ptrdiff_t at = 0; at < (ptrdiff_t)c->rows * c->columns; at++) {
        const double *values = from + at * c->channels;
        Pair sums[PAIRS] = {0};
        for (int channel = 0; channel < c->channels; channel++)
            for (int i = 0; i < PAIRS; i++)
                sums[i] = rounded(sums[i] + values[channel] * weights[channel * PAIRS + i]);
        finish(c, sums, bias, to + at * c->outputs);
    }
}

/* Apply LANES filters of several pixels to all channels. */
static void convolve_windows(const Convolution *c, const double *from, const Pair *weights, const double *bias,
                             double *to) {
    for (int at = 0; at < c->rows * c->columns; at++) {
        const int y = at / c->columns * c->stride - c->top, x = at % c->columns * c->stride - c->left;
        const Span down = span_inside(y, c->kernel_rows, c->height), across = span_inside(x, c->kernel_columns, c->width);
        Pair total[PAIRS] = {0};
        for (int channel = 0; channel < c->channels; channel++) {
            Pair sums[PAIRS] = {0};
            for (int a = down.first; a < down.last; a++) {
                for (int b = across.first; b < across.last; b++) {
                    const double value = from[((ptrdiff_t)(y + a) * c->width + x + b) * c->channels + channel];
                    const Pair *own = weights + ((channel * c->kernel_rows + a) * c->kernel_columns + b) * PAIRS;
                    for (int i = 0; i < PAIRS; i++) sums[i] = rounded(sums[i] + value * own[i]);
                }
            }
            for (int i = 0; i < PAIRS; i++) total[i] = rounded(total[i] + sums[i]);
        }
        finish(c, total, bias, to + (ptrdiff_t)at * c->outputs);
    }
}

void convolve(const Convolution *c, const double *from, const double *weights, const double *bias, double *to) {
    const int taps = c->kernel_rows * c->kernel_columns;
    const int is_plain = taps == 1 && c->stride == 1 && !c->top && !c->left;
    for (int first = 0; first < c->outputs; first += LANES) {
        const Pair *own = (const Pair *)(weights + (ptrdiff_t)first * c->channels * taps);
        (is_plain ? convolve_pixels : convolve_windows)(c, from, own, bias + first, to + first);
    }
}

/* Apply LANES filters to as many channels. */
static void convolve_lanes(const Convolution *c, const double *from, const Pair *weights, const double *bias,
                           double *to) {
    for (int at = 0; at < c->rows * c->columns; at++) {
        const int y = at / c->columns * c->stride - c->top, x = at % c->columns * c->stride - c->left;
        const Span down = span_inside(y, c->kernel_rows, c->height), across = span_inside(x, c->kernel_columns, c->width);
        Pair sums[PAIRS] = {0};
        for (int a = down.first; a < down.last; a++) {
            for (int b = across.first; b < across.last; b++) {
                const Pair *values = (const Pair *)(from + ((ptrdiff_t)(y + a) * c->width + x + b) * c->channels);
                const Pair *own = weights + (a * c->kernel_columns + b) * PAIRS;
                for (int i = 0; i < PAIRS; i++) sums[i] = rounded(sums[i] + values[i] * own[i]);
            }
        }
        finish(c, sums, bias, to + (ptrdiff_t)at * c->outputs);
    }
}

void convolve_channels(const Convolution *c, const double *from, const double *weights, const double *bias,
                       double *to) {
    const int taps = c->kernel_rows * c->kernel_columns;
    for (int first = 0; first < c->channels; first += LANES)
        convolve_lanes(c, from + first, (const Pair *)(weights + (ptrdiff_t)first * taps), bias + first, to + first);
}
