"""TFLite Micro's fixed-point arithmetic in Python integers, for tables made at generation.

Sources: gemmlowp's fixedpoint.h, tensorflow/lite/kernels/internal/common.h. The same arithmetic
stands in C in ``snn_requantize.h`` and ``snn_softmax_s8.c``.
"""

from __future__ import annotations

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def clamp(value: int, low: int, high: int) -> int:
    """The nearest value within bounds."""
    return min(max(value, low), high)


def high_mul(a: int, b: int) -> int:
    """round(a * b / 2^31), ties upwards: SaturatingRoundingDoublingHighMul."""
    return min((a * b + (1 << 30)) >> 31, INT32_MAX)


def divide_by_power_of_two(value: int, exponent: int) -> int:
    """round(value / 2^exponent), ties away from zero: RoundingDivideByPOT."""
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (value < 0)
    return (value >> exponent) + ((value & mask) > threshold)


def requantize(value: int, multiplier: int, shift: int) -> int:
    """value * multiplier * 2^(shift - 31), rounded twice: MultiplyByQuantizedMultiplier."""
    return divide_by_power_of_two(high_mul(value << max(shift, 0), multiplier), max(-shift, 0))


def shift_left(value: int, amount: int) -> int:
    """value * 2^amount, saturated to int32."""
    return clamp(value << amount, INT32_MIN, INT32_MAX)


def truncate(value: int, divisor: int) -> int:
    """C's division: towards zero."""
    return abs(value) // divisor * (1 if value >= 0 else -1)


# exp(-2^k) for k = -2 … 4, in Q31.
_EXP_OF_MINUS_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def _exp_on_quarter(x: int) -> int:
    """exp(x) for x in [-1/4, 0), Q31 in and out: a Taylor polynomial around -1/8."""
    a = x + (1 << 28)
    a2 = high_mul(a, a)
    a3 = high_mul(a2, a)
    quarter_a4 = divide_by_power_of_two(high_mul(a2, a2), 2)
    tail = divide_by_power_of_two(high_mul(quarter_a4 + a3, 715827883) + a2, 1)
    return 1895147668 + high_mul(1895147668, a + tail)


def exp_on_negative(x: int, integer_bits: int) -> int:
    """exp(x) in Q31 for x <= 0 with at most 5 integer bits."""
    if x == 0:
        return INT32_MAX
    fraction = 31 - integer_bits
    quarter = 1 << (fraction - 2)
    part = (x & (quarter - 1)) - quarter
    rest = part - x
    result = _exp_on_quarter(shift_left(part, integer_bits))
    for power, factor in enumerate(_EXP_OF_MINUS_POWERS, start=-2):
        if integer_bits > power and rest & (1 << (fraction + power)):
            result = high_mul(result, factor)
    return result


def _reciprocal(x: int) -> int:
    """2 / (1 + x) with 2 integer bits, for x in [0, 1] in Q31: Newton-Raphson."""
    half_denominator = (x + INT32_MAX + 1) // 2
    y = 1515870810 + high_mul(half_denominator, -1010580540)
    for _ in range(3):
        error = (1 << 29) - high_mul(half_denominator, y)
        y += shift_left(high_mul(y, error), 2)
    return y


def logistic(x: int) -> int:
    """1 / (1 + exp(-x)) in Q31, for x with 4 integer bits."""
    if x == 0:
        return 1 << 30
    positive = shift_left(_reciprocal(exp_on_negative(-abs(x), 4)), 1)
    return positive if x > 0 else INT32_MAX - positive


def tanh(x: int) -> int:
    """tanh(x) in Q31, for x with 4 integer bits."""
    if x == 0:
        return 0
    # exp(-2|x|): the same bits, read with one integer bit more.
    positive = shift_left(_reciprocal(exp_on_negative(-abs(x), 5)) - (1 << 29), 2)
    return positive if x > 0 else -positive
