/* Requantization of one sum per output, shared by the fully connected kernels.
 *
 * About 19 cycles an output on Cortex-M4. For a right shift e >= 1 TFLite's two roundings are
 * SMMLAR(2s, multiplier, 2^(e-1) + (s asr 31)) asr e, see docs/kernels.md.
 */
#include "snn_dual.h"
#include "snn_sparse.h"

void snn_requantize_rows(const int32_t *sums, const int32_t *bias, const int32_t *multiplier,
                         const uint8_t *shift, const snn_quant *quant, int8_t *output,
                         int32_t count)
{
    const int32_t offset = 2 * quant->output_offset + 1;
    const int32_t *const end = sums + count;
    int8_t *to = output;
    while (sums < end) {
        const int32_t v = (int32_t)(2u * ((uint32_t)*sums++ + (uint32_t)*bias++));
        const int32_t e = *shift++;
        int32_t value = (int32_t)((uint32_t)offset << (e - 1)) + (v >> 31);
#if SNN_DUAL_ASSEMBLY
        __asm("smmlar %0, %1, %2, %0\n"
              "asr     %0, %0, %3\n"
              "ssat    %0, #8, %0"
              : "+r"(value)
              : "r"(v), "r"(*multiplier++), "r"(e));
#else
        value += (int32_t)(((int64_t)v * *multiplier++ + ((int64_t)1 << 31)) >> 32);
        value >>= e;
        value = value < -128 ? -128 : value > 127 ? 127 : value;
#endif
        *to++ = (int8_t)value;
    }
    snn_dual_clamp(output, count, quant);
}
