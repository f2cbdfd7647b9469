#include "snn_dual.h"

void snn_dual_prepare(snn_dual_channel *to, int32_t bias, int32_t multiplier, int32_t shift,
                      const snn_quant *quant)
{
    const int32_t e = shift & (SNN_DUAL_EXACT - 1);
    /* The fast way gives every sum below the first threshold anything up to the zero point. */
    if (shift < SNN_DUAL_EXACT && e >= SNN_DUAL_UNIT - 8 &&
        quant->activation_min >= quant->output_offset) {
        to->bias = (int32_t)((uint32_t)bias << SNN_DUAL_ROOM);
        to->multiplier = multiplier >> (e - (SNN_DUAL_UNIT - 8));
        to->offset = (2 * quant->output_offset + 1) * (1 << (SNN_DUAL_UNIT - 1)) +
                     ((1 << (SNN_DUAL_UNIT - 1)) >> e);
    } else {
        to->bias = (int32_t)((uint32_t)bias << 1);
        to->multiplier = -multiplier;
        to->offset = (int32_t)((uint32_t)(2 * quant->output_offset + 1) << (e - 1));
    }
    to->shift = e;
}
