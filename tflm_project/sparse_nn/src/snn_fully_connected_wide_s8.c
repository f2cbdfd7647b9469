/* Dense fully connected layer, four outputs at a time.
 *
 * Four inputs are one load and two SXTB16: the pairs (x0, x2) and (x1, x3). A word of weights is
 * such a pair for two outputs, each half of it the number a + 256 * b of their weights a and b;
 * snn_fully_connected_4x1_s8.c says how the two sums come apart. Four inputs by four outputs take
 * five loads in a row, six SXTB16 and eight SMLAD: 20 cycles on Cortex-M4 for 16
 * multiply-accumulates. Weights stand as bridge/encode/wide.py says, zeros filling up both sides.
 */
#include <string.h>

#include "snn_sparse.h"
#include "snn_target.h"

enum { ROWS = 4, COLUMNS = 4 };

SNN_SMALL int32_t snn_fully_connected_wide_s8_get_scratch_size(int32_t output_size)
{
    return 4 * ((output_size + ROWS - 1) / ROWS * ROWS);
}

#if SNN_DSP

/* r0 input, r1 weights, r2 r3 inputs, r4-r7 weights, r8 temporary, r9-r12 sums, lr end of the
 * input. */
#define PAIR(weights, inputs, low, high)             \
    "sxtb16 r8, " weights "\n"                       \
    "smlad  " low ", r8, " inputs ", " low "\n"      \
    "smlad  " high ", " weights ", " inputs ", " high "\n"
#define BLOCK                 \
    "ldr    r2, [r0], #4\n"   \
    "ldr    r4, [r1], #16\n"  \
    "ldr    r5, [r1, #-12]\n" \
    "ldr    r6, [r1, #-8]\n"  \
    "ldr    r7, [r1, #-4]\n"  \
    "sxtb16 r3, r2, ror #8\n" \
    "sxtb16 r2, r2\n"         \
    PAIR("r4", "r2", "r9", "r10") PAIR("r5", "r3", "r9", "r10") \
    PAIR("r6", "r2", "r11", "r12") PAIR("r7", "r3", "r11", "r12")

/* Adds `blocks` blocks of four inputs to the sums of four outputs; returns the next weights. */
__attribute__((naked, noinline)) static const int8_t *run_rows(const int8_t *input,
                                                               const int8_t *weights,
                                                               int32_t blocks, int32_t *sums)
{
    (void)input;
    (void)weights;
    (void)blocks;
    (void)sums;
    __asm volatile(
        ".syntax unified\n"
        "push   {r3-r11, lr}\n"
        "add    lr, r0, r2, lsl #2\n"
        "ldm    r3, {r9-r12}\n"
        "add    r10, r9, r10, lsl #8\n"
        "add    r12, r11, r12, lsl #8\n"
        /* blocks that are no multiple of four come first */
        "ands   r3, r2, #3\n"
        "beq    1f\n"
        "add    r3, r0, r3, lsl #2\n"
        "str    r3, [sp, #-4]!\n"
        "0:\n"
        BLOCK
        "ldr    r3, [sp]\n"
        "cmp    r0, r3\n"
        "bne    0b\n"
        "add    sp, sp, #4\n"
        "cmp    r0, lr\n"
        "beq    2f\n"
        "1:\n"
        BLOCK BLOCK BLOCK BLOCK
        "cmp    r0, lr\n"
        "bne    1b\n"
        "2:\n"
        "pop    {r3}\n"
        "sub    r10, r10, r9\n"
        "sub    r12, r12, r11\n"
        "asr    r10, r10, #8\n"
        "asr    r12, r12, #8\n"
        "stm    r3, {r9-r12}\n"
        "mov    r0, r1\n"
        "pop    {r4-r11, pc}\n");
}

#else

static const int8_t *run_rows(const int8_t *input, const int8_t *weights, int32_t blocks,
                              int32_t *sums)
{
    for (; blocks > 0; --blocks, input += COLUMNS) {
        for (int32_t word = 0; word < 4; ++word) {
            for (int32_t half = 0; half < 2; ++half, weights += 2) {
                const int32_t x = input[2 * half + (word & 1)];
                int32_t *const to = sums + (word & 2);
                to[0] += x * weights[0];
                to[1] += x * (weights[1] + (weights[0] < 0));
            }
        }
    }
    return weights;
}

#endif

SNN_SMALL snn_status snn_fully_connected_wide_s8(const int8_t *input, int32_t input_size,
                                                 const snn_dense_wide *weights,
                                                 const snn_quant *quant, int8_t *output,
                                                 int32_t output_size, void *scratch)
{
    const int32_t blocks = input_size / COLUMNS;
    const int32_t rest = input_size % COLUMNS;
    int32_t *const sums = scratch;
    int8_t last[COLUMNS] = {0};
    const int8_t *at = weights->weights;

    for (int32_t i = 0; i < rest; ++i) {
        last[i] = input[COLUMNS * blocks + i];
    }
    for (int32_t row = 0; row < output_size; row += ROWS) {
        for (int32_t i = 0; i < ROWS; ++i) {
            sums[row + i] = 0;
        }
        if (blocks > 0) {
            at = run_rows(input, at, blocks, sums + row);
        }
        if (rest > 0) {
            at = run_rows(last, at, 1, sums + row);
        }
    }
    snn_requantize_rows(sums, weights->bias2, weights->multiplier, weights->shift, quant, output,
                        output_size);
    return SNN_OK;
}
