/* Every output gathers the inputs that reach it, so that no accumulators need memory; TFLite's
 * reference scatters into an int32 image. The sums are the same. */
#include "snn_nn.h"
#include "snn_requantize.h"

snn_status snn_transpose_convolve_s8(const int8_t *input, snn_shape input_shape,
                                     const snn_window *window, const int8_t *weights,
                                     const int32_t *bias, const snn_requant *requant,
                                     const snn_quant *quant, int8_t *output,
                                     snn_shape output_shape)
{
    const int32_t depth = input_shape.c;
    for (int32_t oy = 0; oy < output_shape.h; ++oy) {
        for (int32_t ox = 0; ox < output_shape.w; ++ox) {
            const int8_t *w = weights;
            for (int32_t o = 0; o < output_shape.c; ++o) {
                int32_t sum = bias != NULL ? bias[o] : 0;
                for (int32_t ky = 0; ky < window->kernel_h; ++ky) {
                    const int32_t y = oy + window->pad_top - ky;
                    for (int32_t kx = 0; kx < window->kernel_w; ++kx, w += depth) {
                        const int32_t x = ox + window->pad_left - kx;
                        if (y < 0 || x < 0 || y % window->stride_h != 0 ||
                            x % window->stride_w != 0 || y / window->stride_h >= input_shape.h ||
                            x / window->stride_w >= input_shape.w) {
                            continue;
                        }
                        const int8_t *const in =
                            input +
                            (y / window->stride_h * input_shape.w + x / window->stride_w) * depth;
                        for (int32_t c = 0; c < depth; ++c) {
                            sum += (in[c] + quant->input_offset) * w[c];
                        }
                    }
                }
                sum = snn_requantize(sum, requant->multiplier[o], requant->shift[o]);
                *output++ = (int8_t)snn_clamp(sum + quant->output_offset, quant->activation_min,
                                              quant->activation_max);
            }
        }
    }
    return SNN_OK;
}
