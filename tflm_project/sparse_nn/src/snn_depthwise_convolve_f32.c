#include "snn_nn.h"

snn_status snn_depthwise_convolve_f32(const float *input, snn_shape input_shape,
                                      const snn_window *window, const float *weights,
                                      const float *bias, float min, float max, float *output,
                                      snn_shape output_shape)
{
    const int32_t multiplier = output_shape.c / input_shape.c;
    for (int32_t oy = 0; oy < output_shape.h; ++oy) {
        for (int32_t ox = 0; ox < output_shape.w; ++ox) {
            for (int32_t o = 0; o < output_shape.c; ++o) {
                float sum = bias != NULL ? bias[o] : 0.0f;
                for (int32_t ky = 0; ky < window->kernel_h; ++ky) {
                    const int32_t y =
                        oy * window->stride_h - window->pad_top + ky * window->dilation_h;
                    for (int32_t kx = 0; kx < window->kernel_w; ++kx) {
                        const int32_t x =
                            ox * window->stride_w - window->pad_left + kx * window->dilation_w;
                        if (y < 0 || y >= input_shape.h || x < 0 || x >= input_shape.w) {
                            continue;
                        }
                        sum += input[(y * input_shape.w + x) * input_shape.c + o / multiplier] *
                               weights[(ky * window->kernel_w + kx) * output_shape.c + o];
                    }
                }
                *output++ = sum < min ? min : (sum > max ? max : sum);
            }
        }
    }
    return SNN_OK;
}
