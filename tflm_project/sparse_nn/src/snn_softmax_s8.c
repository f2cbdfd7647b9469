/* Softmax in fixed point, the arithmetic of gemmlowp's fixedpoint.h as TFLite's reference uses
 * it: exp() of differences with 5 integer bits, sums with 12, a Newton reciprocal.
 */
#include "snn_nn.h"
#include "snn_requantize.h"

enum { DIFF_BITS = 5, SUM_BITS = 12 };

static int32_t shift_left_saturated(int32_t x, int32_t exponent)
{
    const int64_t wide = (int64_t)x * ((int64_t)1 << exponent);
    return wide > INT32_MAX ? INT32_MAX : (wide < INT32_MIN ? INT32_MIN : (int32_t)wide);
}

/* exp(x) for x in [-1/4, 0), both with 0 integer bits: a Taylor polynomial around -1/8. */
static int32_t exp_on_quarter(int32_t x)
{
    const int32_t exp_minus_eighth = 1895147668;
    const int32_t third = 715827883;
    const int32_t a = x + (1 << 28);
    const int32_t a2 = snn_doubling_high_mul(a, a);
    const int32_t a3 = snn_doubling_high_mul(a2, a);
    const int32_t a4_over_4 = snn_divide_by_power_of_two(snn_doubling_high_mul(a2, a2), 2);
    const int32_t tail = snn_divide_by_power_of_two(
        snn_doubling_high_mul(a4_over_4 + a3, third) + a2, 1);
    return exp_minus_eighth + snn_doubling_high_mul(exp_minus_eighth, a + tail);
}

/* exp(x) for x <= 0 with DIFF_BITS integer bits; the result has none. */
static int32_t exp_on_negative(int32_t x)
{
    /* exp(-2^k) for k = -2 … 4, without integer bits. */
    static const int32_t factor[7] = {1672461947, 1302514674, 790015084, 290630308,
                                      39332535,   720401,     242};
    const int32_t fraction = 31 - DIFF_BITS;
    const int32_t quarter = 1 << (fraction - 2);
    const int32_t part = (x & (quarter - 1)) - quarter;
    const int32_t rest = part - x;
    int32_t result = exp_on_quarter(shift_left_saturated(part, DIFF_BITS));
    if (x == 0) {
        return INT32_MAX;
    }
    for (int32_t k = 0; k < 7; ++k) {
        if (rest & (1 << (fraction - 2 + k))) {
            result = snn_doubling_high_mul(result, factor[k]);
        }
    }
    return result;
}

/* 1 / (1 + x) for x in [0, 1), both without integer bits: three Newton-Raphson steps. */
static int32_t one_over_one_plus(int32_t x)
{
    const int32_t half_denominator = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2);
    int32_t y = 1515870810 + snn_doubling_high_mul(half_denominator, -1010580540);
    for (int step = 0; step < 3; ++step) {
        const int32_t error = (1 << 29) - snn_doubling_high_mul(half_denominator, y);
        y += shift_left_saturated(snn_doubling_high_mul(y, error), 2);
    }
    return shift_left_saturated(y, 1);
}

static int32_t leading_zeros(uint32_t x)
{
    int32_t count = 0;
    for (; count < 32 && (x & 0x80000000u) == 0; x <<= 1) {
        ++count;
    }
    return count;
}

static int32_t scaled(int32_t diff, int32_t multiplier, int32_t left_shift)
{
    return snn_doubling_high_mul((int32_t)((uint32_t)diff << left_shift), multiplier);
}

snn_status snn_softmax_s8(const int8_t *input, int32_t rows, int32_t size, int32_t multiplier,
                          int32_t left_shift, int32_t diff_min, int8_t *output)
{
    for (int32_t row = 0; row < rows; ++row, input += size, output += size) {
        int32_t most = INT8_MIN;
        int32_t sum = 0;
        for (int32_t i = 0; i < size; ++i) {
            most = input[i] > most ? input[i] : most;
        }
        for (int32_t i = 0; i < size; ++i) {
            if (input[i] - most >= diff_min) {
                const int32_t x = scaled(input[i] - most, multiplier, left_shift);
                sum += snn_divide_by_power_of_two(exp_on_negative(x), SUM_BITS);
            }
        }
        const int32_t headroom = leading_zeros((uint32_t)sum);
        const int32_t over_unit = SUM_BITS - headroom;
        const int32_t fraction = (int32_t)(((uint32_t)sum << headroom) - (1u << 31));
        const int32_t reciprocal = one_over_one_plus(fraction);
        for (int32_t i = 0; i < size; ++i) {
            int32_t value = INT8_MIN;
            if (input[i] - most >= diff_min) {
                const int32_t x = scaled(input[i] - most, multiplier, left_shift);
                const int32_t product = snn_doubling_high_mul(reciprocal, exp_on_negative(x));
                value += snn_divide_by_power_of_two(product, over_unit + 31 - 8);
            }
            output[i] = (int8_t)snn_clamp(value, INT8_MIN, INT8_MAX);
        }
    }
    return SNN_OK;
}
