#include "snn_planar.h"

enum { TILE = SNN_PLANAR_TILE, FRACTION = SNN_PLANAR_FRACTION, SHIFT_MASK = SNN_PLANAR_SHIFT };

SNN_SMALL uint16_t *snn_planar_prepare(const snn_stream_planar *weights, int32_t channels,
                                       const snn_quant *quant, snn_planar_channel *to)
{
#if SNN_MVE
    const uint32_t chain = (uint32_t)snn_planar_run_tile(NULL);
#endif
    for (int32_t c = 0; c < channels; ++c, ++to) {
        const int32_t code = weights->code[c];
        const int32_t scale = 1 << (FRACTION - (code & SHIFT_MASK));
#if SNN_MVE
        to->jump = chain + (uint32_t)(code >> 4 & 15) * SNN_PLANAR_ENTRY;
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
