/* Sparse convolution, two pixels in one multiply (snn_dual.h says how).
 *
 * A tile is four packed words, eight pixels of the output. All channels of a tile are computed in
 * one call of assembly: the nonzero weights stream past, each as (weight, delta to the next one),
 * and every one costs 11 instructions, 13 cycles on Cortex-M4, for its 8 multiply-accumulates:
 * two loads for itself, an address, four loads of packed words, four SMLAL. Entries stand
 * unrolled fifteen times; a channel enters this chain where its number of entries asks for. The
 * first entry multiplies without adding and so clears the sums. A channel's eight outputs cost
 * about 66 cycles beside its entries: taking the sums apart and requantizing them 32 (52 the exact
 * way), stores 10, the rest its record and the way into the chain.
 * A row that is no multiple of four words ends in a tile of two, or in one that steps back.
 */
#include <string.h>

#include "snn_dual.h"
#include "snn_sparse.h"
#include "snn_taps.h"

enum { TILE = 4, HALF_TILE = 2 };

SNN_SMALL int32_t snn_convolve_dual_sparse_s8_get_scratch_size(snn_shape input_shape,
                                                               const snn_window *window,
                                                               const snn_stream_dual *weights,
                                                               snn_shape output_shape)
{
    const snn_dual_layout layout = snn_dual_layout_of(input_shape.c, window, output_shape,
                                                      weights->band, weights->segment,
                                                      SNN_DUAL_ROWS);
    return layout.words * 4 + output_shape.c * (int32_t)sizeof(snn_dual_channel) +
           ((input_shape.c + 3) & ~3);
}

#if SNN_DSP

/* r0 packed word, r1 r2 r4 activations, r3 weight, r5:r6 … r11:r12 sums, lr stream.
 * Stack: 0 base, 4 channel, 8 output, 12 channels, 16 pair. */
#define ENTRY                   \
    "ldrsb  r3, [lr], #2\n"     \
    "ldr    r1, [r0]\n"         \
    "ldr    r2, [r0, #4]\n"     \
    "ldr    r4, [r0, #8]\n"     \
    "smlal  r5, r6, r1, r3\n"   \
    "smlal  r7, r8, r2, r3\n"   \
    "smlal  r9, r10, r4, r3\n"  \
    "ldr    r1, [r0, #12]\n"    \
    "ldrb   r2, [lr, #-1]\n"    \
    "smlal  r11, r12, r1, r3\n" \
    "add    r0, r0, r2, lsl #2\n"

#define ENTER(jump)              \
    ".syntax unified\n"          \
    "cmp    r0, #0\n"            \
    "beq.w  9f\n"                \
    "push   {r4-r11, lr}\n"      \
    "sub    sp, sp, #20\n"       \
    "ldr    lr, [r0, #20]\n"     \
    "ldr    r6, [r0, #" jump "]\n" \
    "ldm    r0, {r1-r5}\n"       \
    "mov    r0, sp\n"            \
    "stm    r0, {r1-r5}\n"       \
    "mov    r2, r1\n"            \
    "mov    r4, r6\n"
/* The record of the channel: leaves the next one's place in the chain in r4. */
#define RECORD                   \
    "ldr    r1, [sp, #4]\n"      \
    "ldm    r1, {r0, r2, r3, r4}\n" \
    "adds   r1, r1, #24\n"       \
    "str    r1, [sp, #4]\n"      \
    "cmp    r2, #0\n"            \
    "bmi.w  5f\n"
/* To be finished the exact way. */
#define EXACT                    \
    "ldr    r4, [r1, #-4]\n"     \
    "rsb    r2, r2, #0\n"
/* Its place in the chain again. */
#define PLACE(jump)              \
    "ldr    r1, [sp, #4]\n"      \
    "ldr    r4, [r1, #" jump " - 24]\n"
/* r0 output, r1 output of the second pixels, r2 the tile, r3 from a pixel to the next. */
#define PLACES                   \
    "ldr    r0, [sp, #8]\n"      \
    "ldr    r3, [sp, #12]\n"     \
    "ldr    r1, [sp, #16]\n"     \
    "ldr    r2, [sp, #0]\n"      \
    "add    r1, r1, r0\n"
/* Called with NULL: where the chain starts. */
#define LEAVE                    \
    "6:\n"                       \
    "add    sp, sp, #20\n"       \
    "pop    {r4-r11, pc}\n"      \
    "9:\n"                       \
    "adr.w  r0, 2b\n"            \
    "adds   r0, r0, #1\n"        \
    "bx     lr\n"

__attribute__((naked, noinline)) static uintptr_t run_tile(const snn_dual_tile *tile)
{
    (void)tile;
    __asm volatile(
        ENTER("32")
        "b      1f\n"
        ".balign 4\n"
        "2:\n"
        ".rept 15\n" ENTRY ".endr\n"
        "cmp    r2, #0\n"
        "bne    2b\n"
        RECORD
        SNN_DUAL_FINISH_FAST("r5", "r6") SNN_DUAL_FINISH_FAST("r7", "r8")
        SNN_DUAL_FINISH_FAST("r9", "r10") SNN_DUAL_FINISH_FAST("r11", "r12")
        "4:\n"
        PLACES
        "strb   r7, [r0, r3]\n"
        "strb   r9, [r0, r3, lsl #1]\n"
        "strb   r6, [r1]\n"
        "strb   r8, [r1, r3]\n"
        "strb   r10, [r1, r3, lsl #1]\n"
        "add    r3, r3, r3, lsl #1\n"
        "strb   r11, [r0, r3]\n"
        "strb   r12, [r1, r3]\n"
        "strb   r5, [r0], #1\n"
        "cbz    r4, 6f\n"
        "str    r0, [sp, #8]\n"
        "1:\n" /* a channel: r2 the tile, r4 the place in the chain */
        "ldrb   r1, [lr], #1\n"
        "ldrsb  r3, [lr], #2\n"
        "add    r0, r2, r1, lsl #2\n"
        "ldr    r5, [r0]\n"
        "ldr    r7, [r0, #4]\n"
        "ldr    r9, [r0, #8]\n"
        "ldr    r11, [r0, #12]\n"
        "ldrb   r2, [lr, #-1]\n"
        "smull  r5, r6, r5, r3\n"
        "smull  r7, r8, r7, r3\n"
        "smull  r9, r10, r9, r3\n"
        "smull  r11, r12, r11, r3\n"
        "add    r0, r0, r2, lsl #2\n"
        "bx     r4\n"
        LEAVE
        "5:\n"
        EXACT
        SNN_DUAL_FINISH_EXACT("r5", "r6") SNN_DUAL_FINISH_EXACT("r7", "r8")
        SNN_DUAL_FINISH_EXACT("r9", "r10") SNN_DUAL_FINISH_EXACT("r11", "r12")
        PLACE("12")
        "b      4b\n");
}

/* The same for two words: what is left of a row that is no multiple of four. Its entries cost 8
 * cycles for 4 multiply-accumulates. */
#define HALF_ENTRY              \
    "ldrsb  r3, [lr], #2\n"     \
    "ldr    r1, [r0]\n"         \
    "ldr    r4, [r0, #4]\n"     \
    "ldrb   r2, [lr, #-1]\n"    \
    "smlal  r5, r6, r1, r3\n"   \
    "smlal  r7, r8, r4, r3\n"   \
    "add    r0, r0, r2, lsl #2\n"

__attribute__((naked, noinline)) static uintptr_t run_half_tile(const snn_dual_tile *tile)
{
    (void)tile;
    __asm volatile(
        ENTER("36")
        "b      1f\n"
        ".balign 4\n"
        "2:\n"
        ".rept 15\n" HALF_ENTRY ".endr\n"
        "cmp    r2, #0\n"
        "bne    2b\n"
        RECORD
        "ldr    r4, [r1, #-8]\n"
        SNN_DUAL_FINISH_FAST("r5", "r6") SNN_DUAL_FINISH_FAST("r7", "r8")
        "4:\n"
        PLACES
        "strb   r7, [r0, r3]\n"
        "strb   r6, [r1]\n"
        "strb   r8, [r1, r3]\n"
        "strb   r5, [r0], #1\n"
        "cbz    r4, 6f\n"
        "str    r0, [sp, #8]\n"
        "1:\n"
        "ldrb   r1, [lr], #1\n"
        "ldrsb  r3, [lr], #2\n"
        "add    r0, r2, r1, lsl #2\n"
        "ldr    r5, [r0]\n"
        "ldr    r7, [r0, #4]\n"
        "ldrb   r2, [lr, #-1]\n"
        "smull  r5, r6, r5, r3\n"
        "smull  r7, r8, r7, r3\n"
        "add    r0, r0, r2, lsl #2\n"
        "bx     r4\n"
        LEAVE
        "5:\n"
        EXACT
        SNN_DUAL_FINISH_EXACT("r5", "r6") SNN_DUAL_FINISH_EXACT("r7", "r8")
        PLACE("16")
        "b      4b\n");
}

/* Bytes of one unrolled entry: 16-bit LDRs to low registers, the rest 32-bit. */
enum { ENTRY_BYTES = 36, HALF_ENTRY_BYTES = 24 };

#else

/* The same in C, for `words` packed words. */
static void run_words(const snn_dual_tile *tile, int32_t words)
{
    const uint8_t *entry = tile->stream;
    const snn_dual_channel *channel = tile->channel;
    int8_t *output = tile->output;
    for (uint32_t more = tile->jump; more; more = channel->jump, ++channel, ++output) {
        const int32_t *packed = tile->base + *entry++;
        int64_t sum[TILE] = {0};
        int32_t delta;
        do {
            const int32_t weight = (int8_t)entry[0];
            for (int32_t i = 0; i < words; ++i) {
                sum[i] += (int64_t)packed[i] * weight;
            }
            delta = entry[1];
            packed += delta;
            entry += 2;
        } while (delta != 0);
        for (int32_t i = 0; i < words; ++i) {
            int8_t *to = output + i * tile->channels;
            to[0] = (int8_t)snn_dual_finish(snn_dual_first(sum[i]), channel);
            to[tile->pair] = (int8_t)snn_dual_finish(snn_dual_second(sum[i]), channel);
        }
    }
}

static uintptr_t run_tile(const snn_dual_tile *tile)
{
    run_words(tile, TILE);
    return 0;
}

static uintptr_t run_half_tile(const snn_dual_tile *tile)
{
    run_words(tile, HALF_TILE);
    return 0;
}

#endif

/* A channel's line of the table: see snn_stream_dual. */
typedef struct {
    int32_t bias, multiplier, shift, skip;
} line;

static inline line read_line(const uint8_t *at, int32_t bytes)
{
    uint32_t low;
    int32_t high;
    memcpy(&low, at, sizeof low);
    memcpy(&high, at + bytes - 4, sizeof high);
    high >>= 8 * (8 - bytes);
    return (line){
        .bias = high >> 7,
        .multiplier = (int32_t)(0x40000000u | ((uint32_t)high & 63u) << 24 | low >> 8),
        .shift = (int32_t)((low & 15u) | ((uint32_t)high & 64u) << 1),
        .skip = (int32_t)(low >> 4 & 15u),
    };
}

/* Expands the table in flash. The first channel's places in the chains go to the tile. */
static void prepare(const snn_stream_dual *weights, int32_t channels, const snn_quant *quant,
                    snn_dual_channel *to, snn_dual_tile *tile)
{
    uint32_t *jump = &tile->jump;
    uint32_t *half_jump = &tile->half_jump;
#if SNN_DSP
    const uintptr_t chain = run_tile(NULL);
    const uintptr_t half_chain = run_half_tile(NULL);
#endif
    for (int32_t c = 0; c < channels; ++c, ++to) {
        const line found = read_line(weights->table + c * weights->line, weights->line);
        snn_dual_prepare(to, found.bias, found.multiplier, found.shift, quant);
#if SNN_DSP
        *jump = (uint32_t)chain + (uint32_t)found.skip * ENTRY_BYTES;
        *half_jump = (uint32_t)half_chain + (uint32_t)found.skip * HALF_ENTRY_BYTES;
#else
        *jump = *half_jump = 1;
#endif
        jump = &to->jump;
        half_jump = &to->half_jump;
    }
    *jump = *half_jump = 0;
}

#ifdef SNN_CHECKED
/* Every entry of every channel lies inside the stream and the packed window, and the sums keep to
 * the bounds of snn_stream_dual. */
static snn_status check(const snn_stream_dual *weights, const snn_window *window,
                        const snn_dual_layout *layout, int32_t channels)
{
    const uint8_t *entry = weights->stream;
    const int64_t most = ((int64_t)1 << (SNN_DUAL_SHIFT - 1)) - 1;
    const snn_taps_limits limits = {
        .end = entry + weights->size,
        .unit = 1,
        .reach = window->kernel_h * layout->row_step - weights->segment,
    };
    for (int32_t c = 0; c < channels; ++c) {
        int64_t lowest, highest;
        const line found = read_line(weights->table + c * weights->line, weights->line);
        entry = snn_taps_check(entry, found.skip, &limits, &lowest, &highest);
        if (entry == NULL || (found.shift & 15) == 0 || lowest < -most || highest > most) {
            return SNN_BAD_STREAM;
        }
    }
    return SNN_OK;
}
#endif

SNN_SMALL snn_status snn_convolve_dual_sparse_s8(const int8_t *input, snn_shape input_shape,
                                                 const snn_window *window,
                                                 const snn_stream_dual *weights,
                                                 const snn_quant *quant, int8_t *output,
                                                 snn_shape output_shape, void *scratch)
{
    const snn_dual_layout layout = snn_dual_layout_of(input_shape.c, window, output_shape,
                                                      weights->band, weights->segment,
                                                      SNN_DUAL_ROWS);
    snn_dual_channel *const channels = scratch;
    int32_t *const packed = (int32_t *)(channels + output_shape.c);
    int8_t *const zeros = (int8_t *)(packed + layout.words);
    snn_dual_tile tile = {
        .channel = channels,
        .channels = output_shape.c,
        .pair = (layout.pair_h * output_shape.w + layout.pair_w) * output_shape.c,
        .stream = weights->stream,
    };

    if (weights->segment < TILE || weights->segment > layout.extent_w || weights->band < 1 ||
        weights->band > layout.extent_h || (weights->line != 7 && weights->line != 8)) {
        return SNN_BAD_ARGUMENT;
    }
#ifdef SNN_CHECKED
    if (check(weights, window, &layout, output_shape.c) != SNN_OK) {
        return SNN_BAD_STREAM;
    }
#endif
    prepare(weights, output_shape.c, quant, channels, &tile);
    memset(zeros, -quant->input_offset, (size_t)input_shape.c);

    /* Bands, segments and tiles at the end step back instead of being cut: what they share with
     * their neighbour is computed twice, equally. */
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
                    const int32_t left = weights->segment - i;
                    const int32_t words = left > HALF_TILE ? TILE : HALF_TILE;
                    const int32_t at = left < words ? weights->segment - words : i;
                    tile.base = from + at;
                    tile.output = to + at * output_shape.c;
                    if (words == TILE) {
                        run_tile(&tile);
                    } else {
                        run_half_tile(&tile);
                    }
                }
            }
        }
    }
    snn_clamp_outputs(output, output_shape.h * output_shape.w * output_shape.c, quant);
    return SNN_OK;
}
