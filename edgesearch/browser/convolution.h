/* Convolve in float to the same bits as onnxruntime on x86-64; see `convolution.c`. */

#ifndef EDGESEARCH_CONVOLUTION_H
#define EDGESEARCH_CONVOLUTION_H

typedef struct {
    int height, width, channels; /* H, W, C of the input */
    int rows, columns, outputs;  /* h, w, O of the result */
    int kernel_rows, kernel_columns, stride, top, left; /* top, left: rows and columns of zeros before the input */
    float low, high;             /* limits of the result */
} Convolution;

enum { LANES = 16 }; /* results that are computed together; P rounds a number of channels up to it */

#ifdef __wasm_relaxed_simd__
typedef float Weight;
#else
typedef double Weight; /* a float */
#endif

/* Apply O filters to all channels.
 * from: (H, W, C); weights: (P(O) / 16, C, kernel_rows, kernel_columns, 16); bias: (P(O),); to: (h, w, O). */
void convolve(const Convolution *c, const float *from, const Weight *weights, const float *bias, float *to);

/* Apply one filter to each channel; O = C. Fifteen floats behind `from` are read.
 * weights: (P(O) / 16, kernel_rows, kernel_columns, 16). */
void convolve_by_channel(const Convolution *c, const float *from, const Weight *weights, const float *bias, float *to);

/* Return whether a product and a sum are rounded once, as `convolution.c` needs it. */
int fuses(void);

#endif
