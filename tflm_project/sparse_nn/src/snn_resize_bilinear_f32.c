#include <math.h>

#include "snn_nn.h"

typedef struct {
    int32_t low, high;
    float part;
} place;

static place locate(int32_t at, float scale, int32_t half_pixel, int32_t size)
{
    const float position = half_pixel ? ((float)at + 0.5f) * scale - 0.5f : (float)at * scale;
    const int32_t low = (int32_t)floorf(position);
    const int32_t high = (int32_t)ceilf(position);
    place result;
    result.low = low > 0 ? low : 0;
    result.high = high < size - 1 ? high : size - 1;
    result.part = position - (float)result.low;
    return result;
}

snn_status snn_resize_bilinear_f32(const float *input, snn_shape input_shape, float scale_h,
                                   float scale_w, int32_t half_pixel, float *output,
                                   snn_shape output_shape)
{
    const int32_t depth = input_shape.c;
    const int32_t line = input_shape.w * depth;
    for (int32_t oy = 0; oy < output_shape.h; ++oy) {
        const place y = locate(oy, scale_h, half_pixel, input_shape.h);
        for (int32_t ox = 0; ox < output_shape.w; ++ox) {
            const place x = locate(ox, scale_w, half_pixel, input_shape.w);
            const float *const top_left = input + y.low * line + x.low * depth;
            const float *const top_right = input + y.low * line + x.high * depth;
            const float *const bottom_left = input + y.high * line + x.low * depth;
            const float *const bottom_right = input + y.high * line + x.high * depth;
            for (int32_t c = 0; c < depth; ++c) {
                const float top = top_left[c] + x.part * (top_right[c] - top_left[c]);
                const float bottom = bottom_left[c] + x.part * (bottom_right[c] - bottom_left[c]);
                *output++ = top + y.part * (bottom - top);
            }
        }
    }
    return SNN_OK;
}
