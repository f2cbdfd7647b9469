/* Sixteen outputs a weight: see snn_planar.h and snn_convolve_planar_sparse_s8.c. */
#include "snn_planar.h"

enum {
    TILE = SNN_PLANAR_TILE,
    CHAIN = SNN_PLANAR_CHAIN,
    FRACTION = SNN_PLANAR_FRACTION,
    SHIFT_MASK = SNN_PLANAR_SHIFT,
};

SNN_SMALL snn_planar_layout snn_planar_layout_of(int32_t channels, int apart,
                                                 const snn_window *window,
                                                 const snn_stream_planar *weights,
                                                 snn_shape output_shape)
{
    snn_planar_layout l;
    const int32_t reach = (window->kernel_w - 1) * window->dilation_w;
    const int single = window->kernel_h == 1 && window->kernel_w == 1;
    l.distance = (output_shape.h + weights->lanes - 1) / weights->lanes;
    l.phases = window->stride_w < reach + 1 ? window->stride_w : reach + 1;
    l.columns = weights->segment + reach / window->stride_w;
    l.rows = (weights->band - 1) * window->stride_h +
             (window->kernel_h - 1) * window->dilation_h + 1;
    l.phase_step = l.columns * weights->lanes;
    l.channel_step = l.phases * l.phase_step;
    l.row_step = channels * l.channel_step;
    l.unit = single && !apart ? l.channel_step : weights->lanes;
    l.bytes = (l.rows * l.row_step + 15) & ~15;
    if (apart) {
        l.row_step = l.channel_step;
        l.channel_step = l.rows * l.row_step;
    }
    l.outputs = weights->segment * weights->lanes;
    return l;
}

SNN_SMALL int snn_planar_fits(const snn_stream_planar *weights, snn_shape output_shape)
{
    return weights->lanes >= 1 && weights->segment >= 1 && weights->segment <= output_shape.w &&
           weights->segment * weights->lanes >= TILE && weights->band >= 1 &&
           weights->band <= (output_shape.h + weights->lanes - 1) / weights->lanes;
}

SNN_SMALL int32_t snn_planar_scratch(const snn_planar_layout *layout, int32_t channels)
{
    return (channels + 1) * (int32_t)sizeof(snn_planar_channel) +
           (layout->outputs + TILE - 1) / TILE * TILE * 2 +
           layout->bytes;
}

#if SNN_MVE

/* r0 bytes of a tap, r1 weight, r2 delta, r3 unit, r4 tile, r5 channel, r6 stream, r7 output, r8
 * places, r9-r12 requantization, lr the step; q0-q3 sums, q4 q5 activations. */
#define ENTRY                      \
    "ldrsb  r1, [r6], #2\n"        \
    "vldrb.s32 q4, [r0]\n"         \
    "vldrb.s32 q5, [r0, #4]\n"     \
    "vmla.s32 q0, q4, r1\n"        \
    "vldrb.s32 q4, [r0, #8]\n"     \
    "vmla.s32 q1, q5, r1\n"        \
    "vldrb.s32 q5, [r0, #12]\n"    \
    "vmla.s32 q2, q4, r1\n"        \
    "ldrb   r2, [r6, #-1]\n"       \
    "vmla.s32 q3, q5, r1\n"        \
    "mla    r0, r2, r3, r0\n"
enum { ENTRY_BYTES = 44 };

/* Returns what is behind the channels' part of the stream; called with NULL, where the chain
 * starts. */
__attribute__((naked, noinline)) static uintptr_t run_tile(const snn_planar_tile *tile)
{
    (void)tile;
    __asm volatile(
        ".syntax unified\n"
        "cmp    r0, #0\n"
        "beq.w  9f\n"
        "push   {r4-r11, lr}\n"
        "vpush  {d8-d11}\n"
        "ldr    r4, [r0, #0]\n"
        "ldr    r5, [r0, #4]\n"
        "ldr    r7, [r0, #8]\n"
        "ldr    r8, [r0, #12]\n"
        "ldr    r6, [r0, #16]\n"
        "ldr    r3, [r0, #20]\n"
        "ldr    lr, [r0, #24]\n"
        "b.w    1f\n"
        ".balign 4\n"
        "2:\n"
        ".rept 15\n" ENTRY ".endr\n"
        "cmp    r2, #0\n"
        "bne.w  2b\n"
        "ldr    r9, [r5], #4\n"
        "ldr    r10, [r5], #4\n"
        "ldr    r11, [r5], #4\n"
        "ldr    r12, [r5], #4\n"
        "vdup.32 q4, r9\n"
        "vmlas.s32 q0, q4, r10\n"
        "vdup.32 q5, r11\n"
        "vmlas.s32 q1, q4, r10\n"
        "vmlas.s32 q2, q4, r10\n"
        "vmlas.s32 q3, q4, r10\n"
        "tst    lr, #1\n"
        "bne    5f\n"
        "vqdmlash.s32 q0, q5, r12\n"
        "vqdmlash.s32 q1, q5, r12\n"
        "vqdmlash.s32 q2, q5, r12\n"
        "vqdmlash.s32 q3, q5, r12\n"
        "4:\n" /* pixels 0 4 1 5 2 6 3 7 in q1, the others in q3 */
        "vsri.32 q1, q0, #16\n"
        "vldrh.u16 q4, [r8]\n"
        "vsri.32 q3, q2, #16\n"
        "vldrh.u16 q5, [r8, #16]\n"
        "vqmovnb.s16 q1, q1\n"
        "vqmovnb.s16 q3, q3\n"
        "vstrb.16 q1, [r7, q4]\n"
        "vstrb.16 q3, [r7, q5]\n"
        "adds   r7, r7, #1\n"
        "1:\n" /* a channel */
        "ldr    r12, [r5], #4\n"
        "cmp    r12, #0\n"
        "beq    6f\n"
        "ldrb   r0, [r6], #1\n"
        "ldrsb  r1, [r6], #2\n"
        "mla    r0, r0, r3, r4\n"
        "add    r4, r4, lr, asr #1\n"
        "vldrb.s32 q4, [r0]\n"
        "vldrb.s32 q5, [r0, #4]\n"
        "vmul.i32 q0, q4, r1\n"
        "vldrb.s32 q4, [r0, #8]\n"
        "vmul.i32 q1, q5, r1\n"
        "vldrb.s32 q5, [r0, #12]\n"
        "vmul.i32 q2, q4, r1\n"
        "ldrb   r2, [r6, #-1]\n"
        "vmul.i32 q3, q5, r1\n"
        "mla    r0, r2, r3, r0\n"
        "bx     r12\n"
        "6:\n"
        "mov    r0, r6\n"
        "vpop   {d8-d11}\n"
        "pop    {r4-r11, pc}\n"
        "5:\n"
        "vshr.s32 q4, q0, #31\n"
        "vqdmlash.s32 q0, q5, r12\n"
        "vmla.s32 q0, q4, r9\n"
        "vshr.s32 q4, q1, #31\n"
        "vqdmlash.s32 q1, q5, r12\n"
        "vmla.s32 q1, q4, r9\n"
        "vshr.s32 q4, q2, #31\n"
        "vqdmlash.s32 q2, q5, r12\n"
        "vmla.s32 q2, q4, r9\n"
        "vshr.s32 q4, q3, #31\n"
        "vqdmlash.s32 q3, q5, r12\n"
        "vmla.s32 q3, q4, r9\n"
        "b      4b\n"
        "9:\n"
        "adr.w  r0, 2b\n"
        "adds   r0, r0, #1\n"
        "bx     lr\n");
}

#else

/* The same in C. */
static uintptr_t run_tile(const snn_planar_tile *tile)
{
    const uint8_t *entry = tile->stream;
    const uint8_t *base = tile->base;
    int8_t *output = tile->output;
    for (const snn_planar_channel *channel = tile->channel; channel->jump; ++channel, ++output) {
        const uint8_t *tap = base + *entry++ * tile->unit;
        base += tile->step >> 1;
        int32_t sum[TILE] = {0};
        int32_t delta;
        do {
            const int32_t weight = (int8_t)entry[0];
            for (int32_t i = 0; i < TILE; ++i) {
                sum[i] += (int8_t)tap[i] * weight;
            }
            delta = entry[1];
            tap += delta * tile->unit;
            entry += 2;
        } while (delta != 0);
        for (int32_t i = 0; i < TILE; ++i) {
            const int32_t v = sum[i] * channel->scale + channel->bias;
            const int32_t y = (int32_t)((int64_t)v * channel->multiplier >> 31) + channel->offset -
                              (v < 0 ? channel->scale : 0);
            const int32_t value = y >> FRACTION;
            output[tile->place[(i & 8) + 2 * (i & 3) + (i >> 2 & 1)]] =
                (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
        }
    }
    return (uintptr_t)entry;
}

#endif

SNN_SMALL uint16_t *snn_planar_prepare(const snn_stream_planar *weights, int32_t channels,
                                       const snn_quant *quant, snn_planar_channel *to)
{
#if SNN_MVE
    const uint32_t chain = (uint32_t)run_tile(NULL);
#endif
    for (int32_t c = 0; c < channels; ++c, ++to) {
        const int32_t code = weights->code[c];
        const int32_t scale = 1 << (FRACTION - (code & SHIFT_MASK));
#if SNN_MVE
        to->jump = chain + (uint32_t)(code >> 4 & 15) * ENTRY_BYTES;
#else
        to->jump = 1;
#endif
        to->scale = scale;
        to->bias = (code >> 8) * scale;
        to->multiplier = weights->multiplier[c];
        to->offset = quant->output_offset * (1 << FRACTION) + (1 << (FRACTION - 1)) + scale / 2;
    }
    to->jump = 0;
    return (uint16_t *)(to + 1);
}

/* Where each pixel of each tile is, in the order in which a tile is stored: 0 4 1 5 2 6 3 7 and
 * the same of the last eight. The last tile steps back. */
SNN_SMALL uint8_t *snn_planar_prepare_places(const snn_planar_layout *layout,
                                             const snn_stream_planar *weights,
                                             snn_shape output_shape, uint16_t *to)
{
    for (int32_t tile = 0; tile < layout->outputs; tile += TILE, to += TILE) {
        const int32_t at = tile < layout->outputs - TILE ? tile : layout->outputs - TILE;
        int32_t column = at / weights->lanes;
        int32_t lane = at - column * weights->lanes;
        for (int32_t i = 0; i < TILE; ++i) {
            const int32_t row = snn_planar_lane_row(layout, lane, output_shape.h);
            to[(i & 8) + 2 * (i & 3) + (i >> 2 & 1)] =
                (uint16_t)((row * output_shape.w + column) * output_shape.c);
            if (++lane == weights->lanes) {
                lane = 0;
                ++column;
            }
        }
    }
    return (uint8_t *)to;
}

SNN_SMALL const uint8_t *snn_planar_run(const int8_t *input, snn_shape input_shape,
                                        int32_t channels, const snn_window *window,
                                        const snn_planar_layout *layout,
                                        const snn_stream_planar *weights, const snn_quant *quant,
                                        int8_t *output, snn_shape output_shape,
                                        const uint16_t *places, uint8_t *planes,
                                        snn_planar_tile *tile)
{
    const int8_t zero = (int8_t)-quant->input_offset;
    const uint8_t *end = tile->stream;

    /* Bands, segments and tiles at the end step back instead of being cut: what they share with
     * their neighbour is computed twice, equally. */
    for (int32_t band = 0; band < layout->distance; band += weights->band) {
        const int32_t y =
            band > layout->distance - weights->band ? layout->distance - weights->band : band;
        for (int32_t segment = 0; segment < output_shape.w; segment += weights->segment) {
            const int32_t x = segment > output_shape.w - weights->segment
                                  ? output_shape.w - weights->segment
                                  : segment;
            snn_planar_pack(input, input_shape, channels, window, layout, weights->lanes,
                            output_shape.h, y, x, zero, planes);
            for (int32_t row = 0; row < weights->band; ++row) {
                tile->output = output + ((y + row) * output_shape.w + x) * output_shape.c;
                tile->place = places;
                for (int32_t i = 0; i < layout->outputs; i += TILE, tile->place += TILE) {
                    const int32_t at = i < layout->outputs - TILE ? i : layout->outputs - TILE;
                    tile->base = planes + row * window->stride_h * layout->row_step + at;
                    end = (const uint8_t *)run_tile(tile);
                }
            }
        }
    }
    return end;
}

#ifdef SNN_CHECKED
snn_status snn_planar_check(const snn_stream_planar *weights, const snn_window *window,
                            const snn_planar_layout *layout, int32_t channels)
{
    const uint8_t *entry = weights->stream;
    const uint8_t *const end = entry + weights->size;
    /* For the first output row of the first channel, if each has planes of its own. */
    const int32_t reach = (window->kernel_h - 1) * window->dilation_h * layout->row_step +
                          layout->row_step - layout->outputs;
    for (int32_t c = 0; c < channels; ++c) {
        int32_t place = 0, entries = 0, delta;
        const int32_t skip = weights->code[c] >> 4 & 15;
        if ((weights->code[c] & SHIFT_MASK) == 0 || entry == end) {
            return SNN_BAD_STREAM;
        }
        delta = *entry++;
        do {
            place += delta * layout->unit;
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
