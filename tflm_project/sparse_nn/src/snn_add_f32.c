#include "snn_nn.h"

snn_status snn_add_f32(const float *input1, const float *input2, float min, float max,
                       float *output, int32_t size)
{
    for (int32_t i = 0; i < size; ++i) {
        const float sum = input1[i] + input2[i];
        output[i] = sum < min ? min : (sum > max ? max : sum);
    }
    return SNN_OK;
}
