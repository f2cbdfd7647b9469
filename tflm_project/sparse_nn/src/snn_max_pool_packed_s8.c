/* Max pooling, four channels at a time.
 *
 * A word of four channels is compared at once: SSUB8 sets a flag for each byte, SEL takes the
 * larger one. Per window position and four channels about 6 cycles on Cortex-M4. Channels that
 * are left over go one by one.
 */
#include <string.h>

#include "snn_sparse.h"
#include "snn_target.h"

#if SNN_DSP
static inline uint32_t larger(uint32_t a, uint32_t b)
{
    uint32_t result;
    __asm volatile("ssub8 %0, %1, %2\n"
                   "sel   %0, %1, %2"
                   : "=&r"(result)
                   : "r"(a), "r"(b)
                   : "cc");
    return result;
}
#else
static inline uint32_t larger(uint32_t a, uint32_t b)
{
    int8_t x[4], y[4];
    memcpy(x, &a, 4);
    memcpy(y, &b, 4);
    for (int i = 0; i < 4; ++i) {
        x[i] = x[i] > y[i] ? x[i] : y[i];
    }
    memcpy(&a, x, 4);
    return a;
}
#endif

/* The largest of each of `size` (at most 4) channels over a window of rows * columns positions. */
static uint32_t most(const int8_t *from, int32_t rows, int32_t columns, int32_t pixel, int32_t row,
                     size_t size)
{
    uint32_t result = 0x80808080u;
    for (; rows > 0; --rows, from += row) {
        const int8_t *at = from;
        for (int32_t i = columns; i > 0; --i, at += pixel) {
            uint32_t word = 0x80808080u;
            if (size == 4) {
                memcpy(&word, at, 4);
            } else {
                memcpy(&word, at, size);
            }
            result = larger(word, result);
        }
    }
    return result;
}

snn_status snn_max_pool_packed_s8(const int8_t *input, snn_shape input_shape,
                                  const snn_window *window, const snn_quant *quant,
                                  int8_t *output, snn_shape output_shape)
{
    const int32_t channels = input_shape.c;
    const int32_t row = input_shape.w * channels;
    int8_t *to = output;
    for (int32_t oy = 0; oy < output_shape.h; ++oy) {
        const int32_t top = oy * window->stride_h - window->pad_top;
        const int32_t y0 = top < 0 ? 0 : top;
        const int32_t y1 = top + window->kernel_h < input_shape.h ? top + window->kernel_h
                                                                  : input_shape.h;
        for (int32_t ox = 0; ox < output_shape.w; ++ox) {
            const int32_t left = ox * window->stride_w - window->pad_left;
            const int32_t x0 = left < 0 ? 0 : left;
            const int32_t x1 = left + window->kernel_w < input_shape.w ? left + window->kernel_w
                                                                       : input_shape.w;
            const int8_t *from = input + y0 * row + x0 * channels;
            int32_t c = channels;
            for (; c >= 4; c -= 4, from += 4, to += 4) {
                const uint32_t word = most(from, y1 - y0, x1 - x0, channels, row, 4);
                memcpy(to, &word, 4);
            }
            for (; c > 0; --c, ++from) {
                const uint32_t word = most(from, y1 - y0, x1 - x0, channels, row, 1);
                *to++ = (int8_t)word;
            }
        }
    }
    snn_clamp_outputs(output, (int32_t)(to - output), quant);
    return SNN_OK;
}
