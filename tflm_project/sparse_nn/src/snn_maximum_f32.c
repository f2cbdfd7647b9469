#include "snn_broadcast.h"

static inline void row(const float *a, int32_t step_a, const float *b, int32_t step_b,
                       const snn_bounds *bounds, float *output, int32_t size)
{
    for (int32_t i = 0; i < size; ++i, a += step_a, b += step_b) {
        const float value = *a > *b ? *a : *b;
        output[i] = value < bounds->min ? bounds->min : (value > bounds->max ? bounds->max : value);
    }
}

snn_status snn_maximum_f32(const float *input1, const float *input2, const snn_broadcast *loop,
                       const snn_bounds *bounds, float *output)
{
    SNN_BROADCAST(row, input1, input2, loop, bounds, output);
    return SNN_OK;
}
