/* Bilinear resizing with positions in 1/1024 of a pixel, as TFLite's integer reference. */
#include "snn_nn.h"

enum { ONE = 1 << 10 };

typedef struct {
    int32_t low, high, part; /* both neighbours, and the position's distance from the first */
} place;

static place locate(int32_t at, int32_t scale, int32_t half_pixel, int32_t size)
{
    const int32_t position = at * scale + (half_pixel ? scale / 2 - ONE / 2 : 0);
    const int32_t low = position / ONE;
    const int32_t high = (position + ONE - 1) / ONE;
    place result;
    result.low = low > 0 ? low : 0;
    result.high = high < size - 1 ? high : size - 1;
    result.part = position - result.low * ONE;
    return result;
}

snn_status snn_resize_bilinear_s8(const int8_t *input, snn_shape input_shape, int32_t scale_h,
                                  int32_t scale_w, int32_t half_pixel, int8_t *output,
                                  snn_shape output_shape)
{
    const int32_t depth = input_shape.c;
    const int32_t line = input_shape.w * depth;
    for (int32_t oy = 0; oy < output_shape.h; ++oy) {
        const place y = locate(oy, scale_h, half_pixel, input_shape.h);
        for (int32_t ox = 0; ox < output_shape.w; ++ox) {
            const place x = locate(ox, scale_w, half_pixel, input_shape.w);
            const int8_t *const top_left = input + y.low * line + x.low * depth;
            const int8_t *const top_right = input + y.low * line + x.high * depth;
            const int8_t *const bottom_left = input + y.high * line + x.low * depth;
            const int8_t *const bottom_right = input + y.high * line + x.high * depth;
            for (int32_t c = 0; c < depth; ++c) {
                const int32_t sum = top_left[c] * (ONE - y.part) * (ONE - x.part) +
                                    bottom_left[c] * y.part * (ONE - x.part) +
                                    top_right[c] * (ONE - y.part) * x.part +
                                    bottom_right[c] * y.part * x.part;
                *output++ = (int8_t)((sum + (sum > 0 ? ONE * ONE / 2 : -ONE * ONE / 2)) /
                                     (ONE * ONE));
            }
        }
    }
    return SNN_OK;
}
