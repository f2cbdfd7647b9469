#include "snn_nn.h"
#include "snn_requantize.h"

/* The bounds of a window inside the input: start clipped to 0, stop to the input's size. */
static int32_t clip(int32_t at, int32_t size) { return snn_clamp(at, 0, size); }

snn_status snn_max_pool_s8(const int8_t *input, snn_shape input_shape, const snn_window *window,
                           const snn_quant *quant, int8_t *output, snn_shape output_shape)
{
    for (int32_t oy = 0; oy < output_shape.h; ++oy) {
        const int32_t top = oy * window->stride_h - window->pad_top;
        const int32_t y_stop = clip(top + window->kernel_h, input_shape.h);
        for (int32_t ox = 0; ox < output_shape.w; ++ox) {
            const int32_t left = ox * window->stride_w - window->pad_left;
            const int32_t x_stop = clip(left + window->kernel_w, input_shape.w);
            for (int32_t c = 0; c < input_shape.c; ++c) {
                int32_t most = INT8_MIN;
                for (int32_t y = clip(top, input_shape.h); y < y_stop; ++y) {
                    for (int32_t x = clip(left, input_shape.w); x < x_stop; ++x) {
                        const int32_t value = input[(y * input_shape.w + x) * input_shape.c + c];
                        most = value > most ? value : most;
                    }
                }
                *output++ = (int8_t)snn_clamp(most, quant->activation_min, quant->activation_max);
            }
        }
    }
    return SNN_OK;
}
