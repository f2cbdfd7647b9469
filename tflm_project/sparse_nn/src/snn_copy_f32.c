#include <string.h>

#include "snn_nn.h"

snn_status snn_copy_f32(const float *input, const snn_copy *loop, float *output)
{
    const int32_t *const size = loop->size;
    const int32_t *const s = loop->input_stride;
    const int32_t *const t = loop->output_stride;
    for (int32_t i = 0; i < size[0]; ++i) {
        for (int32_t j = 0; j < size[1]; ++j) {
            for (int32_t k = 0; k < size[2]; ++k) {
                const float *from = input + loop->input_first + i * s[0] + j * s[1] + k * s[2];
                float *to = output + loop->output_first + i * t[0] + j * t[1] + k * t[2];
                if (s[3] == 1 && t[3] == 1) {
                    memcpy(to, from, (size_t)size[3] * sizeof *to);
                    continue;
                }
                for (int32_t l = 0; l < size[3]; ++l) {
                    to[l * t[3]] = from[l * s[3]];
                }
            }
        }
    }
    return SNN_OK;
}
