#include "snn_nn.h"

snn_status snn_transpose_convolve_f32(const float *input, snn_shape input_shape,
                                      const snn_window *window, const float *weights,
                                      const float *bias, float min, float max, float *output,
                                      snn_shape output_shape)
{
    const int32_t depth = input_shape.c;
    for (int32_t oy = 0; oy < output_shape.h; ++oy) {
        for (int32_t ox = 0; ox < output_shape.w; ++ox) {
            const float *w = weights;
            for (int32_t o = 0; o < output_shape.c; ++o) {
                float sum = bias != NULL ? bias[o] : 0.0f;
                for (int32_t ky = 0; ky < window->kernel_h; ++ky) {
                    const int32_t y = oy + window->pad_top - ky;
                    for (int32_t kx = 0; kx < window->kernel_w; ++kx, w += depth) {
                        const int32_t x = ox + window->pad_left - kx;
                        if (y < 0 || x < 0 || y % window->stride_h != 0 ||
                            x % window->stride_w != 0 || y / window->stride_h >= input_shape.h ||
                            x / window->stride_w >= input_shape.w) {
                            continue;
                        }
                        const float *const in =
                            input +
                            (y / window->stride_h * input_shape.w + x / window->stride_w) * depth;
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
