/* Packing for the dual-pixel convolutions: two int8 activations into one word.
 *
 * About 6 cycles a word on Cortex-M4 and some 30 a position: four channels of each pixel are
 * loaded at once, and every byte of the first is sign-extended onto the byte of the second
 * shifted up by 23.
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
#if SNN_DUAL_ASSEMBLY
    int32_t fours = channels >> 2;
    if (fours > 0) {
        int32_t low, high, word, other;
        __asm volatile("1:\n"
                       "ldr    %[low], [%[a]], #4\n"
                       "ldr    %[high], [%[b]], #4\n"
                       "sxtb   %[word], %[low]\n"
                       "sxtb   %[other], %[high]\n"
                       "add    %[word], %[word], %[other], lsl #23\n"
                       "str    %[word], [%[to]]\n"
                       "sxtb   %[word], %[low], ror #8\n"
                       "sxtb   %[other], %[high], ror #8\n"
                       "add    %[word], %[word], %[other], lsl #23\n"
                       "str    %[word], [%[to], %[step]]\n"
                       "sxtb   %[word], %[low], ror #16\n"
                       "sxtb   %[other], %[high], ror #16\n"
                       "add    %[word], %[word], %[other], lsl #23\n"
                       "str    %[word], [%[to], %[step], lsl #1]\n"
                       "asr    %[low], %[low], #24\n"
                       "asr    %[high], %[high], #24\n"
                       "add    %[word], %[low], %[high], lsl #23\n"
                       "str    %[word], [%[to], %[step3]]\n"
                       "subs   %[fours], %[fours], #1\n"
                       "add    %[to], %[to], %[step], lsl #2\n"
                       "bne    1b\n"
                       : [a] "+r"(a), [b] "+r"(b), [to] "+r"(to), [fours] "+r"(fours),
                         [low] "=&r"(low), [high] "=&r"(high), [word] "=&r"(word),
                         [other] "=&r"(other)
                       : [step] "r"(4 * step), [step3] "r"(12 * step)
                       : "cc", "memory");
        channels &= 3;
    }
#endif
    for (; channels > 0; --channels, to += step) {
        *to = join(*a++, *b++);
    }
}

/* Positions that all lie inside or all outside the image; outside, the step is 0. */
#if defined(__GNUC__)
__attribute__((noinline))
#endif
static void pack_run(const int8_t *a, const int8_t *b, int32_t step_a, int32_t step_b,
                     int32_t count, int32_t channels, int32_t step, int32_t *to)
{
    if (channels == 1) { /* first layers: no use in setting up a loop for each position */
        for (; count > 0; --count, a += step_a, b += step_b) {
            *to++ = join(*a, *b);
        }
        return;
    }
    for (; count > 0; --count, a += step_a, b += step_b, ++to) {
        pack_position(a, b, channels, step, to);
    }
}

/* How many of `count` columns ix, ix + stride, … lie on the same side of the image's edges. */
static int32_t same_side(int32_t ix, int32_t stride, int32_t width, int32_t count)
{
    int32_t run = count;
    if (ix < 0) {
        run = (-ix + stride - 1) / stride;
    } else if (ix < width) {
        run = (width - ix + stride - 1) / stride;
    }
    return run < count ? run : count;
}

/* One row and phase: columns ix, ix + stride, … of two rows of the image, NULL for none. */
static void pack_row(const int8_t *a, const int8_t *b, const int8_t *zeros, int32_t width,
                     int32_t pixel, int32_t channels, int32_t stride, int32_t ix, int32_t aside,
                     int32_t count, int32_t step, int32_t *to)
{
    while (count > 0) {
        const int32_t jx = ix + aside;
        const int32_t run_a = same_side(ix, stride, width, count);
        const int32_t run_b = aside ? same_side(jx, stride, width, count) : run_a;
        const int32_t run = run_a < run_b ? run_a : run_b;
        const int in_a = a && ix >= 0 && ix < width;
        const int in_b = b && jx >= 0 && jx < width;
        pack_run(in_a ? a + ix * pixel : zeros, in_b ? b + jx * pixel : zeros,
                 in_a ? stride * pixel : 0, in_b ? stride * pixel : 0, run, channels, step, to);
        ix += run * stride;
        count -= run;
        to += run;
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
            iy >= 0 && iy < shape.h ? input + iy * shape.w * shape.c : NULL;
        const int8_t *const b =
            jy >= 0 && jy < shape.h ? input + jy * shape.w * shape.c : NULL;
        for (int32_t phase = 0; phase < layout->phases; ++phase) {
            pack_row(a, b, zeros, shape.w, shape.c, channels, window->stride_w,
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
