#include "snn_nn.h"
#include "snn_requantize.h"

snn_status snn_depthwise_convolve_s8(const int8_t *input, snn_shape input_shape,
                                     const snn_window *window, const int8_t *weights,
                                     const int32_t *bias, const snn_requant *requant,
                                     const snn_quant *quant, int8_t *output,
                                     snn_shape output_shape)
{
    const int32_t multiplier = output_shape.c / input_shape.c;
    for (int32_t oy = 0; oy < output_shape.h; ++oy) {
        for (int32_t ox = 0; ox < output_shape.w; ++ox) {
            for (int32_t o = 0; o < output_shape.c; ++o) {
                const int8_t *const channel = input + o / multiplier;
                int32_t sum = bias != NULL ? bias[o] : 0;
                for (int32_t ky = 0; ky < window->kernel_h; ++ky) {
                    const int32_t y =
                        oy * window->stride_h - window->pad_top + ky * window->dilation_h;
                    for (int32_t kx = 0; kx < window->kernel_w; ++kx) {
                        const int32_t x =
                            ox * window->stride_w - window->pad_left + kx * window->dilation_w;
                        if (y < 0 || y >= input_shape.h || x < 0 || x >= input_shape.w) {
                            continue;
                        }
                        const int32_t in = channel[(y * input_shape.w + x) * input_shape.c];
                        sum += (in + quant->input_offset) *
                               weights[(ky * window->kernel_w + kx) * output_shape.c + o];
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
