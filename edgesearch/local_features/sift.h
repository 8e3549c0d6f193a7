/* Detect scale-invariant features in a grey picture; see `sift.c`. */

#ifndef EDGESEARCH_SIFT_H
#define EDGESEARCH_SIFT_H

#include <stdint.h>

enum { DIM = 128, MAX_PIXELS = 1 << 21 };

/* Detect the strongest features of a picture of 1 to MAX_PIXELS px, strongest first. Return their number, or -1 if
 * there is no memory. pixels: (H, W), keypoints: (limit, 4): x, y, sigma in px and direction in turns,
 * descriptors: (limit, DIM). */
int64_t detect_features(const uint8_t *pixels, int width, int height, int64_t limit, float *keypoints,
                        uint8_t *descriptors);

#endif
