#include "snn_broadcast.h"

static inline void row(const int8_t *a, int32_t step_a, const int8_t *b, int32_t step_b,
                       const snn_elementwise *quant, int8_t *output, int32_t size)
{
    (void)quant; /* TFLite gives both inputs and the output one scale */
    for (int32_t i = 0; i < size; ++i, a += step_a, b += step_b) {
        output[i] = *a < *b ? *a : *b;
    }
}

snn_status snn_minimum_s8(const int8_t *input1, const int8_t *input2, const snn_broadcast *loop,
                          const snn_elementwise *quant, int8_t *output)
{
    SNN_BROADCAST(row, input1, input2, loop, quant, output);
    return SNN_OK;
}
