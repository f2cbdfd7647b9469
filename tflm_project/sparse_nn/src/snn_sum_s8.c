#include "snn_nn.h"
#include "snn_requantize.h"

snn_status snn_sum_s8(const int8_t *input, const snn_reduction *loop, int32_t offset,
                      int32_t multiplier, int32_t shift, int32_t output_offset, int8_t *output)
{
    const int32_t a = loop->size[0], b = loop->size[1], c = loop->size[2], d = loop->size[3];
    for (int32_t i = 0; i < a; ++i) {
        for (int32_t k = 0; k < c; ++k) {
            int32_t sum = offset;
            for (int32_t j = 0; j < b; ++j) {
                const int8_t *const in = input + ((i * b + j) * c + k) * d;
                for (int32_t l = 0; l < d; ++l) {
                    sum += in[l];
                }
            }
            sum = snn_requantize(sum, multiplier, shift) + output_offset;
            *output++ = (int8_t)snn_clamp(sum, INT8_MIN, INT8_MAX);
        }
    }
    return SNN_OK;
}
