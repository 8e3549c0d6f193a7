/* Cut squares out of a picture and resize them, or a whole grey picture; see `resampling.c`. */

#ifndef EDGESEARCH_RESAMPLING_H
#define EDGESEARCH_RESAMPLING_H

#include <stdint.h>

enum { CHANNELS = 3, BOX = 4, PLACE = 4, MAX_SIDE = 4096, MAX_CANVAS = 1 << 20 };

/* Cut squares out of a picture, (H, W, 3), and resize them to S px a side. Return 1, 0 if a number is impossible or a
 * square lies off its canvas, or -1 if there is no memory.
 * boxes: (count, 4), left, top, right and bottom of each square on its canvas; places: (count, 4), x and y of the
 * picture on the canvas, and the canvas's width and height; to: (count, 3, S, S). */
int crop_squares(const uint8_t *pixels, int width, int height, const float *boxes, const int32_t *places,
                 int64_t count, int side, float scale, float offset, float *to);

enum Filter { TRIANGLE, BICUBIC, LANCZOS };

/* Resize a grey picture, (H, W), to at least a fifth of each side. Return 1, 0 if a number is impossible, or -1 if there
 * is no memory. to: (to_height, to_width), of at most MAX_SIDE px a side. */
int resize_grey(const uint8_t *pixels, int width, int height, enum Filter filter, int to_width, int to_height,
                uint8_t *to);

/* Choose the "plain" loops, or for "" the fastest. Return whether they are the plain ones, or -1 if no loops
 * have the name. */
int use_crop_loops(const char *name);

#endif
