/* Requantization as TFLite Micro does it: a 31-bit multiplier, then a rounding shift. It rounds
 * twice (gemmlowp's SaturatingRoundingDoublingHighMul, then RoundingDivideByPOT), which a single
 * rounding would not reproduce byte for byte.
 */
#ifndef SNN_REQUANTIZE_H
#define SNN_REQUANTIZE_H

#include <stdint.h>

/* round(a * b / 2^31), ties upwards; saturates at its one overflow. */
static inline int32_t snn_doubling_high_mul(int32_t a, int32_t b)
{
    if (a == INT32_MIN && b == INT32_MIN) {
        return INT32_MAX;
    }
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* round(x / 2^exponent), ties away from zero; exponent 0..31. */
static inline int32_t snn_divide_by_power_of_two(int32_t x, int32_t exponent)
{
    const int32_t mask = (int32_t)((1u << exponent) - 1u);
    const int32_t remainder = x & mask;
    const int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
    return (x >> exponent) + (remainder > threshold ? 1 : 0);
}

/* x * multiplier * 2^(shift - 31); a positive shift goes left first. */
static inline int32_t snn_requantize(int32_t x, int32_t multiplier, int32_t shift)
{
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t right = shift > 0 ? 0 : -shift;
    const int32_t shifted = (int32_t)((uint32_t)x << left);
    return snn_divide_by_power_of_two(snn_doubling_high_mul(shifted, multiplier), right);
}

static inline int32_t snn_clamp(int32_t x, int32_t low, int32_t high)
{
    return x < low ? low : (x > high ? high : x);
}

#endif
