/* Fully connected, weights pruned in blocks of four neighbouring outputs (4x1).
 *
 * Four outputs share one input and one offset. Two blocks at a time make pairs of weights and of
 * activations, so that one SMLAD does two multiply-accumulates. Only every second output's weights
 * are taken out of their bytes for it: a halfword of the stream is a + 256 * b with the weights a
 * and b of two outputs, and
 *     sum of x * (a + 256 * b)  less  sum of x * a  is  256 * sum of x * b
 * exactly, modulo 2^32, as long as |sum of x * b| < 2^23, which the generator proves. A batch of
 * four blocks, sixteen weights, costs 29 cycles on Cortex-M4, 1.8 a weight, and 20 bytes. Offsets
 * count from a moving base as in snn_fully_connected_octet_s8.c. Four outputs cost about 40 cycles
 * beside their batches, and 13 each for requantization at the end.
 */
#include "snn_sums.h"

enum { ROWS = 4, BLOCKS = 4, HEADER = 4, BATCH = 20, UNROLLED = 5, BATCH_CODE = 86 };

SNN_SMALL int32_t snn_fully_connected_4x1_s8_get_scratch_size(int32_t output_size)
{
    return 4 * ((output_size + ROWS - 1) / ROWS * ROWS);
}

#if SNN_DSP

/* r0-r3 offsets, then activations (the fourth in r4), r5 r12 weights, r6 stream, r7 base, r8-r11
 * sums, lr temporary. Stack: 0 input, 4 where the group ends, 8 next sum, 12 behind the last. */
#define PAIR(x)                       \
    "sxtb16 lr, r5\n"                 \
    "smlad  r8, lr, " x ", r8\n"      \
    "smlad  r9, r5, " x ", r9\n"      \
    "sxtb16 lr, r12\n"                \
    "smlad  r10, lr, " x ", r10\n"    \
    "smlad  r11, r12, " x ", r11\n"
#define FOUR_BLOCKS                   \
    "ldrb   r0, [r6, #16]\n"          \
    "ldrb   r1, [r6, #17]\n"          \
    "ldrb   r2, [r6, #18]\n"          \
    "ldrb   r3, [r6, #19]\n"          \
    "ldr    r5, [r6, #4]\n"           \
    "ldr.w  r12, [r6, #8]\n"          \
    "ldrsb  r0, [r7, r0]\n"           \
    "ldrsb  r1, [r7, r1]\n"           \
    "ldrsb  r2, [r7, r2]\n"           \
    "ldrsb  r4, [r7, r3]\n"           \
    "add    r7, r7, r3\n"             \
    "pkhbt  r0, r0, r1, lsl #16\n"    \
    PAIR("r0")                        \
    "ldr    r5, [r6, #12]\n"          \
    "ldr    r12, [r6], #20\n"         \
    "pkhbt  r2, r2, r4, lsl #16\n"    \
    PAIR("r2")

__attribute__((naked, noinline)) static void run_groups(const int8_t *input, const uint8_t *stream,
                                                        int32_t *sums, int32_t *end)
{
    (void)input;
    (void)stream;
    (void)sums;
    (void)end;
    __asm volatile(
        ".syntax unified\n"
        "push   {r4-r11, lr}\n"
        "sub    sp, sp, #16\n"
        "mov    r6, r1\n"
        "str    r0, [sp, #0]\n"
        "str    r2, [sp, #8]\n"
        "str    r3, [sp, #12]\n"
        ".balign 4\n"
        "1:\n"
        "ldrb   r2, [r6, #0]\n"
        "ldrh   r3, [r6, #2]\n"
        "ldr    r7, [sp, #0]\n"
        "adds   r6, r6, #4\n"
        "adr.w  r0, 3f + 1\n"
        "add    r0, r0, r2, lsl #1\n"
        "add    r3, r6, r3\n"
        "str    r3, [sp, #4]\n"
        "mov    r8, #0\n"
        "mov    r9, #0\n"
        "mov    r10, #0\n"
        "mov    r11, #0\n"
        "bx     r0\n"
        ".balign 4\n"
        "3:\n"
        ".rept 5\n" FOUR_BLOCKS ".endr\n"
        "ldr    r0, [sp, #4]\n"
        "cmp    r6, r0\n"
        "bne    3b\n"
        "ldr    r0, [sp, #8]\n"
        "ldr    r1, [sp, #12]\n"
        "sub    r9, r9, r8\n"
        "sub    r11, r11, r10\n"
        "asr    r9, r9, #8\n"
        "asr    r11, r11, #8\n"
        "stm    r0!, {r8-r11}\n"
        "str    r0, [sp, #8]\n"
        "cmp    r0, r1\n"
        "bne    1b\n"
        "add    sp, sp, #16\n"
        "pop    {r4-r11, pc}\n");
}

#else

static void run_groups(const int8_t *input, const uint8_t *stream, int32_t *sums, int32_t *end)
{
    for (; sums < end; sums += ROWS) {
        const int8_t *x = input;
        int32_t sum[ROWS] = {0};
        int32_t batches = stream[1];
        for (stream += HEADER; batches > 0; --batches, stream += BATCH) {
            /* words: second pair's rows 2 and 3, first pair's rows 0 and 1, its rows 2 and 3,
             * second pair's rows 0 and 1; a word is two rows of the first block, then the second,
             * and a negative weight has borrowed one from the weight above it */
            const int8_t *const weights = (const int8_t *)stream;
            for (int32_t block = 0; block < BLOCKS; ++block) {
                const int8_t *const low = weights + (block < 2 ? 4 : 12) + 2 * (block & 1);
                const int8_t *const high = weights + (block < 2 ? 8 : 0) + 2 * (block & 1);
                const int32_t value = x[stream[16 + block]];
                sum[0] += value * low[0];
                sum[1] += value * (low[1] + (low[0] < 0));
                sum[2] += value * high[0];
                sum[3] += value * (high[1] + (high[0] < 0));
            }
            x += stream[BATCH - 1];
        }
        for (int32_t row = 0; row < ROWS; ++row) {
            sums[row] = sum[row];
        }
    }
}

#endif

#ifdef SNN_CHECKED
static snn_status check(const snn_stream_sums *weights, int32_t input_size, int32_t output_size)
{
    const uint8_t *at = weights->stream;
    const uint8_t *const end = at + weights->size;
    for (int32_t row = 0; row < output_size; row += ROWS) {
        int32_t place = 0;
        if (end - at < HEADER) {
            return SNN_BAD_STREAM;
        }
        const int32_t batches = at[1];
        const int32_t left_out =
            batches == 0 ? UNROLLED : (UNROLLED - batches % UNROLLED) % UNROLLED;
        if (at[0] != left_out * (BATCH_CODE / 2) || at[2] + 256 * at[3] != BATCH * batches) {
            return SNN_BAD_STREAM;
        }
        at += HEADER;
        for (int32_t i = 0; i < batches; ++i, at += BATCH) {
            if (end - at < BATCH) {
                return SNN_BAD_STREAM;
            }
            for (int32_t j = 16; j < BATCH; ++j) {
                if (place + at[j] >= input_size) {
                    return SNN_BAD_STREAM;
                }
            }
            place += at[BATCH - 1];
        }
    }
    return SNN_OK;
}
#endif

SNN_SMALL snn_status snn_fully_connected_4x1_s8(const int8_t *input, int32_t input_size,
                                                const snn_stream_sums *weights,
                                                const snn_quant *quant, int8_t *output,
                                                int32_t output_size, void *scratch)
{
#ifdef SNN_CHECKED
    if (check(weights, input_size, output_size) != SNN_OK) {
        return SNN_BAD_STREAM;
    }
#else
    (void)input_size;
#endif
    return snn_sums_run(run_groups, ROWS, input, weights, quant, output, output_size, scratch);
}
