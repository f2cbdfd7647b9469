#include "snn_nn.h"
#include "snn_requantize.h"

snn_status snn_fully_connected_s8(const int8_t *input, int32_t input_size, const int8_t *weights,
                                  const int32_t *bias, const snn_requant *requant,
                                  const snn_quant *quant, int8_t *output, int32_t output_size)
{
    for (int32_t o = 0; o < output_size; ++o) {
        int32_t sum = bias != NULL ? bias[o] : 0;
        for (int32_t i = 0; i < input_size; ++i) {
            sum += (input[i] + quant->input_offset) * *weights++;
        }
        sum = snn_requantize(sum, requant->multiplier[o], requant->shift[o]);
        output[o] = (int8_t)snn_clamp(sum + quant->output_offset, quant->activation_min,
                                      quant->activation_max);
    }
    return SNN_OK;
}
