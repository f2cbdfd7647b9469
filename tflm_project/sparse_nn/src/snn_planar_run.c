#include "snn_planar.h"

enum { TILE = SNN_PLANAR_TILE };

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
                    end = (const uint8_t *)snn_planar_run_tile(tile);
                }
            }
        }
    }
    return end;
}
