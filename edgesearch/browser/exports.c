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
    return search_index(&index, queries, count, NULL, probes, shortlist, rescored, k, rows, scores);
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

EXPORT("convolve")
void export_convolve(int height, int width, int channels, int rows, int columns, int outputs, int kernel_rows,
                     int kernel_columns, int stride, int top, int left, float low, float high, int by_channel,
                     const double *from, const double *weights, const double *bias, double *to) {
    const Convolution c = {
        .height = height, .width = width, .channels = channels, .rows = rows, .columns = columns, .outputs = outputs,
        .kernel_rows = kernel_rows, .kernel_columns = kernel_columns, .stride = stride, .top = top, .left = left,
        .low = low, .high = high,
    };
    (by_channel ? convolve_channels : convolve)(&c, from, weights, bias, to);
}
