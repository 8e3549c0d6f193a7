/* Compute the 8-bit layers of a network to the same bits as onnxruntime; see `quantized_layers.c`. */

#ifndef EDGESEARCH_QUANTIZED_LAYERS_H
#define EDGESEARCH_QUANTIZED_LAYERS_H

#include "convolution.h"

#include <stdint.h>

enum { TOGETHER = 8 }; /* channels that are computed together; P rounds their number up */

/* Apply O filters to all channels, rounding the results to 8 bits with the zero point -low; 0 without memory.
 * T = kernel_rows kernel_columns C terms of a result, the channels innermost, rounded up to 8.
 * from: (H, W, C), `zero` stands for 0 in it; weights: (P(O) / 8, T / 2, 8, 2); bias: (P(O),), less what `zero` adds;
 * scales: (P(O),), of the products by that of the result; to: (h, w, O). */
int convolve_levels(const Convolution *c, const uint8_t *from, int zero, const int16_t *weights, const int32_t *bias,
                    const float *scales, uint8_t *to);

/* Apply one filter to each channel; O = C. T = kernel_rows kernel_columns, rounded up to 2. Seven bytes behind `from`
 * are read. weights: (P(O) / 8, T / 2, 8, 2). */
int convolve_levels_by_channel(const Convolution *c, const uint8_t *from, int zero, const int16_t *weights,
                               const int32_t *bias, const float *scales, uint8_t *to);

typedef struct {
    float scale;
    int zero; /* which stands for 0 */
} Levels;

/* Add two tensors of N values. */
void add_levels(const uint8_t *one, Levels of_one, const uint8_t *other, Levels of_other, int count, Levels of_sum,
                uint8_t *to);

/* Round N numbers to 8 bits. */
void quantize(const float *from, int count, Levels levels, uint8_t *to);

#endif
