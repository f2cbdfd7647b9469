/* Addition of two activations of one shape, by table.
 *
 * An int8 input has 256 values, so its share of the sum, shifted and requantized as TFLite does it,
 * is looked up: two tables of int32, built in scratch at every call (about 20 cycles an entry).
 * An output is then two look-ups, an addition and one requantization, 14 cycles on Cortex-M4
 * instead of about 100.
 */
#include "snn_nn.h"
#include "snn_requantize.h"
#include "snn_sparse.h"
#include "snn_target.h"

enum { VALUES = 256 };

int32_t snn_add_packed_s8_get_scratch_size(void) { return 2 * VALUES * (int32_t)sizeof(int32_t); }

/* Twice the share of each value, so that the requantization of the sum needs no doubling. */
SNN_SMALL static void fill(int32_t offset, int32_t multiplier, int32_t shift, int32_t left_shift,
                           int32_t *to)
{
    for (int32_t value = -128; value < 128; ++value) {
        const int32_t x = (value + offset) * (1 << left_shift);
        *to++ = 2 * snn_requantize(x, multiplier, shift);
    }
}

static inline int32_t finish(int32_t v, int32_t multiplier, int32_t offset, int32_t shift)
{
    int32_t value = offset + (v >> 31);
#if SNN_DSP
    __asm("smmlar %0, %1, %2, %0\n"
          "asr     %0, %0, %3\n"
          "ssat    %0, #8, %0"
          : "+&r"(value)
          : "r"(v), "r"(multiplier), "r"(shift));
#else
    value += (int32_t)(((int64_t)v * multiplier + ((int64_t)1 << 31)) >> 32);
    value >>= shift;
    value = value < -128 ? -128 : value > 127 ? 127 : value;
#endif
    return value;
}

snn_status snn_add_packed_s8(const int8_t *input1, const int8_t *input2,
                             const snn_elementwise *quant, int8_t *output, int32_t size,
                             void *scratch)
{
    int32_t *const table1 = scratch;
    int32_t *const table2 = table1 + VALUES;
    const int32_t shift = -quant->output_shift;
    const int32_t multiplier = quant->output_multiplier;
    const int32_t offset = (int32_t)((uint32_t)(2 * quant->output_offset + 1) << (shift - 1));
    const snn_quant bounds = {0, 0, quant->activation_min, quant->activation_max};
    int8_t *to = output;

    if (shift < 1 || shift > 22 || quant->left_shift > 20 || quant->shift1 > 0 ||
        quant->shift2 > 0) {
        return SNN_BAD_ARGUMENT;
    }
    fill(quant->offset1, quant->multiplier1, quant->shift1, quant->left_shift, table1);
    fill(quant->offset2, quant->multiplier2, quant->shift2, quant->left_shift, table2);

    const int32_t *const middle1 = table1 + VALUES / 2;
    const int32_t *const middle2 = table2 + VALUES / 2;
#if defined(__GNUC__)
#pragma GCC unroll 4
#endif
    for (const int8_t *const end = input1 + size; input1 < end;) {
        const int32_t v = middle1[*input1++] + middle2[*input2++];
        *to++ = (int8_t)finish(v, multiplier, offset, shift);
    }
    snn_clamp_outputs(output, size, &bounds);
    return SNN_OK;
}
