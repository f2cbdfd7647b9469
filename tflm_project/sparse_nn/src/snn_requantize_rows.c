/* Requantization of one sum per output, shared by the fully connected kernels.
 *
 * About 14 cycles an output on Cortex-M4. For a right shift e >= 1 TFLite's two roundings are
 * SMMLAR(2s, multiplier, 2^(e-1) + (s asr 31)) asr e, see docs/kernels.md; the tables hold twice
 * the bias and e - 1, and the last bit of the shift is SSAT's.
 */
#include "snn_dual.h"
#include "snn_sparse.h"

static inline int32_t finish(int32_t v, int32_t multiplier, int32_t offset, int32_t e1)
{
    int32_t value = (int32_t)((uint32_t)offset << e1) + (v >> 31);
#if SNN_DUAL_ASSEMBLY
    __asm("smmlar %0, %1, %2, %0\n"
          "asr     %0, %0, %3\n"
          "ssat    %0, #8, %0, asr #1"
          : "+&r"(value)
          : "r"(v), "r"(multiplier), "r"(e1));
#else
    value += (int32_t)(((int64_t)v * multiplier + ((int64_t)1 << 31)) >> 32);
    value = value >> e1 >> 1;
    value = value < -128 ? -128 : value > 127 ? 127 : value;
#endif
    return value;
}

void snn_requantize_rows(const int32_t *sums, const int32_t *bias2, const int32_t *multiplier,
                         const uint8_t *shift, const snn_quant *quant, int8_t *output,
                         int32_t count)
{
    const int32_t offset = 2 * quant->output_offset + 1;
    int8_t *to = output;
#if defined(__GNUC__)
#pragma GCC unroll 4
#endif
    for (const int32_t *const end = sums + count; sums < end;) {
        const int32_t v = (int32_t)(2u * (uint32_t)*sums++ + (uint32_t)*bias2++);
        *to++ = (int8_t)finish(v, *multiplier++, offset, *shift++);
    }
    snn_dual_clamp(output, count, quant);
}
