#include "snn_rows.h"
#include "snn_sums.h"

SNN_SMALL snn_status snn_sums_run(snn_sums_rows *run, int32_t step, const int8_t *input,
                                  const snn_stream_sums *weights, const snn_quant *quant,
                                  int8_t *output, int32_t output_size, int32_t *sums)
{
#ifdef SNN_CHECKED
    for (int32_t i = 0; i < output_size; ++i) {
        if (weights->shift[i] >= SNN_ROWS_MOST_SHIFT) {
            return SNN_BAD_STREAM;
        }
    }
#endif
    run(input, weights->stream, sums, sums + (output_size + step - 1) / step * step);
    snn_requantize_rows(sums, weights->bias2, weights->multiplier, weights->shift, quant, output,
                        output_size);
    return SNN_OK;
}
