/* Offer the C of edgesearch to JavaScript: `static/native.js` calls these functions with addresses in its memory.
 *
 * The caller checks that arrays fit together. If they do not, the sandbox of WebAssembly stops the call, or its result
 * is wrong; nothing outside is reached. Numbers have 32 bits, because JavaScript has no plain 64-bit integers.
 */

#include "../images/resampling.h"
#include "../index/kernel.h"
#include "../local_features/geometry.h"
#include "../local_features/sift.h"
#include "convolution.h"
#include "quantized_layers.h"

#include <stddef.h>
#include <stdlib.h>

#define EXPORT(name) __attribute__((export_name(name)))

EXPORT("start") void export_start(void) {
    use_crop_loops("");
    use_loops("");
}

EXPORT("allocate") void *export_allocate(size_t bytes) { return malloc(bytes); }

EXPORT("release") void export_release(void *memory) { free(memory); }

EXPORT("crop_squares")
int export_crop_squares(const uint8_t *pixels, int width, int height, const float *boxes, const int32_t *places,
                        int count, int side, float scale, float offset, float *to) {
    return crop_squares(pixels, width, height, boxes, places, count, side, scale, offset, to);
}

EXPORT("search_index")
int export_search_index(int dim, int subquantizers, int cells, int blocks, const float *rotation, const float *codebook,
                        const int8_t *centers, const uint32_t *starts, const uint8_t *packed, const int8_t *vectors,
                        const int32_t *numbers, const uint32_t *allowed, const float *queries, int count, int probes,
                        int shortlist, int rescored, int k, int32_t *rows, float *scores) {
    const Index index = {
        .dim = dim, .subquantizers = subquantizers, .cells = cells, .blocks = blocks, .rotation = rotation,
        .codebook = codebook, .centers = centers, .starts = starts, .packed = packed, .vectors = vectors,
        .rows = numbers, .allowed = allowed,
    };
    return search_index(&index, queries, count, probes, shortlist, rescored, k, rows, scores);
}

EXPORT("match_codes")
void export_match_codes(const uint8_t *levels, int count, const uint8_t *packed, int subquantizers, int rows,
                        const uint32_t *allowed, int32_t *best, uint16_t *highest) {
    match_codes(levels, count, packed, subquantizers, rows, allowed, best, highest);
}

EXPORT("encode_rows")
void export_encode_rows(int parts, int dim, int words, const float *codewords, const float *squares, const float *x,
                        int count, uint8_t *codes) {
    const Codebook book = {.parts = parts, .dim = dim, .words = words, .codewords = codewords, .squares = squares};
    encode_rows(&book, x, count, codes);
}

EXPORT("quantize_rows")
void export_quantize_rows(int parts, int dim, const float *codewords, const float *squares, const float *x, int count,
                          uint8_t *levels, float *lows, float *steps) {
    const Codebook book = {
        .parts = parts, .dim = dim, .words = CODEWORDS, .codewords = codewords, .squares = squares};
    quantize_rows(&book, x, count, levels, lows, steps);
}

EXPORT("detect_features")
int export_detect_features(const uint8_t *pixels, int width, int height, int limit, float *keypoints,
                           uint8_t *descriptors) {
    return (int)detect_features(pixels, width, height, limit, keypoints, descriptors);
}

EXPORT("fit_affine")
int export_fit_affine(const float *photo, const float *reference, int count, double *affine) {
    return fit_affine(photo, reference, count, affine);
}

EXPORT("find_consistent_pairs")
int export_find_consistent_pairs(const float *photo, int count, const float *reference, int size, const double *affine,
                                 double tolerance, uint32_t *bits) {
    return find_consistent_pairs(photo, count, reference, size, affine, tolerance, bits, (size + 31) / 32);
}

EXPORT("fuses") int export_fuses(void) { return fuses(); }

EXPORT("weight_bytes") int export_weight_bytes(void) { return sizeof(Weight); }

EXPORT("convolve")
void export_convolve(const Convolution *c, int by_channel, const float *from, const Weight *weights, const float *bias,
                     float *to) {
    (by_channel ? convolve_by_channel : convolve)(c, from, weights, bias, to);
}

EXPORT("convolve_levels")
int export_convolve_levels(const Convolution *c, int by_channel, const uint8_t *from, int zero, const int16_t *weights,
                           const int32_t *bias, const float *scales, uint8_t *to) {
    return (by_channel ? convolve_levels_by_channel : convolve_levels)(c, from, zero, weights, bias, scales, to);
}

EXPORT("add_levels")
void export_add_levels(const uint8_t *one, float scale, int zero, const uint8_t *other, float other_scale,
                       int other_zero, int count, float sum_scale, int sum_zero, uint8_t *to) {
    const Levels of_one = {scale, zero}, of_other = {other_scale, other_zero}, of_sum = {sum_scale, sum_zero};
    add_levels(one, of_one, other, of_other, count, of_sum, to);
}

EXPORT("quantize") void export_quantize(const float *from, int count, float scale, int zero, uint8_t *to) {
    const Levels levels = {scale, zero};
    quantize(from, count, levels, to);
}
