#include "snn_nn.h"

snn_status snn_convolve_f32(const float *input, snn_shape input_shape, const snn_window *window,
                            int32_t groups, const float *weights, const float *bias, float min,
                            float max, float *output, snn_shape output_shape)
{
    const int32_t depth = input_shape.c / groups;
    const int32_t filters = output_shape.c / groups;
    for (int32_t oy = 0; oy < output_shape.h; ++oy) {
        for (int32_t ox = 0; ox < output_shape.w; ++ox) {
            for (int32_t o = 0; o < output_shape.c; ++o) {
                const int32_t first = o / filters * depth;
                const float *w = weights + o * window->kernel_h * window->kernel_w * depth;
                float sum = bias != NULL ? bias[o] : 0.0f;
                for (int32_t ky = 0; ky < window->kernel_h; ++ky) {
                    const int32_t y =
                        oy * window->stride_h - window->pad_top + ky * window->dilation_h;
                    for (int32_t kx = 0; kx < window->kernel_w; ++kx, w += depth) {
                        const int32_t x =
                            ox * window->stride_w - window->pad_left + kx * window->dilation_w;
                        if (y < 0 || y >= input_shape.h || x < 0 || x >= input_shape.w) {
                            continue;
                        }
                        const float *in = input + (y * input_shape.w + x) * input_shape.c + first;
                        for (int32_t c = 0; c < depth; ++c) {
                            sum += in[c] * w[c];
                        }
                    }
                }
                *output++ = sum < min ? min : (sum > max ? max : sum);
            }
        }
    }
    return SNN_OK;
}
