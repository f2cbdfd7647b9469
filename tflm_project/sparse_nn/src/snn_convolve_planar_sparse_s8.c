/* Sparse convolution for MVE: sixteen neighbouring pixels a weight (planar-vector).
 *
 * The input is unrolled into planes, where a tap of the filter is a fixed distance from the output
 * position and sixteen neighbouring bytes are that tap of sixteen outputs (snn_planar.h).
 *
 * A tile is sixteen outputs of every channel. The nonzero weights stream past, each as (weight,
 * delta to the next one), and every one costs 11 instructions for its 16 multiply-accumulates: two
 * loads for itself, an address, four times VLDRB.S32 and VMLA.S32. Sums have 32 bits, so no bound
 * on the weights is needed. Entries stand unrolled fifteen times; a channel enters this chain where
 * its number of entries asks for, and its first entry multiplies without adding.
 *
 * Requantization keeps 16 bits behind the point: with a right shift e of TFLite's and k = 16 - e,
 *     v = (sum + bias) * 2^k                             VMLAS
 *     y = floor(v * multiplier / 2^31) + offset          VQDMLASH
 *     output = y >> 16, saturated                        VSRI of two vectors, VQMOVNB
 * where offset = zero point * 2^16 + 2^15 + 2^(k-1): floors nest, so 2^(k-1) is TFLite's first
 * rounding and 2^15 its second. That one rounds ties away from zero, so a negative y loses 2^k
 * first (VSHR, VMLA), unless negative values become the zero point anyway. The generator proves
 * |sum + bias| * 2^k < 2^30. A channel's sixteen outputs cost 36 instructions beside its entries,
 * 8 more with the correction of negative values.
 */
#include "snn_planar.h"

SNN_SMALL int32_t snn_convolve_planar_sparse_s8_get_scratch_size(snn_shape input_shape,
                                                                 const snn_window *window,
                                                                 const snn_stream_planar *weights,
                                                                 snn_shape output_shape)
{
    const snn_planar_layout layout =
        snn_planar_layout_of(input_shape.c, 0, window, weights, output_shape);
    return snn_planar_scratch(&layout, output_shape.c);
}

SNN_SMALL snn_status snn_convolve_planar_sparse_s8(const int8_t *input, snn_shape input_shape,
                                                   const snn_window *window,
                                                   const snn_stream_planar *weights,
                                                   const snn_quant *quant, int8_t *output,
                                                   snn_shape output_shape, void *scratch)
{
    snn_planar_channel *const channels = scratch;
    if (!snn_planar_fits(weights, input_shape.c, 0, window, input_shape, output_shape)) {
        return SNN_BAD_ARGUMENT;
    }
    const snn_planar_layout layout =
        snn_planar_layout_of(input_shape.c, 0, window, weights, output_shape);
#ifdef SNN_CHECKED
    if (snn_planar_check(weights, window, &layout, output_shape.c) != SNN_OK) {
        return SNN_BAD_STREAM;
    }
#endif
    uint16_t *const places = snn_planar_prepare(weights, output_shape.c, quant, channels);
    uint8_t *const planes = snn_planar_prepare_places(&layout, weights, output_shape, places);
    snn_planar_tile tile = {
        .channel = channels,
        .stream = weights->stream,
        .unit = layout.unit,
        .step = quant->activation_min < quant->output_offset,
    };
    snn_planar_run(input, input_shape, input_shape.c, window, &layout, weights, quant, output,
                   output_shape, places, planes, &tile);
    snn_clamp_outputs(output, output_shape.h * output_shape.w * output_shape.c, quant);
    return SNN_OK;
}
