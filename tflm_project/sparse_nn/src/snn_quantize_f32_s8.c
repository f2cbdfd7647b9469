#include <math.h>

#include "snn_nn.h"

snn_status snn_quantize_f32_s8(const float *input, float scale, int32_t zero_point,
                               int8_t *output, int32_t size)
{
    for (int32_t i = 0; i < size; ++i) {
        /* Clamped before the cast: a float outside int32 has no integer. */
        const float value = roundf(input[i] / scale) + (float)zero_point;
        output[i] = (int8_t)(value < -128.0f ? -128.0f : (value > 127.0f ? 127.0f : value));
    }
    return SNN_OK;
}
