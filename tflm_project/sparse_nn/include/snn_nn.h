/* Reference operators of sparse_nn in portable C11, equal to TFLite Micro's byte for byte.
 *
 * Every function works on one image (batch 1, NHWC), allocates nothing and keeps no state.
 * Pointers to int8 activations need no alignment. Input and output must not overlap unless a
 * function says so. Parameter structs may be constants in flash.
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

/* Transpose convolution: input pixels lie window's stride apart on the output. weights
 * [out][kernel_h][kernel_w][in]; of window the padding is what is cut off the output's front. */
snn_status snn_transpose_convolve_s8(const int8_t *input, snn_shape input_shape,
                                     const snn_window *window, const int8_t *weights,
                                     const int32_t *bias, const snn_requant *requant,
                                     const snn_quant *quant, int8_t *output,
                                     snn_shape output_shape);

/* Loop of an elementwise operator with broadcasting: the output's four dimensions, and each
 * input's step along them in values, 0 where it is repeated. The output is dense. It may be an
 * input that is not repeated. */
typedef struct {
    int32_t size[4], stride1[4], stride2[4];
} snn_broadcast;

/* Quantization of an elementwise operator over two inputs. Offsets are minus the inputs' zero
 * points, and the output's zero point. Sums use every field; products offsets, output and
 * bounds; PRELU (input2 is alpha) multiplier1 above zero and multiplier2 below. */
typedef struct {
    int32_t offset1, multiplier1, shift1;
    int32_t offset2, multiplier2, shift2;
    int32_t output_offset, output_multiplier, output_shift;
    int32_t left_shift;
    int32_t activation_min, activation_max;
} snn_elementwise;

snn_status snn_add_s8(const int8_t *input1, const int8_t *input2, const snn_broadcast *loop,
                      const snn_elementwise *quant, int8_t *output);
snn_status snn_sub_s8(const int8_t *input1, const int8_t *input2, const snn_broadcast *loop,
                      const snn_elementwise *quant, int8_t *output);
snn_status snn_mul_s8(const int8_t *input1, const int8_t *input2, const snn_broadcast *loop,
                      const snn_elementwise *quant, int8_t *output);
snn_status snn_prelu_s8(const int8_t *input1, const int8_t *input2, const snn_broadcast *loop,
                        const snn_elementwise *quant, int8_t *output);
/* Both inputs and the output share one scale; quant is not read. */
snn_status snn_maximum_s8(const int8_t *input1, const int8_t *input2, const snn_broadcast *loop,
                          const snn_elementwise *quant, int8_t *output);
snn_status snn_minimum_s8(const int8_t *input1, const int8_t *input2, const snn_broadcast *loop,
                          const snn_elementwise *quant, int8_t *output);

/* Any operator of one byte to one byte: table[256], for inputs -128 to 127. May run in place. */
snn_status snn_lookup_s8(const int8_t *input, const int8_t *table, int8_t *output, int32_t size);

/* Copies a four-dimensional block; steps and first elements count in elements, steps may be
 * negative. Input and output must not overlap. */
typedef struct {
    int32_t size[4], input_stride[4], output_stride[4];
    int32_t input_first, output_first;
} snn_copy;

snn_status snn_copy_s8(const int8_t *input, const snn_copy *loop, int8_t *output);

/* output[y][x] = input[rows[y]][columns[x]], all channels: nearest-neighbour resizing, gathering
 * along one dimension, mirrored padding. */
snn_status snn_pick_s8(const int8_t *input, snn_shape input_shape, const uint16_t *rows,
                       const uint16_t *columns, int8_t *output, snn_shape output_shape);

/* Bilinear resizing; scales are input pixels per output pixel in 1/1024. */
snn_status snn_resize_bilinear_s8(const int8_t *input, snn_shape input_shape, int32_t scale_h,
                                  int32_t scale_w, int32_t half_pixel, int8_t *output,
                                  snn_shape output_shape);

/* An input of four dimensions of which the second and fourth are reduced. */
typedef struct {
    int32_t size[4];
} snn_reduction;

/* Sum, and mean by its multiplier. offset: minus the zero point times the values of one sum. */
snn_status snn_sum_s8(const int8_t *input, const snn_reduction *loop, int32_t offset,
                      int32_t multiplier, int32_t shift, int32_t output_offset, int8_t *output);
snn_status snn_reduce_max_s8(const int8_t *input, const snn_reduction *loop, int8_t *output);
snn_status snn_reduce_min_s8(const int8_t *input, const snn_reduction *loop, int8_t *output);

/* Softmax over the last dimension; scale 1/256, zero point -128. May run in place. */
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
snn_status snn_transpose_convolve_f32(const float *input, snn_shape input_shape,
                                      const snn_window *window, const float *weights,
                                      const float *bias, float min, float max, float *output,
                                      snn_shape output_shape);

typedef struct {
    float min, max;
} snn_bounds;

snn_status snn_add_f32(const float *input1, const float *input2, const snn_broadcast *loop,
                       const snn_bounds *bounds, float *output);
snn_status snn_sub_f32(const float *input1, const float *input2, const snn_broadcast *loop,
                       const snn_bounds *bounds, float *output);
snn_status snn_mul_f32(const float *input1, const float *input2, const snn_broadcast *loop,
                       const snn_bounds *bounds, float *output);
snn_status snn_prelu_f32(const float *input1, const float *input2, const snn_broadcast *loop,
                         const snn_bounds *bounds, float *output);
snn_status snn_maximum_f32(const float *input1, const float *input2, const snn_broadcast *loop,
                           const snn_bounds *bounds, float *output);
snn_status snn_minimum_f32(const float *input1, const float *input2, const snn_broadcast *loop,
                           const snn_bounds *bounds, float *output);

typedef enum {
    SNN_RELU,
    SNN_RELU6,
    SNN_LEAKY_RELU,
    SNN_LOGISTIC,
    SNN_TANH,
    SNN_HARD_SWISH,
} snn_activation;

/* alpha: of SNN_LEAKY_RELU. */
snn_status snn_activate_f32(const float *input, snn_activation kind, float alpha, float *output,
                            int32_t size);
snn_status snn_copy_f32(const float *input, const snn_copy *loop, float *output);
snn_status snn_fill_f32(float value, float *output, int32_t size);
snn_status snn_pick_f32(const float *input, snn_shape input_shape, const uint16_t *rows,
                        const uint16_t *columns, float *output, snn_shape output_shape);
snn_status snn_resize_bilinear_f32(const float *input, snn_shape input_shape, float scale_h,
                                   float scale_w, int32_t half_pixel, float *output,
                                   snn_shape output_shape);
snn_status snn_sum_f32(const float *input, const snn_reduction *loop, float factor, float *output);
snn_status snn_reduce_max_f32(const float *input, const snn_reduction *loop, float *output);
snn_status snn_reduce_min_f32(const float *input, const snn_reduction *loop, float *output);
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
