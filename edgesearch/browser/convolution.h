/* Convolve in float to the same bits as onnxruntime on x86-64; see `convolution.c`. */

#ifndef EDGESEARCH_CONVOLUTION_H
#define EDGESEARCH_CONVOLUTION_H

typedef struct {
    int height, width, channels; /* H, W, C of the input */
    int rows, columns, outputs;  /* h, w, O of the result; O is a multiple of 16 */
    int kernel_rows, kernel_columns, stride, top, left; /* top, left: rows and columns of zeros before the input */
    float low, high;             /* limits of the result */
} Convolution;

/* Apply O filters to all channels. All numbers are float in the place of double.
 * from: (H, W, C); weights: (O / 16, C, kernel_rows, kernel_columns, 16); bias: (O,); to: (h, w, O). */
void convolve(const Convolution *c, const double *from, const double *weights, const double *bias, double *to);

/* Apply one filter to each channel; O = C. weights: (O / 16, kernel_rows, kernel_columns, 16). */
void convolve_channels(const Convolution *c, const double *from, const double *weights, const double *bias, double *to);

#endif
