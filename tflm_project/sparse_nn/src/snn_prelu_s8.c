#include "snn_broadcast.h"
#include "snn_requantize.h"

static inline void row(const int8_t *a, int32_t step_a, const int8_t *b, int32_t step_b,
                       const snn_elementwise *quant, int8_t *output, int32_t size)
{
    for (int32_t i = 0; i < size; ++i, a += step_a, b += step_b) {
        const int32_t x = *a + quant->offset1;
        const int32_t out =
            x >= 0 ? snn_requantize(x, quant->multiplier1, quant->shift1)
                   : snn_requantize(x * (*b + quant->offset2), quant->multiplier2, quant->shift2);
        output[i] = (int8_t)snn_clamp(out + quant->output_offset, INT8_MIN, INT8_MAX);
    }
}

snn_status snn_prelu_s8(const int8_t *input1, const int8_t *input2, const snn_broadcast *loop,
                      const snn_elementwise *quant, int8_t *output)
{
    SNN_BROADCAST(row, input1, input2, loop, quant, output);
    return SNN_OK;
}
