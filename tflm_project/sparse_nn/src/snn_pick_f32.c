#include <string.h>

#include "snn_nn.h"

snn_status snn_pick_f32(const float *input, snn_shape input_shape, const uint16_t *rows,
                       const uint16_t *columns, float *output, snn_shape output_shape)
{
    const size_t depth = (size_t)input_shape.c;
    for (int32_t y = 0; y < output_shape.h; ++y) {
        const float *const row = input + (size_t)rows[y] * (size_t)input_shape.w * depth;
        for (int32_t x = 0; x < output_shape.w; ++x, output += depth) {
            memcpy(output, row + columns[x] * depth, depth * sizeof *output);
        }
    }
    return SNN_OK;
}
