#include <math.h>

#include "snn_nn.h"

static float activate(snn_activation kind, float alpha, float x)
{
    switch (kind) {
    case SNN_LOGISTIC:
        return 1.0f / (1.0f + expf(-x));
    case SNN_TANH:
        return tanhf(x);
    case SNN_HARD_SWISH:
        return x * fminf(fmaxf(x + 3.0f, 0.0f), 6.0f) / 6.0f;
    case SNN_LEAKY_RELU:
        return x > 0.0f ? x : alpha * x;
    case SNN_RELU6:
        return fminf(fmaxf(x, 0.0f), 6.0f);
    case SNN_RELU:
    default:
        return fmaxf(x, 0.0f);
    }
}

snn_status snn_activate_f32(const float *input, snn_activation kind, float alpha, float *output,
                            int32_t size)
{
    for (int32_t i = 0; i < size; ++i) {
        output[i] = activate(kind, alpha, input[i]);
    }
    return SNN_OK;
}
