#include "snn_planar.h"

enum { TILE = SNN_PLANAR_TILE, FARTHEST = 65535 };

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

SNN_SMALL int snn_planar_fits(const snn_stream_planar *weights, int32_t channels, int apart,
                              const snn_window *window, snn_shape input_shape,
                              snn_shape output_shape)
{
    if (weights->lanes < 1 || weights->segment < 1 || weights->segment > output_shape.w ||
        weights->segment * weights->lanes < TILE || weights->band < 1 ||
        weights->band > (output_shape.h + weights->lanes - 1) / weights->lanes) {
        return 0;
    }
    /* What is found by offsets of 16 bits: the pixels of a tile, and eight columns of two channels
     * in the input and in the planes. */
    const snn_planar_layout l =
        snn_planar_layout_of(channels, apart, window, weights, output_shape);
    const int32_t row = snn_planar_lane_row(&l, weights->lanes - 1, output_shape.h);
    return (row * output_shape.w + weights->segment - 1) * output_shape.c <= FARTHEST &&
           7 * window->stride_w * input_shape.c + 1 <= FARTHEST &&
           l.channel_step + 7 * weights->lanes <= FARTHEST;
}

SNN_SMALL int32_t snn_planar_scratch(const snn_planar_layout *layout, int32_t channels)
{
    return (channels + 1) * (int32_t)sizeof(snn_planar_channel) +
           (layout->outputs + TILE - 1) / TILE * TILE * 2 +
           layout->bytes;
}
