/* Requantization of one sum per output, shared by the fully connected kernels.
 *
 * 13 cycles an output on Cortex-M4, 7 with MVE, which does TFLite's two roundings one by one:
 * VQRDMULH is the first, VRSHL the second but for ties of negative values, which one less sets
 * right. For a right shift e >= 1 TFLite's two roundings are
 * SMMLAR(2s, multiplier, 2^(e-1) + (s asr 31)) asr e, see docs/kernels.md; the tables hold twice
 * the bias and e - 1, and the last bit of the shift is SSAT's.
 */
#include "snn_sparse.h"
#include "snn_target.h"

#if SNN_MVE

/* Four outputs a round; the loop masks what is left over. */
void snn_requantize_rows(const int32_t *sums, const int32_t *bias2, const int32_t *multiplier,
                         const uint8_t *shift, const snn_quant *quant, int8_t *output,
                         int32_t count)
{
    int8_t *to = output;
    __asm volatile(
        "wlstp.32 lr, %[count], 2f\n"
        "1:\n"
        "vldrw.u32 q0, [%[bias2]], #16\n"
        "vshr.s32 q0, q0, #1\n"
        "vldrw.u32 q1, [%[sums]], #16\n"
        "vadd.i32 q0, q0, q1\n"
        "vldrw.u32 q1, [%[multiplier]], #16\n"
        "vqrdmulh.s32 q0, q0, q1\n"
        "vldrb.u32 q2, [%[shift]], #4\n"
        "vshr.s32 q1, q0, #31\n"
        "vmvn   q2, q2\n"
        "vadd.i32 q0, q0, q1\n"
        "vrshl.s32 q0, q0, q2\n"
        "vadd.i32 q0, q0, %[zero_point]\n"
        "vqmovnb.s32 q0, q0\n"
        "vqmovnb.s16 q0, q0\n"
        "vstrb.32 q0, [%[to]], #4\n"
        "letp   lr, 1b\n"
        "2:\n"
        : [sums] "+r"(sums), [bias2] "+r"(bias2), [multiplier] "+r"(multiplier),
          [shift] "+r"(shift), [to] "+r"(to)
        : [count] "r"(count), [zero_point] "r"(quant->output_offset)
        : "lr", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10",
          "s11");
    snn_clamp_outputs(output, count, quant);
}

#elif SNN_DSP

/* Where the tables are read; in the order of the registers r0 to r6. */
typedef struct {
    const int32_t *sums;
    const int32_t *bias2;
    const int32_t *multiplier;
    const uint8_t *shift;
    int32_t offset;
    int8_t *output;
    int32_t count;
} rows;

#define OUTPUT                            \
    "ldr    r8, [r0], #4\n"               \
    "ldr    r9, [r1], #4\n"               \
    "ldr    r10, [r2], #4\n"              \
    "ldrb   r11, [r3], #1\n"              \
    "add    r8, r9, r8, lsl #1\n"         \
    "lsl    r9, r4, r11\n"                \
    "add    r9, r9, r8, asr #31\n"        \
    "smmlar r8, r8, r10, r9\n"            \
    "asr    r8, r8, r11\n"                \
    "ssat   r8, #8, r8, asr #1\n"         \
    "strb   r8, [r5], #1\n"

/* Four outputs in a row, entered where their number asks for. */
__attribute__((naked, noinline)) static void run_outputs(const rows *at)
{
    (void)at;
    __asm volatile(
        ".syntax unified\n"
        "push   {r4-r11, lr}\n"
        "ldm    r0, {r0-r6}\n"
        "add    r6, r0, r6, lsl #2\n"
        "subs   r7, r0, r6\n"
        "and    r7, r7, #12\n" /* four times the outputs to leave out, 44 bytes each */
        "adr.w  r8, 1f + 1\n"
        "add    r8, r8, r7, lsl #3\n"
        "add    r7, r7, r7, lsl #1\n"
        "add    r8, r8, r7\n"
        "bx     r8\n"
        ".balign 4\n"
        "1:\n"
        ".rept 4\n" OUTPUT ".endr\n"
        "cmp    r0, r6\n"
        "bne    1b\n"
        "pop    {r4-r11, pc}\n");
}

SNN_SMALL void snn_requantize_rows(const int32_t *sums, const int32_t *bias2,
                                   const int32_t *multiplier, const uint8_t *shift,
                                   const snn_quant *quant, int8_t *output, int32_t count)
{
    const rows at = {sums, bias2, multiplier, shift, 2 * quant->output_offset + 1, output, count};
    if (count > 0) {
        run_outputs(&at);
    }
    snn_clamp_outputs(output, count, quant);
}

#else

void snn_requantize_rows(const int32_t *sums, const int32_t *bias2, const int32_t *multiplier,
                         const uint8_t *shift, const snn_quant *quant, int8_t *output,
                         int32_t count)
{
    const uint32_t offset = (uint32_t)(2 * quant->output_offset + 1);
    for (int32_t i = 0; i < count; ++i) {
        const int32_t v = (int32_t)(2u * (uint32_t)sums[i] + (uint32_t)bias2[i]);
        const int64_t product = (int64_t)v * multiplier[i] + ((int64_t)1 << 31);
        const int32_t high =
            (int32_t)(product >> 32) + (int32_t)(offset << shift[i]) + (v >> 31);
        const int32_t value = high >> shift[i] >> 1;
        output[i] = (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
    }
    snn_clamp_outputs(output, count, quant);
}

#endif
