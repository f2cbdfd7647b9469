#include "snn_nn.h"
#include "snn_requantize.h"

snn_status snn_add_s8(const int8_t *input1, const int8_t *input2, const snn_elementwise *quant,
                      int8_t *output, int32_t size)
{
    for (int32_t i = 0; i < size; ++i) {
        const int32_t a = (input1[i] + quant->offset1) * (1 << quant->left_shift);
        const int32_t b = (input2[i] + quant->offset2) * (1 << quant->left_shift);
        const int32_t sum = snn_requantize(a, quant->multiplier1, quant->shift1) +
                            snn_requantize(b, quant->multiplier2, quant->shift2);
        const int32_t out = snn_requantize(sum, quant->output_multiplier, quant->output_shift);
        output[i] = (int8_t)snn_clamp(out + quant->output_offset, quant->activation_min,
                                      quant->activation_max);
    }
    return SNN_OK;
}
