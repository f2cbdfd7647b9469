/* Dense fully connected layer, four outputs at a time.
 *
 * The input is widened to int16 once, as pairs (x0, x2), (x1, x3), which is the order that SXTB16
 * gives the weights. Four inputs by four outputs then take six loads in a row, eight SXTB16 and
 * eight SMLAD: 23 cycles on Cortex-M4 for 16 multiply-accumulates. Weights stand as
 * [four outputs][four inputs][4][4], zeros filling up both sides.
 */
#include <string.h>

#include "snn_dual.h"
#include "snn_sparse.h"

enum { ROWS = 4, COLUMNS = 4 };

SNN_SMALL int32_t snn_fully_connected_wide_s8_get_scratch_size(int32_t input_size, int32_t output_size)
{
    return 2 * ((input_size + COLUMNS - 1) / COLUMNS * COLUMNS) +
           4 * ((output_size + ROWS - 1) / ROWS * ROWS);
}

static void widen(const int8_t *input, int32_t count, int16_t *to)
{
    for (; count > 0; count -= COLUMNS, input += COLUMNS, to += COLUMNS) {
        int8_t x[COLUMNS] = {0};
        memcpy(x, input, count < COLUMNS ? (size_t)count : COLUMNS);
        to[0] = x[0];
        to[1] = x[2];
        to[2] = x[1];
        to[3] = x[3];
    }
}

#if SNN_DUAL_ASSEMBLY

/* r0 inputs, r1 weights, r2 r3 inputs, r4-r7 weights, r8 temporary, r9-r12 sums, lr end of the
 * inputs. */
#define ROW(weights, sum)                            \
    "sxtb16 r8, " weights "\n"                       \
    "smlad  " sum ", r8, r2, " sum "\n"              \
    "sxtb16 " weights ", " weights ", ror #8\n"      \
    "smlad  " sum ", " weights ", r3, " sum "\n"
#define BLOCK                 \
    "ldr    r2, [r0], #8\n"   \
    "ldr    r3, [r0, #-4]\n"  \
    "ldr    r4, [r1], #16\n"  \
    "ldr    r5, [r1, #-12]\n" \
    "ldr    r6, [r1, #-8]\n"  \
    "ldr    r7, [r1, #-4]\n"  \
    ROW("r4", "r9") ROW("r5", "r10") ROW("r6", "r11") ROW("r7", "r12")

/* One group of four outputs over `blocks` blocks of four inputs; returns the next weights. */
__attribute__((naked, noinline)) static const int8_t *run_rows(const int16_t *input,
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
        "add    lr, r0, r2, lsl #3\n"
        "mov    r9, #0\n"
        "mov    r10, #0\n"
        "mov    r11, #0\n"
        "mov    r12, #0\n"
        /* blocks that are no multiple of four come first */
        "ands   r3, r2, #3\n"
        "beq    1f\n"
        "add    r3, r0, r3, lsl #3\n"
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
        "stm    r3, {r9-r12}\n"
        "mov    r0, r1\n"
        "pop    {r4-r11, pc}\n");
}

#else

static const int8_t *run_rows(const int16_t *input, const int8_t *weights, int32_t blocks,
                              int32_t *sums)
{
    memset(sums, 0, ROWS * sizeof *sums);
    for (; blocks > 0; --blocks, input += COLUMNS) {
        for (int32_t row = 0; row < ROWS; ++row, weights += COLUMNS) {
            sums[row] += weights[0] * input[0] + weights[2] * input[1] + weights[1] * input[2] +
                         weights[3] * input[3];
        }
    }
    return weights;
}

#endif

SNN_SMALL snn_status snn_fully_connected_wide_s8(const int8_t *input, int32_t input_size,
                                       const snn_dense_wide *weights, const snn_quant *quant,
                                       int8_t *output, int32_t output_size, void *scratch)
{
    const int32_t blocks = (input_size + COLUMNS - 1) / COLUMNS;
    int32_t *const sums = scratch;
    int16_t *const wide = (int16_t *)(sums + (output_size + ROWS - 1) / ROWS * ROWS);
    const int8_t *at = weights->weights;

    widen(input, input_size, wide);
    for (int32_t row = 0; row < output_size; row += ROWS) {
        at = run_rows(wide, at, blocks, sums + row);
    }
    snn_requantize_rows(sums, weights->bias2, weights->multiplier, weights->shift, quant, output,
                        output_size);
    return SNN_OK;
}
