#include "snn_planar.h"
#include "snn_taps.h"

#ifdef SNN_CHECKED

snn_status snn_planar_check(const snn_stream_planar *weights, const snn_window *window,
                            const snn_planar_layout *layout, int32_t channels)
{
    const uint8_t *entry = weights->stream;
    /* For the first output row of the first channel, if each has planes of its own. */
    const snn_taps_limits limits = {
        .end = entry + weights->size,
        .unit = layout->unit,
        .reach = (window->kernel_h - 1) * window->dilation_h * layout->row_step +
                 layout->row_step - layout->outputs,
    };
    for (int32_t c = 0; c < channels; ++c) {
        int64_t lowest, highest;
        const int32_t code = weights->code[c];
        const int32_t shift = code & SNN_PLANAR_SHIFT;
        const int64_t bias = code >> 8;
        const int64_t most = (((int64_t)1 << 30) - 1) >> (SNN_PLANAR_FRACTION - shift);
        entry = snn_taps_check(entry, code >> 4 & 15, &limits, &lowest, &highest);
        if (entry == NULL || shift == 0 || bias + lowest < -most || bias + highest > most) {
            return SNN_BAD_STREAM;
        }
    }
    return SNN_OK;
}

#endif
