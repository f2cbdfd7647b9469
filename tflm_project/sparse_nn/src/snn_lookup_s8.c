#include "snn_nn.h"

snn_status snn_lookup_s8(const int8_t *input, const int8_t *table, int8_t *output, int32_t size)
{
    for (int32_t i = 0; i < size; ++i) {
        output[i] = table[input[i] + 128];
    }
    return SNN_OK;
}
