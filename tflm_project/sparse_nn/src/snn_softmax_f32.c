#include <math.h>

#include "snn_nn.h"

snn_status snn_softmax_f32(const float *input, int32_t rows, int32_t size, float beta,
                           float *output)
{
    for (int32_t row = 0; row < rows; ++row, input += size, output += size) {
        float most = input[0];
        float sum = 0.0f;
        for (int32_t i = 1; i < size; ++i) {
            most = input[i] > most ? input[i] : most;
        }
        for (int32_t i = 0; i < size; ++i) {
            output[i] = expf((input[i] - most) * beta);
            sum += output[i];
        }
        for (int32_t i = 0; i < size; ++i) {
            output[i] /= sum;
        }
    }
    return SNN_OK;
}
