#include "snn_nn.h"
#include "snn_requantize.h"

snn_status snn_add_broadcast_s8(const int8_t *input1, const int8_t *input2,
              const snn_broadcast *loop, const snn_elementwise *quant, int8_t *output)
{
    const int32_t *const s = loop->stride1;
    const int32_t *const t = loop->stride2;
    for (int32_t i = 0; i < loop->size[0]; ++i) {
        for (int32_t j = 0; j < loop->size[1]; ++j) {
            for (int32_t k = 0; k < loop->size[2]; ++k) {
                for (int32_t l = 0; l < loop->size[3]; ++l) {
                    const int32_t a = input1[i * s[0] + j * s[1] + k * s[2] + l * s[3]];
                    const int32_t b = input2[i * t[0] + j * t[1] + k * t[2] + l * t[3]];
                    const int32_t value =
                        snn_requantize((a + quant->offset1) * (1 << quant->left_shift),
                                       quant->multiplier1, quant->shift1) +
                        snn_requantize((b + quant->offset2) * (1 << quant->left_shift),
                                       quant->multiplier2, quant->shift2);
                    const int32_t out = snn_requantize(value, quant->output_multiplier,
                                                       quant->output_shift);
                    *output++ = (int8_t)snn_clamp(out + quant->output_offset,
                                                  quant->activation_min, quant->activation_max);
                }
            }
        }
    }
    return SNN_OK;
}
