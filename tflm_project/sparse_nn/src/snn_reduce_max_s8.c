#include "snn_nn.h"

snn_status snn_reduce_max_s8(const int8_t *input, const snn_reduction *loop, int8_t *output)
{
    const int32_t a = loop->size[0], b = loop->size[1], c = loop->size[2], d = loop->size[3];
    for (int32_t i = 0; i < a; ++i) {
        for (int32_t k = 0; k < c; ++k) {
            int8_t best = input[(i * b * c + k) * d];
            for (int32_t j = 0; j < b; ++j) {
                const int8_t *const in = input + ((i * b + j) * c + k) * d;
                for (int32_t l = 0; l < d; ++l) {
                    best = in[l] > best ? in[l] : best;
                }
            }
            *output++ = best;
        }
    }
    return SNN_OK;
}
