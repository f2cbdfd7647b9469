#include "snn_nn.h"
#include "snn_requantize.h"

static int32_t clip(int32_t at, int32_t size) { return snn_clamp(at, 0, size); }

snn_status snn_average_pool_f32(const float *input, snn_shape input_shape,
                                const snn_window *window, float min, float max, float *output,
                                snn_shape output_shape)
{
    for (int32_t oy = 0; oy < output_shape.h; ++oy) {
        const int32_t top = oy * window->stride_h - window->pad_top;
        const int32_t y_start = clip(top, input_shape.h);
        const int32_t y_stop = clip(top + window->kernel_h, input_shape.h);
        for (int32_t ox = 0; ox < output_shape.w; ++ox) {
            const int32_t left = ox * window->stride_w - window->pad_left;
            const int32_t x_start = clip(left, input_shape.w);
            const int32_t x_stop = clip(left + window->kernel_w, input_shape.w);
            const int32_t count = (y_stop - y_start) * (x_stop - x_start);
            if (count <= 0) {
                return SNN_BAD_ARGUMENT;
            }
            for (int32_t c = 0; c < input_shape.c; ++c) {
                float sum = 0.0f;
                for (int32_t y = y_start; y < y_stop; ++y) {
                    for (int32_t x = x_start; x < x_stop; ++x) {
                        sum += input[(y * input_shape.w + x) * input_shape.c + c];
                    }
                }
                sum /= (float)count;
                *output++ = sum < min ? min : (sum > max ? max : sum);
            }
        }
    }
    return SNN_OK;
}
