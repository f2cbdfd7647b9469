/* Packing for the dual-pixel convolutions: two int8 activations into one word.
 *
 * Four channels of each pixel are loaded at once; every byte of the second is sign-extended,
 * shifted up by 23, and the sign-extended byte of the first added: 6 cycles a word on Cortex-M4
 * and as many a position. Where a row leaves the image is found once for all rows.
 */
#include "snn_dual.h"

/* `count` positions of one run. Both pixels move on by a step of their own: 0 outside the image. */
typedef struct {
    const int8_t *first;
    const int8_t *second;
    int32_t step_first, step_second;
    int32_t count;
    int32_t lane; /* words from one channel to the next */
} run;

/* One channel of a run. */
static void pack_lane(const run *at, int32_t channel, int32_t *to)
{
    const int8_t *first = at->first + channel;
    const int8_t *second = at->second + channel;
    const int32_t step_first = at->step_first;
    const int32_t step_second = at->step_second;
    for (int32_t *const end = to + at->count; to < end; ++to) {
        *to = (int32_t)((uint32_t)*first + ((uint32_t)*second << SNN_DUAL_SHIFT));
        first += step_first;
        second += step_second;
    }
}

#if SNN_DUAL_ASSEMBLY

/* What the loop below keeps in registers, in their order. */
typedef struct {
    const int8_t *first;
    int32_t second; /* from the first pixel, in bytes */
    int32_t *to;
    int32_t lane, lane3; /* bytes from one channel to the next, and to the third */
    int32_t step;        /* from the last channel of a position to the first of the next */
    int32_t aside;       /* what `second` changes from position to position */
    int32_t back;        /* from behind the last word of a position to the next position */
    int32_t count;
    int32_t fours;
} quads;

#define WORD(turn, place)                        \
    "sxtb   r6, r5, ror #" turn "\n"             \
    "lsl    r6, r6, #23\n"                       \
    "sxtab  r6, r6, r4, ror #" turn "\n"         \
    "str    r6, [r2" place "]\n"

#define FOUR_CHANNELS                            \
    "ldr    r5, [r0, r1]\n"                      \
    "ldr    r4, [r0], #4\n"                      \
    WORD("0", "") WORD("8", ", r7") WORD("16", ", r7, lsl #1") \
    "asrs   r5, r5, #24\n"                       \
    "asrs   r4, r4, #24\n"                       \
    "add    r6, r4, r5, lsl #23\n"               \
    "str    r6, [r2, r8]\n"                      \
    "add    r2, r2, r7, lsl #2\n"

/* All positions of a run, four channels at a time. */
__attribute__((naked, noinline)) static void pack_quads(const quads *at)
{
    (void)at;
    __asm volatile(
        ".syntax unified\n"
        "push   {r4-r11, lr}\n"
        "ldm    r0, {r0, r1, r2, r7, r8, r9, r10, r11, r12, lr}\n"
        "1:\n"
        "lsrs   r3, lr, #1\n"
        "adc    r3, r3, #0\n"
        "bcs    3f\n"
        "2:\n" FOUR_CHANNELS
        "3:\n" FOUR_CHANNELS
        "subs   r3, r3, #1\n"
        "bne    2b\n"
        "add    r0, r0, r9\n"
        "add    r1, r1, r10\n"
        "add    r2, r2, r11\n"
        "subs   r12, r12, #1\n"
        "bne    1b\n"
        "pop    {r4-r11, pc}\n");
}

#endif

static void pack_run(const run *at, int32_t channels, int32_t *to)
{
    int32_t channel = 0;
#if SNN_DUAL_ASSEMBLY
    const int32_t fours = channels >> 2;
    if (fours > 0) {
        channel = 4 * fours;
        const quads all = {
            .first = at->first,
            .second = (int32_t)((uintptr_t)at->second - (uintptr_t)at->first),
            .to = to,
            .lane = 4 * at->lane,
            .lane3 = 12 * at->lane,
            .step = at->step_first - channel,
            .aside = at->step_second - at->step_first,
            .back = 4 - 4 * at->lane * channel,
            .count = at->count,
            .fours = fours,
        };
        pack_quads(&all);
    }
#endif
    for (; channel < channels; ++channel) {
        pack_lane(at, channel, to + channel * at->lane);
    }
}

/* How many of `count` columns ix, ix + stride, … lie on the same side of the image's edges. */
static int32_t same_side(int32_t ix, int32_t stride, int32_t width, int32_t count)
{
    int32_t same = count;
    if (ix < 0) {
        same = (-ix + stride - 1) / stride;
    } else if (ix < width) {
        same = (width - ix + stride - 1) / stride;
    }
    return same < count ? same : count;
}

SNN_SMALL void snn_dual_pack(const int8_t *input, snn_shape shape, int32_t channels,
                             const snn_window *window, const snn_dual_layout *layout, int32_t y,
                             int32_t x, const int8_t *zeros, int32_t *packed)
{
    const int32_t below = layout->pair_h * window->stride_h;
    const int32_t aside = layout->pair_w * window->stride_w;
    const int32_t pixel = shape.c;
    const int32_t step = window->stride_w * pixel;
    const int32_t line = shape.w * pixel;
    const int32_t top = y * window->stride_h - window->pad_top;

    for (int32_t phase = 0; phase < layout->phases; ++phase) {
        int32_t *to = packed + phase * layout->phase_step;
        int32_t ix = x * window->stride_w - window->pad_left + phase;
        int32_t left = layout->columns;
        while (left > 0) {
            const int32_t jx = ix + aside;
            const int32_t same = same_side(ix, window->stride_w, shape.w, left);
            run at = {
                .count = same_side(jx, window->stride_w, shape.w, same),
                .lane = layout->channel_step,
            };
            for (int32_t row = 0; row < layout->rows; ++row) {
                const int32_t iy = top + row;
                const int32_t jy = iy + below;
                const int in_first = ix >= 0 && ix < shape.w && iy >= 0 && iy < shape.h;
                const int in_second = jx >= 0 && jx < shape.w && jy >= 0 && jy < shape.h;
                at.first = in_first ? input + iy * line + ix * pixel : zeros;
                at.second = in_second ? input + jy * line + jx * pixel : zeros;
                at.step_first = in_first ? step : 0;
                at.step_second = in_second ? step : 0;
                pack_run(&at, channels, to + row * layout->row_step);
            }
            ix += at.count * window->stride_w;
            left -= at.count;
            to += at.count;
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
