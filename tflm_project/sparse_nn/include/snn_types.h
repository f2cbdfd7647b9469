/* Types shared by all kernels of sparse_nn. Conventions are TFLite's int8 rules: NHWC,
 * activations affine per tensor, weights symmetric per output channel, int32 bias.
 */
#ifndef SNN_TYPES_H
#define SNN_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    SNN_OK = 0,
    SNN_BAD_ARGUMENT = 1, /* a size, pointer or parameter that the kernel can't take */
    SNN_BAD_STREAM = 2,   /* checked builds only: a weight stream that leaves its bounds */
} snn_status;

/* One activation tensor: batch is always 1. */
typedef struct {
    int32_t h, w, c;
} snn_shape;

/* Requantization per output channel: real multiplier = multiplier * 2^(shift - 31).
 * A positive shift goes left, as in TFLite's QuantizeMultiplier. */
typedef struct {
    const int32_t *multiplier;
    const int32_t *shift;
} snn_requant;

/* Geometry of a sliding window. Padding is what stands before the first row and column; what
 * stands behind the last follows from the output size. */
typedef struct {
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
} snn_window;

/* Quantization of a layer: offsets are added, so input_offset is minus the zero point. */
typedef struct {
    int32_t input_offset;
    int32_t output_offset;
    int32_t activation_min;
    int32_t activation_max;
} snn_quant;

#ifdef __cplusplus
}
#endif
#endif
