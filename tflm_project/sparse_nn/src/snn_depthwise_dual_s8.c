/* Depthwise 3×3 convolution, two pixels in one multiply (snn_dual.h says how).
 *
 * A tile is three packed words, six pixels of one channel. A row of the filter loads its three
 * weights once and every packed word once: with stride 1 five words for nine SMLAL, 19 cycles on
 * Cortex-M4 for 18 multiply-accumulates; with stride 2 seven words, 22 cycles. Channels are
 * packed and computed in groups, so that scratch stays small whatever the depth. A channel of a
 * tile costs about 125 cycles with stride 1, 21 an output, requantization included.
 */
#include <string.h>

#include "snn_dual.h"
#include "snn_sparse.h"

enum { TILE = 3, ROW_BYTES = 4 * SNN_DUAL_DEPTHWISE_ROW };

SNN_SMALL int32_t snn_depthwise_dual_s8_get_scratch_size(snn_shape input_shape,
                                                         const snn_window *window,
                                                         const snn_depthwise_dual *weights,
                                                         snn_shape output_shape)
{
    const snn_dual_layout layout =
        snn_dual_layout_of(weights->group, window, output_shape, weights->band, weights->segment,
                           SNN_DUAL_CHANNELS);
    (void)input_shape;
    return layout.words * 4 + (weights->group + 1) * (int32_t)sizeof(snn_dual_channel) +
           ((weights->group + 3) & ~3) + 2 * TILE * weights->group;
}

#if SNN_DSP

/* r0 packed words of the channel, r1 r11 r12 activations, r2 r3 r4 weights of a row, sums r5:r6,
 * r7:r8, r9:r10, lr weights. The first three products of a channel clear the sums.
 * Stack: 0 base, 4 next channel, 8 output, 12 channels, 16 pair, 20 step. */
#define STR2(x) #x
#define STR(x) STR2(x)
#define WORD(row, lane, i) "[r0, #(" STR(row) " + " STR(lane) ") * 64 + " STR(i) " * 4]\n"
#define WEIGHTS             \
    "ldrsb  r2, [lr], #1\n" \
    "ldrsb  r3, [lr], #1\n" \
    "ldrsb  r4, [lr], #1\n"
#define ROW_STRIDE1(first, row)         \
    WEIGHTS                             \
    "ldr    r1, " WORD(row, 0, 0)       \
    "ldr    r11, " WORD(row, 0, 1)      \
    "ldr    r12, " WORD(row, 0, 2)      \
    first "  r5, r6, r1, r2\n"          \
    first "  r7, r8, r11, r2\n"         \
    first "  r9, r10, r12, r2\n"        \
    "smlal  r5, r6, r11, r3\n"          \
    "smlal  r7, r8, r12, r3\n"          \
    "smlal  r5, r6, r12, r4\n"          \
    "ldr    r1, " WORD(row, 0, 3)       \
    "ldr    r11, " WORD(row, 0, 4)      \
    "smlal  r9, r10, r1, r3\n"          \
    "smlal  r7, r8, r1, r4\n"           \
    "smlal  r9, r10, r11, r4\n"
#define ROW_STRIDE2(first, row)         \
    WEIGHTS                             \
    "ldr    r1, " WORD(row, 0, 0)       \
    "ldr    r11, " WORD(row, 0, 1)      \
    "ldr    r12, " WORD(row, 0, 2)      \
    first "  r5, r6, r1, r2\n"          \
    first "  r7, r8, r11, r2\n"         \
    first "  r9, r10, r12, r2\n"        \
    "smlal  r5, r6, r11, r4\n"          \
    "smlal  r7, r8, r12, r4\n"          \
    "ldr    r1, " WORD(row, 0, 3)       \
    "ldr    r11, " WORD(row, 1, 0)      \
    "ldr    r12, " WORD(row, 1, 1)      \
    "smlal  r9, r10, r1, r4\n"          \
    "ldr    r1, " WORD(row, 1, 2)       \
    "smlal  r5, r6, r11, r3\n"          \
    "smlal  r7, r8, r12, r3\n"          \
    "smlal  r9, r10, r1, r3\n"
#define TILE_FUNCTION(rows)              \
    ".syntax unified\n"                  \
    "push   {r4-r11, lr}\n"              \
    "sub    sp, sp, #24\n"               \
    "ldr    lr, [r0, #20]\n"             \
    "ldr    r6, [r0, #28]\n"             \
    "ldm    r0, {r1-r5}\n"               \
    "mov    r0, sp\n"                    \
    "stm    r0, {r1-r6}\n"               \
    "mov    r0, r1\n"                    \
    "b      2f\n"                        \
    ".balign 4\n"                        \
    "1:\n"                               \
    "ldr    r0, [sp, #0]\n"              \
    "ldr    r1, [sp, #20]\n"             \
    "add    r0, r0, r1\n"                \
    "str    r0, [sp, #0]\n"              \
    "2:\n"                               \
    rows                                 \
    "ldr    r1, [sp, #4]\n"              \
    "ldm    r1, {r0, r2, r3}\n"          \
    "ldr    r11, [r1, #36]\n"            \
    "adds   r1, r1, #24\n"               \
    "str    r1, [sp, #4]\n"              \
    "cmp    r2, #0\n"                    \
    "bmi.w  5f\n"                        \
    SNN_DUAL_FINISH_FAST("r5", "r6")     \
    SNN_DUAL_FINISH_FAST("r7", "r8")     \
    SNN_DUAL_FINISH_FAST("r9", "r10")    \
    "4:\n"                               \
    "ldr    r0, [sp, #8]\n"              \
    "ldr    r3, [sp, #12]\n"             \
    "ldr    r4, [sp, #16]\n"             \
    "add    r4, r4, r0\n"                \
    "strb   r5, [r0]\n"                  \
    "strb   r7, [r0, r3]\n"              \
    "strb   r9, [r0, r3, lsl #1]\n"      \
    "strb   r6, [r4]\n"                  \
    "strb   r8, [r4, r3]\n"              \
    "strb   r10, [r4, r3, lsl #1]\n"     \
    "adds   r0, r0, #1\n"                \
    "str    r0, [sp, #8]\n"              \
    "cmp    r11, #0\n"                   \
    "bne    1b\n"                        \
    "add    sp, sp, #24\n"               \
    "pop    {r4-r11, pc}\n"              \
    "5:\n"                               \
    "ldr    r4, [r1, #-4]\n"             \
    "rsb    r2, r2, #0\n"                \
    SNN_DUAL_FINISH_EXACT("r5", "r6")    \
    SNN_DUAL_FINISH_EXACT("r7", "r8")    \
    SNN_DUAL_FINISH_EXACT("r9", "r10")   \
    "b      4b\n"

__attribute__((naked, noinline)) static void run_stride1(const snn_dual_tile *tile)
{
    (void)tile;
    __asm volatile(TILE_FUNCTION(ROW_STRIDE1("smull", 0) ROW_STRIDE1("smlal", 1)
                                     ROW_STRIDE1("smlal", 2)));
}

__attribute__((naked, noinline)) static void run_stride2(const snn_dual_tile *tile)
{
    (void)tile;
    __asm volatile(TILE_FUNCTION(ROW_STRIDE2("smull", 0) ROW_STRIDE2("smlal", 2)
                                     ROW_STRIDE2("smlal", 4)));
}

#else

static void run_stride(const snn_dual_tile *tile, int32_t stride)
{
    const int8_t *weight = (const int8_t *)tile->stream;
    const int32_t *base = tile->base;
    int8_t *output = tile->output;
    for (const snn_dual_channel *channel = tile->channel; channel->jump; ++channel, ++output) {
        int64_t sum[TILE] = {0};
        for (int32_t ky = 0; ky < 3; ++ky) {
            const int32_t *row = base + ky * stride * SNN_DUAL_DEPTHWISE_ROW;
            for (int32_t kx = 0; kx < 3; ++kx, ++weight) {
                const int32_t at = kx % stride * SNN_DUAL_DEPTHWISE_ROW + kx / stride;
                for (int32_t i = 0; i < TILE; ++i) {
                    sum[i] += (int64_t)row[at + i] * *weight;
                }
            }
        }
        for (int32_t i = 0; i < TILE; ++i) {
            int8_t *to = output + i * tile->channels;
            to[0] = (int8_t)snn_dual_finish(snn_dual_first(sum[i]), channel);
            to[tile->pair] = (int8_t)snn_dual_finish(snn_dual_second(sum[i]), channel);
        }
        base += tile->step / 4;
    }
}

static void run_stride1(const snn_dual_tile *tile) { run_stride(tile, 1); }
static void run_stride2(const snn_dual_tile *tile) { run_stride(tile, 2); }

#endif

/* Outputs of a row that is shorter than a tile go through a buffer. */
static void copy_narrow(const int8_t *from, int32_t count, int32_t words, int32_t channels,
                        int32_t pair, int8_t *to)
{
    for (int32_t i = 0; i < words; ++i) {
        memcpy(to + i * channels, from + i * count, (size_t)count);
        memcpy(to + i * channels + pair, from + (TILE + i) * count, (size_t)count);
    }
}

SNN_SMALL snn_status snn_depthwise_dual_s8(const int8_t *input, snn_shape input_shape,
                                           const snn_window *window,
                                           const snn_depthwise_dual *weights,
                                           const snn_quant *quant, int8_t *output,
                                           snn_shape output_shape, void *scratch)
{
    const snn_dual_layout layout =
        snn_dual_layout_of(weights->group, window, output_shape, weights->band, weights->segment,
                           SNN_DUAL_CHANNELS);
    const int32_t pair = (layout.pair_h * output_shape.w + layout.pair_w) * output_shape.c;
    snn_dual_channel *const records = scratch;
    int32_t *const packed = (int32_t *)(records + weights->group + 1);
    int8_t *const zeros = (int8_t *)(packed + layout.words);
    int8_t *const narrow = zeros + ((weights->group + 3) & ~3);
    const int32_t words = weights->segment < TILE ? weights->segment : TILE;
    const int cut = words < TILE;
    snn_dual_tile tile = {.channel = records, .step = 4 * layout.channel_step};

    if (window->kernel_h != 3 || window->kernel_w != 3 || window->dilation_h != 1 ||
        window->dilation_w != 1 || window->stride_w > 2 || weights->segment < 1 ||
        weights->segment > layout.extent_w || weights->band < 1 ||
        weights->band > layout.extent_h || layout.columns > SNN_DUAL_DEPTHWISE_ROW ||
        weights->group < 1 || input_shape.c != output_shape.c) {
        return SNN_BAD_ARGUMENT;
    }
    memset(zeros, -quant->input_offset, (size_t)weights->group);

    for (int32_t c = 0; c < input_shape.c; c += weights->group) {
        const int32_t left = input_shape.c - c;
        const int32_t count = left < weights->group ? left : weights->group;
        for (int32_t i = 0; i < count; ++i) {
            snn_dual_prepare(&records[i], weights->bias[c + i], weights->multiplier[c + i],
                             weights->shift[c + i], quant);
            records[i].jump = 1;
        }
        records[count].jump = 0;
        tile.channels = cut ? count : output_shape.c;
        tile.pair = cut ? TILE * count : pair;
        tile.stream = (const uint8_t *)weights->weights + 9 * c;
        for (int32_t band = 0; band < layout.extent_h; band += weights->band) {
            const int32_t y =
                band > layout.extent_h - weights->band ? layout.extent_h - weights->band : band;
            for (int32_t segment = 0; segment < layout.extent_w; segment += weights->segment) {
                const int32_t x = segment > layout.extent_w - weights->segment
                                      ? layout.extent_w - weights->segment
                                      : segment;
                snn_dual_pack(input + c, input_shape, count, window, &layout, y, x, zeros, packed);
                for (int32_t row = 0; row < weights->band; ++row) {
                    int8_t *const to =
                        output + ((y + row) * output_shape.w + x) * output_shape.c + c;
                    const int32_t *const from =
                        packed + snn_dual_row(&layout, row * window->stride_h);
                    for (int32_t i = 0; i < weights->segment; i += TILE) {
                        const int32_t at =
                            i > weights->segment - words ? weights->segment - words : i;
                        tile.base = from + at;
                        tile.output = cut ? narrow : to + at * output_shape.c;
                        if (window->stride_w == 1) {
                            run_stride1(&tile);
                        } else {
                            run_stride2(&tile);
                        }
                        if (cut) {
                            copy_narrow(narrow, count, words, output_shape.c, pair, to);
                        }
                    }
                }
            }
        }
    }
    snn_clamp_outputs(output, output_shape.h * output_shape.w * output_shape.c, quant);
    return SNN_OK;
}
