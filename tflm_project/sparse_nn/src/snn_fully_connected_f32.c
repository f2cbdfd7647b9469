#include "snn_nn.h"

snn_status snn_fully_connected_f32(const float *input, int32_t input_size, const float *weights,
                                   const float *bias, float min, float max, float *output,
                                   int32_t output_size)
{
    for (int32_t o = 0; o < output_size; ++o) {
        float sum = bias != NULL ? bias[o] : 0.0f;
        for (int32_t i = 0; i < input_size; ++i) {
            sum += input[i] * *weights++;
        }
        output[o] = sum < min ? min : (sum > max ? max : sum);
    }
    return SNN_OK;
}
