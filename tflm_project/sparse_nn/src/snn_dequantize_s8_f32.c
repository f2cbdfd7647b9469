#include "snn_nn.h"

snn_status snn_dequantize_s8_f32(const int8_t *input, float scale, int32_t zero_point,
                                 float *output, int32_t size)
{
    for (int32_t i = 0; i < size; ++i) {
        output[i] = scale * (float)(input[i] - zero_point);
    }
    return SNN_OK;
}
