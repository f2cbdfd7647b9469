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

/* One position: channel c goes to to[c * step]. */
static inline void pack_position(const int8_t *a, const int8_t *b, int32_t channels, int32_t step,
                                 int32_t *to)
{
    const int8_t *const end = a + channels;
#if SNN_DUAL_ASSEMBLY
    const int8_t *const last = end - 3;
    while (a < last) {
        int32_t low, high;
        memcpy(&low, a, 4);
        memcpy(&high, b, 4);
        a += 4;
        b += 4;
        to[0] = join((int8_t)low, (int8_t)high);
        to[step] = join((int8_t)(low >> 8), (int8_t)(high >> 8));
        to[2 * step] = join((int8_t)(low >> 16), (int8_t)(high >> 16));
        to[3 * step] = join(low >> 24, high >> 24);
        to += 4 * step;
    }
#endif
    for (; a < end; to += step) {
        *to = join(*a++, *b++);
    }
}

/* One row and phase: positions ix, ix + stride, … of two rows of the image. */
static void pack_row(const int8_t *a, const int8_t *b, const int8_t *zeros, uint32_t width,
                     int32_t pixel, int32_t channels, int32_t stride, int32_t ix, int32_t aside,
                     int32_t count, int32_t step, int32_t *to)
{
    for (; count > 0; --count, ix += stride) {
        const int32_t jx = ix + aside;
        const int8_t *const first = a != zeros && (uint32_t)ix < width ? a + ix * pixel : zeros;
        const int8_t *const second = b != zeros && (uint32_t)jx < width ? b + jx * pixel : zeros;
        pack_position(first, second, channels, step, to++);
    }
}

void snn_dual_pack(const int8_t *input, snn_shape shape, int32_t channels,
                   const snn_window *window, const snn_dual_layout *layout, int32_t y, int32_t x,
                   const int8_t *zeros, int32_t *packed)
{
    const int32_t below = layout->pair_h * window->stride_h;
    const int32_t aside = layout->pair_w * window->stride_w;
    const int32_t left = x * window->stride_w - window->pad_left;
    int32_t iy = y * window->stride_h - window->pad_top;

    for (int32_t row = 0; row < layout->rows; ++row, ++iy, packed += layout->row_step) {
        const int32_t jy = iy + below;
        const int8_t *const a =
            iy >= 0 && iy < shape.h ? input + iy * shape.w * shape.c : zeros;
        const int8_t *const b =
            jy >= 0 && jy < shape.h ? input + jy * shape.w * shape.c : zeros;
        for (int32_t phase = 0; phase < layout->phases; ++phase) {
            pack_row(a, b, zeros, (uint32_t)shape.w, shape.c, channels, window->stride_w,
                     left + phase, aside, layout->columns, layout->channel_step,
                     packed + phase * layout->phase_step);
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
