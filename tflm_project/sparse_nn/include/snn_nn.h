/* Reference operators of sparse_nn in portable C11, equal to TFLite Micro's byte for byte.
 *
 * Every function works on one image (batch 1, NHWC), allocates nothing and keeps no state.
 * Pointers to activations need no alignment. Parameter structs may be constants in flash.
 */
#ifndef SNN_NN_H
#define SNN_NN_H

#include "snn_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Convolution. weights [out][kernel_h][kernel_w][in / groups]; bias may be NULL. */
snn_status snn_convolve_s8(const int8_t *input, snn_shape input_shape, const snn_window *window,
                           int32_t groups, const int8_t *weights, const int32_t *bias,
                           const snn_requant *requant, const snn_quant *quant, int8_t *output,
                           snn_shape output_shape);

/* Depthwise convolution. weights [kernel_h][kernel_w][out], out = in * multiplier. */
snn_status snn_depthwise_convolve_s8(const int8_t *input, snn_shape input_shape,
                                     const snn_window *window, const int8_t *weights,
                                     const int32_t *bias, const snn_requant *requant,
                                     const snn_quant *quant, int8_t *output,
                                     snn_shape output_shape);

/* Fully connected. weights [out][in]; multipliers per output. */
snn_status snn_fully_connected_s8(const int8_t *input, int32_t input_size, const int8_t *weights,
                                  const int32_t *bias, const snn_requant *requant,
                                  const snn_quant *quant, int8_t *output, int32_t output_size);

/* Pooling; of quant only the activation bounds are read. Taps outside the input don't count. */
snn_status snn_max_pool_s8(const int8_t *input, snn_shape input_shape, const snn_window *window,
                           const snn_quant *quant, int8_t *output, snn_shape output_shape);
snn_status snn_average_pool_s8(const int8_t *input, snn_shape input_shape,
                               const snn_window *window, const snn_quant *quant, int8_t *output,
                               snn_shape output_shape);

/* Quantization of an elementwise operator over two inputs of equal shape. Offsets are minus the
 * inputs' zero points, and the output's zero point. */
typedef struct {
    int32_t offset1, multiplier1, shift1;
    int32_t offset2, multiplier2, shift2;
    int32_t output_offset, output_multiplier, output_shift;
    int32_t left_shift;
    int32_t activation_min, activation_max;
} snn_elementwise;

snn_status snn_add_s8(const int8_t *input1, const int8_t *input2, const snn_elementwise *quant,
                      int8_t *output, int32_t size);

/* Loop of an elementwise operator with broadcasting: the output's four dimensions, and each
 * input's step along them in elements, 0 where it is broadcast. */
typedef struct {
    int32_t size[4], stride1[4], stride2[4];
} snn_broadcast;

/* As TFLM, with double rounding; a product uses offsets and the output's multiplier alone.
 * The output is dense and must not overlap an input. */
snn_status snn_add_broadcast_s8(const int8_t *input1, const int8_t *input2,
                                const snn_broadcast *loop, const snn_elementwise *quant,
                                int8_t *output);
snn_status snn_sub_broadcast_s8(const int8_t *input1, const int8_t *input2,
                                const snn_broadcast *loop, const snn_elementwise *quant,
                                int8_t *output);
snn_status snn_mul_broadcast_s8(const int8_t *input1, const int8_t *input2,
                                const snn_broadcast *loop, const snn_elementwise *quant,
                                int8_t *output);

/* Any operator of one byte to one byte: table[256], for inputs -128 to 127. May run in place. */
snn_status snn_lookup_s8(const int8_t *input, const int8_t *table, int8_t *output, int32_t size);

/* Copies a four-dimensional block; steps and first elements count in elements, steps may be
 * negative. Input and output must not overlap. */
typedef struct {
    int32_t size[4], input_stride[4], output_stride[4];
    int32_t input_first, output_first;
} snn_copy;

snn_status snn_copy_s8(const int8_t *input, const snn_copy *loop, int8_t *output);

/* Fills the border of a larger image. */
snn_status snn_pad_s8(const int8_t *input, snn_shape input_shape, int32_t top, int32_t left,
                      int8_t value, int8_t *output, snn_shape output_shape);

/* Softmax over the last dimension; scale 1/256, zero point -128. */
snn_status snn_softmax_s8(const int8_t *input, int32_t rows, int32_t size, int32_t multiplier,
                          int32_t left_shift, int32_t diff_min, int8_t *output);

/* Float32 counterparts, for the float baseline. Weights as above, [min, max] after the sum. */
snn_status snn_convolve_f32(const float *input, snn_shape input_shape, const snn_window *window,
                            int32_t groups, const float *weights, const float *bias, float min,
                            float max, float *output, snn_shape output_shape);
snn_status snn_depthwise_convolve_f32(const float *input, snn_shape input_shape,
                                      const snn_window *window, const float *weights,
                                      const float *bias, float min, float max, float *output,
                                      snn_shape output_shape);
snn_status snn_fully_connected_f32(const float *input, int32_t input_size, const float *weights,
                                   const float *bias, float min, float max, float *output,
                                   int32_t output_size);
snn_status snn_max_pool_f32(const float *input, snn_shape input_shape, const snn_window *window,
                            float min, float max, float *output, snn_shape output_shape);
snn_status snn_average_pool_f32(const float *input, snn_shape input_shape,
                                const snn_window *window, float min, float max, float *output,
                                snn_shape output_shape);
snn_status snn_add_f32(const float *input1, const float *input2, float min, float max,
                       float *output, int32_t size);
snn_status snn_pad_f32(const float *input, snn_shape input_shape, int32_t top, int32_t left,
                       float value, float *output, snn_shape output_shape);
snn_status snn_softmax_f32(const float *input, int32_t rows, int32_t size, float beta,
                           float *output);

/* real = scale * (q - zero_point), and back: rounded half away from zero, clamped. */
snn_status snn_dequantize_s8_f32(const int8_t *input, float scale, int32_t zero_point,
                                 float *output, int32_t size);
snn_status snn_quantize_f32_s8(const float *input, float scale, int32_t zero_point,
                               int8_t *output, int32_t size);

#ifdef __cplusplus
}
#endif
#endif
