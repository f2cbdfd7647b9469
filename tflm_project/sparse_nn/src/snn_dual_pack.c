/* Packing for the dual-pixel convolutions: two int8 activations into one word.
 *
 * A block is what is packed alike: rows, and positions along them, of which both pixels lie on one
 * side of the image's edges; a pixel outside is read from `zeros`, which it doesn't leave. Channels
 * of a position are packed four at a time, 4.25 cycles a word on Cortex-M4, what is left over
 * channel by channel along the row, 9 cycles a word. Rows are found, and stood still at, by the
 * assembly itself: a row costs about 25 cycles, a position 13.
 */
#include "snn_dual.h"

/* A block. Both pixels move on by steps of their own: 0 outside the image. Fields are at fixed
 * places for assembly; the first three move on by the next three from row to row. */
typedef struct {
    const int8_t *first;      /*  0 */
    const int8_t *second;     /*  4 */
    int32_t *to;              /*  8 */
    int32_t row_first;        /* 12: from row to row */
    int32_t row_second;       /* 16 */
    int32_t row_to;           /* 20: bytes */
    int32_t rows;             /* 24 */
    int32_t step_first;       /* 28: from position to position, less the channels where by fours */
    int32_t step_second;      /* 32 */
    int32_t count;            /* 36: positions */
    int32_t lane;             /* 40: bytes from channel to channel; the next two by fours alone */
    int32_t lane3;            /* 44: three times that */
    int32_t back;             /* 48: from behind the last word of a position to the next one */
    int32_t fours;            /* 52 */
} block;

#if SNN_DSP

/* Row by row: r0 r1 the two pixels, r2 the words; the block's go on to the next row. */
#define ROW                                  \
    "ldr    r3, [sp]\n"                      \
    "ldm    r3, {r0, r1, r2, r4, r5, r6}\n"  \
    "add    r4, r4, r0\n"                    \
    "add    r5, r5, r1\n"                    \
    "add    r6, r6, r2\n"                    \
    "stm    r3, {r4, r5, r6}\n"
#define NEXT_ROW                             \
    "ldr    r3, [sp]\n"                      \
    "ldr    r4, [r3, #24]\n"                 \
    "subs   r4, r4, #1\n"                    \
    "str    r4, [r3, #24]\n"                 \
    "bne    1b\n"

/* Loads in a row; the pointers stand one byte before. */
#define FOUR_CHANNELS                        \
    "ldrsb  r4, [r0, #1]\n"                  \
    "ldrsb  r5, [r1, #1]\n"                  \
    "ldrsb  r6, [r0, #2]\n"                  \
    "ldrsb  lr, [r1, #2]\n"                  \
    "add    r4, r4, r5, lsl #23\n"           \
    "add    r6, r6, lr, lsl #23\n"           \
    "str    r4, [r2]\n"                      \
    "str    r6, [r2, r7]\n"                  \
    "ldrsb  r4, [r0, #3]\n"                  \
    "ldrsb  r5, [r1, #3]\n"                  \
    "ldrsb  r6, [r0, #4]!\n"                 \
    "ldrsb  lr, [r1, #4]!\n"                 \
    "add    r4, r4, r5, lsl #23\n"           \
    "add    r6, r6, lr, lsl #23\n"           \
    "str    r4, [r2, r7, lsl #1]\n"          \
    "str    r6, [r2, r8]\n"                  \
    "add    r2, r2, r7, lsl #2\n"

/* Four channels at a time. */
__attribute__((naked, noinline)) static void pack_fours(block *at)
{
    (void)at;
    __asm volatile(
        ".syntax unified\n"
        "ldr    r1, [r0, #52]\n"
        "push   {r0, r1, r4-r11, lr}\n"
        "1:\n"
        ROW
        "adds   r3, r3, #28\n"
        "ldm    r3, {r9, r10, r12}\n"
        "ldr    r7, [r3, #12]\n"
        "ldr    r8, [r3, #16]\n"
        "ldr    r11, [r3, #20]\n"
        "2:\n"
        "ldr    r3, [sp, #4]\n"
        "lsrs   r3, r3, #1\n"
        "bcs    4f\n"
        "3:\n" FOUR_CHANNELS
        "subs   r3, r3, #1\n"
        "4:\n" FOUR_CHANNELS
        "bne    3b\n"
        "add    r0, r0, r9\n"
        "add    r1, r1, r10\n"
        "add    r2, r2, r11\n"
        "subs   r12, r12, #1\n"
        "bne    2b\n"
        NEXT_ROW
        "pop    {r0, r1, r4-r11, pc}\n");
}

#define POSITION                             \
    "ldrsb  r4, [r0]\n"                      \
    "ldrsb  r5, [r1]\n"                      \
    "add    r0, r0, r9\n"                    \
    "add    r1, r1, r10\n"                   \
    "add    r4, r4, r5, lsl #23\n"           \
    "str    r4, [r2], #4\n"

/* One channel, two positions at a time. */
__attribute__((naked, noinline)) static void pack_lane(block *at)
{
    (void)at;
    __asm volatile(
        ".syntax unified\n"
        "push   {r0, r4-r10, lr}\n"
        "1:\n"
        ROW
        "ldr    r9, [r3, #28]\n"
        "ldr    r10, [r3, #32]\n"
        "ldr    r3, [r3, #36]\n"
        "lsrs   r3, r3, #1\n"
        "bcs    4f\n"
        "3:\n" POSITION
        "subs   r3, r3, #1\n"
        "4:\n" POSITION
        "bne    3b\n"
        NEXT_ROW
        "pop    {r0, r4-r10, pc}\n");
}

static void pack_block(block *at, int32_t channels)
{
    /* A row of one channel is as good as a position of many. */
    if (channels == 1 && at->step_first == 1 && at->step_second == 1) {
        channels = at->count;
        at->count = 1;
        at->lane = 4;
    }
    const int8_t *const first = at->first;
    const int8_t *const second = at->second;
    int32_t *const to = at->to;
    const int32_t rows = at->rows;
    int32_t channel = channels & ~3;
    if (channel > 0) {
        at->fours = channels >> 2;
        at->first = first - 1;
        at->second = second - 1;
        at->step_first -= channel;
        at->step_second -= channel;
        at->lane3 = 3 * at->lane;
        at->back = 4 - at->lane * channel;
        pack_fours(at);
        at->step_first += channel;
        at->step_second += channel;
    }
    for (; channel < channels; ++channel) {
        at->first = first + channel;
        at->second = second + channel;
        at->to = to + channel * (at->lane >> 2);
        at->rows = rows;
        pack_lane(at);
    }
}

#else

static void pack_block(block *at, int32_t channels)
{
    for (int32_t row = 0; row < at->rows; ++row) {
        for (int32_t channel = 0; channel < channels; ++channel) {
            const int8_t *first = at->first + row * at->row_first + channel;
            const int8_t *second = at->second + row * at->row_second + channel;
            int32_t *const to = at->to + (row * at->row_to + channel * at->lane) / 4;
            for (int32_t i = 0; i < at->count; ++i) {
                to[i] = (int32_t)((uint32_t)first[i * at->step_first] +
                                  ((uint32_t)second[i * at->step_second] << SNN_DUAL_SHIFT));
            }
        }
    }
}

#endif

/* How many of `count` places at, at + step, … lie on the same side of an image's edges. */
static int32_t same_side(int32_t at, int32_t step, int32_t size, int32_t count)
{
    const int32_t last = at + (count - 1) * step;
    if (last < 0 || at >= size || (at >= 0 && last < size)) {
        return count;
    }
    return ((at < 0 ? 0 : size) - at + step - 1) / step;
}

void snn_dual_pack(const int8_t *input, snn_shape shape, int32_t channels,
                   const snn_window *window, const snn_dual_layout *layout, int32_t y, int32_t x,
                   const int8_t *zeros, int32_t *packed)
{
    const int32_t below = layout->pair_h * window->stride_h;
    const int32_t aside = layout->pair_w * window->stride_w;
    const int32_t step = window->stride_w * shape.c;
    const int32_t line = shape.w * shape.c;
    const int32_t turns = layout->turns;
    const int32_t top = y * window->stride_h - window->pad_top;

    for (int32_t phase = 0; phase < layout->phases; ++phase) {
        int32_t *column = packed + phase * layout->phase_step;
        int32_t ix = x * window->stride_w - window->pad_left + phase;
        int32_t left = snn_dual_columns(layout, window, phase);
        while (left > 0) {
            const int32_t jx = ix + aside;
            const int32_t ix_inside = ix >= 0 && ix < shape.w;
            const int32_t jx_inside = jx >= 0 && jx < shape.w;
            const int32_t count = same_side(
                jx, window->stride_w, shape.w, same_side(ix, window->stride_w, shape.w, left));
            for (int32_t turn = 0; turn < turns; ++turn) {
                int32_t *to = column + turn * layout->turn_rows * layout->row_step;
                int32_t iy = top + turn;
                int32_t rows_left = layout->turn_rows;
                while (rows_left > 0) {
                    const int32_t jy = iy + below;
                    const int32_t rows = same_side(
                        jy, turns, shape.h, same_side(iy, turns, shape.h, rows_left));
                    const int in_first = ix_inside && iy >= 0 && iy < shape.h;
                    const int in_second = jx_inside && jy >= 0 && jy < shape.h;
                    block at; /* field by field: an initializer would clear it first */
                    at.first = in_first ? input + iy * line + ix * shape.c : zeros;
                    at.second = in_second ? input + jy * line + jx * shape.c : zeros;
                    at.to = to;
                    at.row_first = in_first ? turns * line : 0;
                    at.row_second = in_second ? turns * line : 0;
                    at.row_to = 4 * layout->row_step;
                    at.rows = rows;
                    at.step_first = in_first ? step : 0;
                    at.step_second = in_second ? step : 0;
                    at.count = count;
                    at.lane = 4 * layout->channel_step;
                    pack_block(&at, channels);
                    to += rows * layout->row_step;
                    iy += rows * turns;
                    rows_left -= rows;
                }
            }
            ix += count * window->stride_w;
            column += count;
            left -= count;
        }
    }
}
