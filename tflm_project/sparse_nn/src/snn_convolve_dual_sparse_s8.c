/* Sparse convolution, two pixels in one multiply (snn_dual.h says how).
 *
 * A tile is four packed words, eight pixels of the output. All channels of a tile are computed in
 * one call of assembly: the nonzero weights stream past, each as (weight, delta to the next one),
 * and every one costs 11 instructions, 13 cycles on Cortex-M4, for its 8 multiply-accumulates:
 * two loads for itself, an address, four loads of packed words, four SMLAL. Entries stand
 * unrolled fifteen times; a channel enters this chain where its number of entries asks for. The
 * first entry multiplies without adding and so clears the sums. A channel's eight outputs cost
 * about 90 cycles beside its entries: taking the sums apart 12, requantization 40, stores 16.
 * A row that is no multiple of four words ends in a tile of two, or in one that steps back.
 */
#include <string.h>

#include "snn_dual.h"
#include "snn_sparse.h"

enum { TILE = 4, HALF_TILE = 2, CHAIN = 15 };

SNN_SMALL int32_t snn_convolve_dual_sparse_s8_get_scratch_size(snn_shape input_shape,
                                                     const snn_window *window,
                                                     const snn_stream_dual *weights,
                                                     snn_shape output_shape)
{
    const snn_dual_layout layout = snn_dual_layout_of(input_shape.c, window, output_shape,
                                                      weights->band, weights->segment,
                                                      SNN_DUAL_ROWS);
    return layout.words * 4 + (output_shape.c + 1) * (int32_t)sizeof(snn_dual_channel) +
           ((input_shape.c + 3) & ~3);
}

#if SNN_DUAL_ASSEMBLY

/* r0 packed word, r1 r2 r3 activations, r4 weight, r5:r6 … r11:r12 sums, lr stream.
 * Stack: 0 base, 4 next channel, 8 output, 12 channels, 16 pair. */
#define ENTRY                   \
    "ldrsb  r4, [lr], #2\n"     \
    "ldr    r1, [r0]\n"         \
    "ldr    r2, [r0, #4]\n"     \
    "ldr    r3, [r0, #8]\n"     \
    "smlal  r5, r6, r1, r4\n"   \
    "smlal  r7, r8, r2, r4\n"   \
    "smlal  r9, r10, r3, r4\n"  \
    "ldr    r1, [r0, #12]\n"    \
    "ldrb   r2, [lr, #-1]\n"    \
    "smlal  r11, r12, r1, r4\n" \
    "add    r0, r0, r2, lsl #2\n"
/* A sum's two pixels to two outputs, if negative ones become the zero point anyway: r0 bias, r2
 * multiplier, r3 offset, r4 shift, all prepared for v = (s + bias) * 2^9, which needs neither the
 * sign extension of the low field nor a rounding that depends on the sign. */
#define FINISH_POSITIVE(lo, hi)                \
    "lsrs   r1, " lo ", #23\n"                 \
    "adc    " hi ", r1, " hi ", lsl #9\n"      \
    "add    " lo ", r0, " lo ", lsl #9\n"      \
    "add    " hi ", r0, " hi ", lsl #9\n"      \
    "smmla  " lo ", " lo ", r2, r3\n"          \
    "smmla  " hi ", " hi ", r2, r3\n"          \
    "asr    " lo ", " lo ", r4\n"              \
    "asr    " hi ", " hi ", r4\n"              \
    "ssat   " lo ", #8, " lo "\n"              \
    "ssat   " hi ", #8, " hi "\n"

/* The same for any sign, prepared for v = 2 * (s + bias). */
#define FINISH(lo, hi)                         \
    "lsrs   r1, " lo ", #23\n"                 \
    "adc    " hi ", r1, " hi ", lsl #9\n"      \
    "sbfx   " lo ", " lo ", #0, #23\n"         \
    "add    " lo ", r0, " lo ", lsl #1\n"      \
    "add    " hi ", r0, " hi ", lsl #1\n"      \
    "add    r1, r3, " lo ", asr #31\n"         \
    "smmlar " lo ", " lo ", r2, r1\n"          \
    "add    r1, r3, " hi ", asr #31\n"         \
    "smmlar " hi ", " hi ", r2, r1\n"          \
    "asr    " lo ", " lo ", r4\n"              \
    "asr    " hi ", " hi ", r4\n"              \
    "ssat   " lo ", #8, " lo "\n"              \
    "ssat   " hi ", #8, " hi "\n"

#define ENTER                    \
    ".syntax unified\n"          \
    "cmp    r0, #0\n"            \
    "beq.w  9f\n"                \
    "push   {r4-r11, lr}\n"      \
    "sub    sp, sp, #20\n"       \
    "ldr    lr, [r0, #20]\n"     \
    "ldm    r0, {r1-r5}\n"       \
    "mov    r0, sp\n"            \
    "stm    r0, {r1-r5}\n"       \
    "mov    r3, r2\n"            \
    "mov    r2, r1\n"
/* The record of the channel, and the next one for the next. */
#define RECORD                   \
    "ldr    r1, [sp, #4]\n"      \
    "ldm    r1, {r0, r2, r3, r4}\n" \
    "adds   r1, r1, #24\n"       \
    "str    r1, [sp, #4]\n"      \
    "cmp    r4, #0\n"            \
    "bmi.w  5f\n"
/* r0 output, r1 the next channel's place in the chain, r2 the tile, r3 from a pixel to the next,
 * r4 output of the second pixels. */
#define PLACES(jump)             \
    "ldr    r1, [sp, #4]\n"      \
    "ldr    r0, [sp, #8]\n"      \
    "ldr    r3, [sp, #12]\n"     \
    "ldr    r4, [sp, #16]\n"     \
    "ldr    r1, [r1, #" jump "]\n" \
    "ldr    r2, [sp, #0]\n"      \
    "add    r4, r4, r0\n"
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
        ENTER
        "ldr    r1, [r3, #16]\n"
        "b      1f\n"
        ".balign 4\n"
        "2:\n"
        ".rept 15\n" ENTRY ".endr\n"
        "cmp    r2, #0\n"
        "bne    2b\n"
        RECORD
        FINISH_POSITIVE("r5", "r6") FINISH_POSITIVE("r7", "r8")
        FINISH_POSITIVE("r9", "r10") FINISH_POSITIVE("r11", "r12")
        "4:\n"
        PLACES("16")
        "strb   r7, [r0, r3]\n"
        "strb   r9, [r0, r3, lsl #1]\n"
        "strb   r6, [r4]\n"
        "strb   r8, [r4, r3]\n"
        "strb   r10, [r4, r3, lsl #1]\n"
        "add    r3, r3, r3, lsl #1\n"
        "strb   r11, [r0, r3]\n"
        "strb   r12, [r4, r3]\n"
        "strb   r5, [r0], #1\n"
        "str    r0, [sp, #8]\n"
        "cbz    r1, 6f\n"
        "1:\n" /* a channel: r2 the tile, r1 the place in the chain */
        "ldrb   r3, [lr], #1\n"
        "ldrsb  r4, [lr], #2\n"
        "add    r0, r2, r3, lsl #2\n"
        "ldr    r5, [r0]\n"
        "ldr    r7, [r0, #4]\n"
        "ldr    r9, [r0, #8]\n"
        "ldr    r11, [r0, #12]\n"
        "ldrb   r2, [lr, #-1]\n"
        "smull  r5, r6, r5, r4\n"
        "smull  r7, r8, r7, r4\n"
        "smull  r9, r10, r9, r4\n"
        "smull  r11, r12, r11, r4\n"
        "add    r0, r0, r2, lsl #2\n"
        "bx     r1\n"
        LEAVE
        "5:\n"
        FINISH("r5", "r6") FINISH("r7", "r8") FINISH("r9", "r10") FINISH("r11", "r12")
        "b      4b\n");
}

/* The same for two words: what is left of a row that is no multiple of four. Its entries cost 8
 * cycles for 4 multiply-accumulates. */
#define HALF_ENTRY              \
    "ldrsb  r4, [lr], #2\n"     \
    "ldr    r1, [r0]\n"         \
    "ldr    r2, [r0, #4]\n"     \
    "ldrb   r3, [lr, #-1]\n"    \
    "smlal  r5, r6, r1, r4\n"   \
    "smlal  r7, r8, r2, r4\n"   \
    "add    r0, r0, r3, lsl #2\n"

__attribute__((naked, noinline)) static uintptr_t run_half_tile(const snn_dual_tile *tile)
{
    (void)tile;
    __asm volatile(
        ENTER
        "ldr    r1, [r3, #20]\n"
        "b      1f\n"
        ".balign 4\n"
        "2:\n"
        ".rept 15\n" HALF_ENTRY ".endr\n"
        "cmp    r3, #0\n"
        "bne    2b\n"
        RECORD
        FINISH_POSITIVE("r5", "r6") FINISH_POSITIVE("r7", "r8")
        "4:\n"
        PLACES("20")
        "strb   r7, [r0, r3]\n"
        "strb   r6, [r4]\n"
        "strb   r8, [r4, r3]\n"
        "strb   r5, [r0], #1\n"
        "str    r0, [sp, #8]\n"
        "cbz    r1, 6f\n"
        "1:\n"
        "ldrb   r3, [lr], #1\n"
        "ldrsb  r4, [lr], #2\n"
        "add    r0, r2, r3, lsl #2\n"
        "ldr    r5, [r0]\n"
        "ldr    r7, [r0, #4]\n"
        "ldrb   r3, [lr, #-1]\n"
        "smull  r5, r6, r5, r4\n"
        "smull  r7, r8, r7, r4\n"
        "add    r0, r0, r3, lsl #2\n"
        "bx     r1\n"
        LEAVE
        "5:\n"
        FINISH("r5", "r6") FINISH("r7", "r8")
        "b      4b\n");
}

/* Bytes of one unrolled entry: 16-bit LDRs to low registers, the rest 32-bit. */
enum { ENTRY_BYTES = 36, HALF_ENTRY_BYTES = 24 };

#else

/* The same in C, for `words` packed words. */
static void run_words(const snn_dual_tile *tile, int32_t words)
{
    const uint8_t *entry = tile->stream;
    int8_t *output = tile->output;
    for (const snn_dual_channel *channel = tile->channel; channel->jump; ++channel, ++output) {
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

/* Expands the tables in flash. Returns the record behind the last, whose jump is 0. */
static snn_dual_channel *prepare(const snn_stream_dual *weights, int32_t channels,
                                           const snn_quant *quant, snn_dual_channel *to)
{
    const int32_t unit = 2 * quant->output_offset + 1;
#if SNN_DUAL_ASSEMBLY
    const uintptr_t chain = run_tile(NULL);
    const uintptr_t half_chain = run_half_tile(NULL);
    const int positive = quant->activation_min >= quant->output_offset;
#endif
    for (int32_t c = 0; c < channels; ++c, ++to) {
        const uint32_t code = (uint32_t)weights->code[c];
        const int32_t shift = (int32_t)(code & 15);
        const uint32_t skip = code >> 4 & 15;
        const uint32_t bias2 = (uint32_t)((int32_t)code >> 8) << 1;
        const uint32_t offset = (uint32_t)unit << (shift - 1);
        to->bias2 = (int32_t)bias2;
        to->multiplier = weights->multiplier[c];
        to->offset = (int32_t)offset;
        to->shift = shift;
#if SNN_DUAL_ASSEMBLY
        if (positive) {
            to->bias2 = (int32_t)(bias2 << 8);
            to->offset = (int32_t)((offset << 8) + 128);
            to->shift = shift + 8;
        } else {
            to->shift = (int32_t)(0x80000000u | (uint32_t)shift);
        }
        to->jump = (uint32_t)chain + skip * ENTRY_BYTES;
        to->half_jump = (uint32_t)half_chain + skip * HALF_ENTRY_BYTES;
#else
        to->jump = skip + 1;
#endif
    }
    to->jump = to->half_jump = 0;
    return to + 1;
}

#ifdef SNN_CHECKED
/* Every entry of every channel lies inside the stream and the packed window. */
static snn_status check(const snn_stream_dual *weights, const snn_window *window,
                        const snn_dual_layout *layout, int32_t channels)
{
    const uint8_t *entry = weights->stream;
    const uint8_t *const end = entry + weights->size;
    const int32_t reach = (window->kernel_h - 1) * window->dilation_h * layout->row_step +
                          layout->row_step - weights->segment;
    for (int32_t c = 0; c < channels; ++c) {
        int32_t place = 0, entries = 0, delta;
        const int32_t skip = weights->code[c] >> 4 & 15;
        if ((weights->code[c] & 15) == 0 || entry == end) {
            return SNN_BAD_STREAM;
        }
        delta = *entry++;
        do {
            place += delta;
            if (end - entry < 2 || place > reach) {
                return SNN_BAD_STREAM;
            }
            delta = entry[1];
            entry += 2;
            ++entries;
        } while (delta != 0);
        if (skip != (entries == 1 ? CHAIN : (CHAIN - (entries - 1) % CHAIN) % CHAIN)) {
            return SNN_BAD_STREAM;
        }
    }
    return SNN_OK;
}
#endif

SNN_SMALL snn_status snn_convolve_dual_sparse_s8(const int8_t *input, snn_shape input_shape,
                                       const snn_window *window, const snn_stream_dual *weights,
                                       const snn_quant *quant, int8_t *output,
                                       snn_shape output_shape, void *scratch)
{
    const snn_dual_layout layout = snn_dual_layout_of(input_shape.c, window, output_shape,
                                                      weights->band, weights->segment,
                                                      SNN_DUAL_ROWS);
    snn_dual_channel *const channels = scratch;
    int32_t *const packed =
        (int32_t *)prepare(weights, output_shape.c, quant, channels);
    int8_t *const zeros = (int8_t *)(packed + layout.words);
    snn_dual_tile tile = {
        .channel = channels,
        .channels = output_shape.c,
        .pair = (layout.pair_h * output_shape.w + layout.pair_w) * output_shape.c,
        .stream = weights->stream,
    };

    if (weights->segment < TILE || weights->segment > layout.extent_w || weights->band < 1 ||
        weights->band > layout.extent_h) {
        return SNN_BAD_ARGUMENT;
    }
#ifdef SNN_CHECKED
    if (check(weights, window, &layout, output_shape.c) != SNN_OK) {
        return SNN_BAD_STREAM;
    }
#endif
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
                const int32_t *const from = packed + row * window->stride_h * layout.row_step;
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
    snn_dual_clamp(output, output_shape.h * output_shape.w * output_shape.c, quant);
    return SNN_OK;
}
