/* Fit one affine map to pairs of keypoints; see `geometry.c`. */

#ifndef EDGESEARCH_GEOMETRY_H
#define EDGESEARCH_GEOMETRY_H

#include <stdint.h>

enum { MAX_PAIRS = 1024 };

/* Find the map with the most inliers at different positions. Return their number and write the map; if there is none,
 * return 0 and leave `affine` as it is; return -1 if there is no memory.
 * photo, reference: (count, 4), count <= MAX_PAIRS, affine: (2, 3). */
int fit_affine(const float *photo, const float *reference, int count, double affine[6]);

/* Do so for the matches that pass Lowe's ratio test; a reference keypoint matches once, with the nearest.
 * photo: (count, 4), nearest: (count,), below `size`; distances: (count, 2), squared, to the nearest and the next;
 * reference: (size, 4), quantized; levels: (256, 4), what the bytes stand for; affine: (2, 3). */
int fit_matches(const float *photo, int64_t count, const int32_t *nearest, const float *distances,
                const uint8_t *reference, int64_t size, const float *levels, double affine[6]);

/* Set a bit for every photo keypoint and reference keypoint that a map m brings together within a tolerance. Return 0
 * if there is no memory. photo: (count, 4), reference: (size, 4), m: (2, 3), of positive area, bits: (count, words),
 * lowest bit first. */
int find_consistent_pairs(const float *photo, int64_t count, const float *reference, int64_t size, const double *m,
                          double tolerance, uint32_t *bits, int64_t words);

#endif
