/* Requantization exactly as TFLite Micro does it: round twice.
 *
 * TFLite's MultiplyByQuantizedMultiplier multiplies by a 31-bit fraction with rounding
 * (SaturatingRoundingDoublingHighMul, half up) and then shifts right with rounding
 * (RoundingDivideByPOT, half away from zero).
 */
#ifndef SNN_REQUANTIZE_H
#define SNN_REQUANTIZE_H

#include <stdint.h>

/* value * multiplier * 2^(shift - 31). multiplier is in [2^30, 2^31) or 0, shift in [-31, 30].
 * A positive shift multiplies first and wraps where TFLite's would overflow. */
static inline int32_t snn_requantize(int32_t value, int32_t multiplier, int32_t shift)
{
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t right = shift > 0 ? 0 : -shift;
    const int32_t scaled = (int32_t)((uint32_t)value << left);
    /* floor(x + 1/2) equals TFLite's sign-dependent nudge with a division that truncates. Both
     * factors are -2^31 only if the multiplier were negative, so nothing saturates here. */
    const int32_t high =
        (int32_t)(((int64_t)scaled * multiplier + ((int64_t)1 << 30)) >> 31);
    const int32_t mask = (int32_t)(((uint32_t)1 << right) - 1);
    const int32_t threshold = (mask >> 1) + (high < 0);
    return (high >> right) + ((high & mask) > threshold);
}

static inline int32_t snn_clamp(int32_t value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : value;
}

#endif
