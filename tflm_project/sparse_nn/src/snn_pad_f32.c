#include <string.h>

#include "snn_nn.h"

snn_status snn_pad_f32(const float *input, snn_shape input_shape, int32_t top, int32_t left,
                       float value, float *output, snn_shape output_shape)
{
    const int32_t row = input_shape.w * input_shape.c;
    for (int32_t i = 0; i < output_shape.h * output_shape.w * output_shape.c; ++i) {
        output[i] = value;
    }
    for (int32_t y = 0; y < input_shape.h; ++y) {
        memcpy(output + ((y + top) * output_shape.w + left) * output_shape.c, input + y * row,
               (size_t)row * sizeof *input);
    }
    return SNN_OK;
}
