#include "snn_broadcast.h"
#include "snn_requantize.h"

static inline void row(const int8_t *a, int32_t step_a, const int8_t *b, int32_t step_b,
                       const snn_elementwise *quant, int8_t *output, int32_t size)
{
    for (int32_t i = 0; i < size; ++i, a += step_a, b += step_b) {
        const int32_t product = (*a + quant->offset1) * (*b + quant->offset2);
        const int32_t out = snn_requantize(product, quant->output_multiplier, quant->output_shift);
        output[i] = (int8_t)snn_clamp(out + quant->output_offset, quant->activation_min,
                                      quant->activation_max);
    }
}

snn_status snn_mul_s8(const int8_t *input1, const int8_t *input2, const snn_broadcast *loop,
                      const snn_elementwise *quant, int8_t *output)
{
    SNN_BROADCAST(row, input1, input2, loop, quant, output);
    return SNN_OK;
}
