#include "snn_nn.h"

snn_status snn_fill_f32(float value, float *output, int32_t size)
{
    for (int32_t i = 0; i < size; ++i) {
        output[i] = value;
    }
    return SNN_OK;
}
