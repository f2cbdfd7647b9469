/* Dense convolution, two pixels in one multiply (snn_dual.h says how).
 *
 * Four sums: two packed words (four pixels of the output) by two output channels. A filter tap
 * loads two words and two weights for 8 multiply-accumulates; taps that are neighbours along a
 * row share a word: a row of three taps loads four words instead of six. On Cortex-M4 that is
 * 9 cycles for one tap alone, 17 for two, 25 for three. Weights stay int8, ordered
 * [channel pair][block][input channel][tap][2].
 *
 * A block is all input channels of all filter rows with the same one to three taps along the row;
 * its code is unrolled and entered where the number of channels asks for. Packed rows stand
 * SNN_DUAL_DENSE_ROW words apart, so that steps are immediates and all registers are left to sums.
 */
#include <string.h>

#include "snn_dual.h"
#include "snn_sparse.h"

enum { TILE = 2, MOST_TAPS = 3 };

typedef struct {
    int32_t offset; /* bytes from the tile's base to the block's first word */
    int32_t bytes;  /* of weights, for one channel pair */
    uint32_t jump;  /* where its code is entered, or its taps in C; 0 behind the last */
} snn_dual_block;

/* Blocks of one window, without the last. */
static int32_t count_blocks(const snn_window *window)
{
    const int32_t reach = (window->kernel_w - 1) * window->dilation_w;
    const int32_t single = window->dilation_w > 1;
    const int32_t phases = window->stride_w < reach + 1 ? window->stride_w : reach + 1;
    return single ? window->kernel_w : phases * (window->kernel_w / phases / 3 + 1);
}

SNN_SMALL int32_t snn_convolve_dual_s8_get_scratch_size(snn_shape input_shape,
                                                        const snn_window *window,
                                                        const snn_dense_dual *weights,
                                                        snn_shape output_shape)
{
    const snn_dual_layout layout =
        snn_dual_layout_of(input_shape.c, window, output_shape, weights->band, weights->segment,
                           SNN_DUAL_PHASES);
    return layout.words * 4 + (output_shape.c + 2) * (int32_t)sizeof(snn_dual_channel) +
           (count_blocks(window) + 1) * (int32_t)sizeof(snn_dual_block) +
           ((input_shape.c + 3) & ~3);
}

#if SNN_DSP

/* r0 packed word, r1 r2 words, r3 r4 weights, sums r5:r6 (channel 0, word 0), r7:r8 (channel 0,
 * word 1), r9:r10 (channel 1, word 0), r11:r12 (channel 1, word 1), lr weights.
 * Stack: 0 base, 4 next channel, 8 output, 12 channels, 16 pair, 20 blocks, 24 next block,
 * 28 where the block's weights end. */
#define WEIGHTS             \
    "ldrsb  r3, [lr], #1\n" \
    "ldrsb  r4, [lr], #1\n"
#define MULTIPLY(first, second)                  \
    "smlal  r5, r6, " first ", r3\n"             \
    "smlal  r7, r8, " second ", r3\n"            \
    "smlal  r9, r10, " first ", r4\n"            \
    "smlal  r11, r12, " second ", r4\n"
#define ROW1                  \
    "ldr    r1, [r0], #48\n"  \
    "ldr    r2, [r0, #-44]\n" \
    WEIGHTS MULTIPLY("r1", "r2")
#define ROW2 ROW1 "ldr r1, [r0, #-40]\n" WEIGHTS MULTIPLY("r2", "r1")
#define ROW3 ROW2 "ldr r2, [r0, #-36]\n" WEIGHTS MULTIPLY("r1", "r2")
#define LOOP(name)            \
    "ldr    r1, [sp, #28]\n"  \
    "cmp    lr, r1\n"         \
    "bne.w  " name "\n"       \
    "ldr    r1, [sp, #24]\n"  \
    "b      2b\n"
/* With NULL it returns where the code for one tap starts; two and three taps follow. */
__attribute__((naked, noinline)) static uintptr_t run_tile(const snn_dual_tile *tile)
{
    (void)tile;
    __asm volatile(
        ".syntax unified\n"
        "cmp    r0, #0\n"
        "beq.w  9f\n"
        "push   {r4-r11, lr}\n"
        "sub    sp, sp, #32\n"
        "ldr    lr, [r0, #20]\n"
        "ldr    r6, [r0, #24]\n"
        "ldm    r0, {r1-r5}\n"
        "mov    r0, sp\n"
        "stm    r0, {r1-r6}\n"
        "1:\n" /* a pair of channels */
        "movs   r5, #0\n"
        "movs   r6, #0\n"
        "movs   r7, #0\n"
        "mov    r8, r5\n"
        "mov    r9, r5\n"
        "mov    r10, r5\n"
        "mov    r11, r5\n"
        "mov    r12, r5\n"
        "ldr    r1, [sp, #20]\n"
        "2:\n" /* a block */
        "ldm    r1!, {r2, r3, r4}\n"
        "cmp    r4, #0\n"
        "beq.w  8f\n"
        "str    r1, [sp, #24]\n"
        "ldr    r0, [sp, #0]\n"
        "add    r3, r3, lr\n"
        "str    r3, [sp, #28]\n"
        "add    r0, r0, r2\n"
        "bx     r4\n"
        ".balign 4\n"
        "3:\n"
        ".rept 8\n" ROW1 ".endr\n" LOOP("3b")
        ".balign 4\n"
        "4:\n"
        ".rept 4\n" ROW2 ".endr\n" LOOP("4b")
        ".balign 4\n"
        "5:\n"
        ".rept 4\n" ROW3 ".endr\n" LOOP("5b")
        "8:\n" /* eight sums to eight outputs */
        "ldr    r1, [sp, #4]\n"
        "ldm    r1, {r0, r2, r3}\n"
        "cmp    r2, #0\n"
        "bmi.w  10f\n"
        SNN_DUAL_FINISH_FAST("r5", "r6") SNN_DUAL_FINISH_FAST("r7", "r8")
        "11:\n"
        "ldr    r1, [sp, #4]\n"
        "adds   r1, r1, #24\n"
        "ldm    r1, {r0, r2, r3}\n"
        "adds   r1, r1, #24\n"
        "str    r1, [sp, #4]\n"
        "cmp    r2, #0\n"
        "bmi.w  12f\n"
        SNN_DUAL_FINISH_FAST("r9", "r10") SNN_DUAL_FINISH_FAST("r11", "r12")
        "13:\n"
        "ldr    r0, [sp, #8]\n"
        "ldr    r3, [sp, #12]\n"
        "ldr    r4, [sp, #16]\n"
        "ldr    r1, [sp, #4]\n"
        "ldr    r2, [r1, #-12]\n"
        "add    r4, r4, r0\n"
        "strb   r5, [r0]\n"
        "strb   r7, [r0, r3]\n"
        "strb   r6, [r4]\n"
        "strb   r8, [r4, r3]\n"
        "cbz    r2, 7f\n" /* an odd number of channels: the last stands alone */
        "adds   r0, r0, #1\n"
        "adds   r4, r4, #1\n"
        "strb   r9, [r0]\n"
        "strb   r11, [r0, r3]\n"
        "strb   r10, [r4]\n"
        "strb   r12, [r4, r3]\n"
        "adds   r0, r0, #1\n"
        "ldr    r2, [r1, #12]\n"
        "str    r0, [sp, #8]\n"
        "cmp    r2, #0\n"
        "bne.w  1b\n"
        "7:\n"
        "add    sp, sp, #32\n"
        "pop    {r4-r11, pc}\n"
        "10:\n" /* the exact way */
        "ldr    r4, [r1, #20]\n"
        "rsb    r2, r2, #0\n"
        SNN_DUAL_FINISH_EXACT("r5", "r6") SNN_DUAL_FINISH_EXACT("r7", "r8")
        "b      11b\n"
        "12:\n"
        "ldr    r4, [r1, #-4]\n"
        "rsb    r2, r2, #0\n"
        SNN_DUAL_FINISH_EXACT("r9", "r10") SNN_DUAL_FINISH_EXACT("r11", "r12")
        "b      13b\n"
        "9:\n"
        "adr.w  r0, 3b\n"
        "adds   r0, r0, #1\n"
        "bx     lr\n");
}

/* Bytes of a row's code with one, two and three taps; rows that are unrolled; bytes behind. */
static const uint8_t row_bytes[MOST_TAPS] = {32, 60, 88};
static const uint8_t unrolled[MOST_TAPS] = {8, 4, 4};
enum { LOOP_BYTES = 12 };

static uint32_t entrance(int32_t taps, int32_t rows)
{
    uintptr_t start = run_tile(NULL);
    for (int32_t i = 1; i < taps; ++i) {
        start += (uintptr_t)((row_bytes[i - 1] * unrolled[i - 1] + LOOP_BYTES + 3) & ~3);
    }
    const int32_t first = (unrolled[taps - 1] - rows % unrolled[taps - 1]) % unrolled[taps - 1];
    return (uint32_t)(start + (uintptr_t)(first * row_bytes[taps - 1]));
}

#else

static uint32_t entrance(int32_t taps, int32_t rows)
{
    (void)rows;
    return (uint32_t)taps;
}

static uintptr_t run_tile(const snn_dual_tile *tile)
{
    const int8_t *weight = (const int8_t *)tile->stream;
    int8_t *output = tile->output;
    const snn_dual_channel *channel = tile->channel;
    for (; channel->jump; channel += 2, output += 2) {
        int64_t sum[2][TILE] = {{0}};
        for (const snn_dual_block *block = tile->blocks; block->jump; ++block) {
            const int32_t *packed = tile->base + block->offset / 4;
            const int32_t taps = (int32_t)block->jump;
            for (int32_t i = block->bytes / (2 * taps); i > 0; --i) {
                for (int32_t tap = 0; tap < taps; ++tap, weight += 2) {
                    for (int32_t word = 0; word < TILE; ++word) {
                        sum[0][word] += (int64_t)packed[tap + word] * weight[0];
                        sum[1][word] += (int64_t)packed[tap + word] * weight[1];
                    }
                }
                packed += SNN_DUAL_DENSE_ROW;
            }
        }
        for (int32_t i = 0; i < 2 && channel[i].jump; ++i) {
            for (int32_t word = 0; word < TILE; ++word) {
                int8_t *to = output + word * tile->channels + i;
                const int64_t both = sum[i][word];
                to[0] = (int8_t)snn_dual_finish(snn_dual_first(both), channel + i);
                to[tile->pair] = (int8_t)snn_dual_finish(snn_dual_second(both), channel + i);
            }
        }
        if (!channel[1].jump) {
            break;
        }
    }
    return 0;
}

#endif

SNN_SMALL static void prepare(const snn_dense_dual *weights, int32_t channels,
                              const snn_quant *quant, snn_dual_channel *to)
{
    for (int32_t c = 0; c < channels; ++c, ++to) {
        snn_dual_prepare(to, weights->bias[c], weights->multiplier[c], weights->shift[c], quant);
        to->jump = 1;
    }
    memset(to, 0, 2 * sizeof *to);
}

/* The taps of a filter row as blocks, phase by phase, at most three at a time. */
SNN_SMALL static void plan(const snn_window *window, const snn_dual_layout *layout, int32_t input_c,
                           snn_dual_block *to)
{
    const int32_t lanes = input_c * window->kernel_h;
    for (int32_t phase = 0; phase < layout->phases; ++phase) {
        int32_t run = 0; /* neighbouring taps not yet in a block */
        int32_t next = 0;
        for (int32_t kx = 0; kx <= window->kernel_w; ++kx) {
            const int32_t column = kx * window->dilation_w;
            const int32_t live = kx < window->kernel_w && column % window->stride_w == phase;
            const int32_t at = column / window->stride_w;
            if (kx < window->kernel_w && !live) {
                continue;
            }
            if (run && (!live || at != next || run == MOST_TAPS)) {
                to->offset = 4 * (phase * layout->phase_step + next - run);
                to->bytes = 2 * run * lanes;
                to->jump = entrance(run, lanes);
                ++to;
                run = 0;
            }
            next = at + 1;
            ++run;
        }
    }
    memset(to, 0, sizeof *to);
}

SNN_SMALL snn_status snn_convolve_dual_s8(const int8_t *input, snn_shape input_shape,
                                          const snn_window *window, const snn_dense_dual *weights,
                                          const snn_quant *quant, int8_t *output,
                                          snn_shape output_shape, void *scratch)
{
    const snn_dual_layout layout =
        snn_dual_layout_of(input_shape.c, window, output_shape, weights->band, weights->segment,
                           SNN_DUAL_PHASES);
    snn_dual_channel *const channels = scratch;
    snn_dual_block *const blocks = (snn_dual_block *)(channels + output_shape.c + 2);
    int32_t *const packed = (int32_t *)(blocks + count_blocks(window) + 1);
    int8_t *const zeros = (int8_t *)(packed + layout.words);
    snn_dual_tile tile = {
        .channel = channels,
        .channels = output_shape.c,
        .pair = (layout.pair_h * output_shape.w + layout.pair_w) * output_shape.c,
        .stream = (const uint8_t *)weights->weights,
        .blocks = blocks,
    };

    if (weights->segment < TILE || weights->segment > layout.extent_w || weights->band < 1 ||
        weights->band > layout.extent_h || layout.columns > SNN_DUAL_DENSE_ROW) {
        return SNN_BAD_ARGUMENT;
    }
    prepare(weights, output_shape.c, quant, channels);
    plan(window, &layout, input_shape.c, blocks);
    memset(zeros, -quant->input_offset, (size_t)input_shape.c);

    for (int32_t band = 0; band < layout.extent_h; band += weights->band) {
        const int32_t y =
            band > layout.extent_h - weights->band ? layout.extent_h - weights->band : band;
        for (int32_t segment = 0; segment < layout.extent_w; segment += weights->segment) {
            const int32_t x = segment > layout.extent_w - weights->segment
                                  ? layout.extent_w - weights->segment
                                  : segment;
            snn_dual_pack(input, input_shape, input_shape.c, window, &layout, y, x, zeros,
                          packed);
            for (int32_t row = 0; row < weights->band; ++row) {
                int8_t *const to = output + ((y + row) * output_shape.w + x) * output_shape.c;
                const int32_t *const from = packed + snn_dual_row(&layout, row * window->stride_h);
                for (int32_t i = 0; i < weights->segment; i += TILE) {
                    const int32_t at = i > weights->segment - TILE ? weights->segment - TILE : i;
                    tile.base = from + at;
                    tile.output = to + at * output_shape.c;
                    run_tile(&tile);
                }
            }
        }
    }
    snn_clamp_outputs(output, output_shape.h * output_shape.w * output_shape.c, quant);
    return SNN_OK;
}
