#include "snn_target.h"

void snn_clamp_outputs(int8_t *values, int32_t count, const snn_quant *quant)
{
    if (quant->activation_min <= -128 && quant->activation_max >= 127) {
        return;
    }
    for (; count > 0; --count, ++values) {
        const int32_t value = *values;
        *values = (int8_t)(value < quant->activation_min   ? quant->activation_min
                           : value > quant->activation_max ? quant->activation_max
                                                           : value);
    }
}
