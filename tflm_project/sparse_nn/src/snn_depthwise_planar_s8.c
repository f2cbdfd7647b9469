/* Depthwise convolution for MVE: sixteen outputs a weight, as snn_convolve_planar_sparse_s8.c.
 *
 * Every channel has planes of its own, and the base moves on by them from channel to channel; a
 * filter's taps are the entries of its channel, so that 3x3 costs 9 times 11 instructions for
 * sixteen outputs. Channels are unrolled in groups, so that scratch stays small.
 */
#include "snn_planar.h"

SNN_SMALL int32_t snn_depthwise_planar_s8_get_scratch_size(const snn_window *window,
                                                           const snn_stream_planar *weights,
                                                           int32_t group, snn_shape output_shape)
{
    const snn_planar_layout layout = snn_planar_layout_of(group, 1, window, weights, output_shape);
    return snn_planar_scratch(&layout, output_shape.c);
}

SNN_SMALL snn_status snn_depthwise_planar_s8(const int8_t *input, snn_shape input_shape,
                                             const snn_window *window,
                                             const snn_stream_planar *weights, int32_t group,
                                             const snn_quant *quant, int8_t *output,
                                             snn_shape output_shape, void *scratch)
{
    snn_planar_channel *const channels = scratch;
    if (group < 1 || group > input_shape.c || input_shape.c != output_shape.c ||
        !snn_planar_fits(weights, group, 1, window, input_shape, output_shape)) {
        return SNN_BAD_ARGUMENT;
    }
    const snn_planar_layout layout = snn_planar_layout_of(group, 1, window, weights, output_shape);
#ifdef SNN_CHECKED
    if (snn_planar_check(weights, window, &layout, output_shape.c) != SNN_OK) {
        return SNN_BAD_STREAM;
    }
#endif
    uint16_t *const places = snn_planar_prepare(weights, output_shape.c, quant, channels);
    uint8_t *const planes = snn_planar_prepare_places(&layout, weights, output_shape, places);
    snn_planar_tile tile = {
        .stream = weights->stream,
        .unit = layout.unit,
        .step = 2 * layout.channel_step + (quant->activation_min < quant->output_offset),
    };
    for (int32_t c = 0; c < input_shape.c; c += group) {
        const int32_t count = input_shape.c - c < group ? input_shape.c - c : group;
        const uint32_t next = channels[c + count].jump;
        tile.channel = channels + c;
        channels[c + count].jump = 0; /* the group ends here */
        tile.stream = snn_planar_run(input + c, input_shape, count, window, &layout, weights, quant,
                                     output + c, output_shape, places, planes, &tile);
        channels[c + count].jump = next;
    }
    snn_clamp_outputs(output, output_shape.h * output_shape.w * output_shape.c, quant);
    return SNN_OK;
}
