/* Fully connected, unstructured sparse weights in batches of eight.
 *
 * A batch is two words of weights and eight offsets from a moving base, the last of which moves
 * the base on. On Cortex-M4 all eighteen loads of a batch stand in one row and cost 19 cycles;
 * with four SXTB16, eight SMLABB or SMLABT, and the base's step it makes 32: 4.0 cycles a weight,
 * and 6 for every fifth batch. A row costs about 40 cycles beside its batches. Sums are kept in
 * scratch and requantized at the end, because a batch takes every register.
 */
#include "snn_dual.h"
#include "snn_sparse.h"

#if SNN_MVE
#include <arm_mve.h>
#endif

enum { BATCH = 8, HALF = 4, HEADER = 4, UNROLLED = 5, BATCH_CODE = 98 };

SNN_SMALL int32_t snn_fully_connected_octet_s8_get_scratch_size(int32_t output_size)
{
    return 4 * output_size;
}

#if SNN_MVE

/* A batch is one gather of eight activations and one VMLADAVA. */
static void run_rows(const int8_t *input, const uint8_t *stream, int32_t *sums, int32_t *end)
{
    const mve_pred16_t four = vctp16q(HALF);
    for (; sums < end; ++sums) {
        const int8_t *x = input;
        int32_t sum = 0;
        int32_t batches = stream[1];
        const int32_t half = stream[2];
        stream += HEADER;
        if (half) {
            const int16x8_t weights = vldrbq_z_s16((const int8_t *)stream, four);
            const uint16x8_t offsets = vldrbq_z_u16(stream + HALF, four);
            sum = vmladavaq_s16(sum, weights, vldrbq_gather_offset_z_s16(x, offsets, four));
            x += stream[2 * HALF - 1];
            stream += 2 * HALF;
        }
        for (; batches > 0; --batches, stream += 2 * BATCH) {
            const int16x8_t weights = vldrbq_s16((const int8_t *)stream);
            const uint16x8_t offsets = vldrbq_u16(stream + BATCH);
            sum = vmladavaq_s16(sum, weights, vldrbq_gather_offset_s16(x, offsets));
            x += stream[2 * BATCH - 1];
        }
        *sums = sum;
    }
}

#elif SNN_DUAL_ASSEMBLY

/* r0-r5 r8 r9 offsets, then activations (the eighth in r10), r6 stream, r7 base, r11 r12 weights,
 * lr sum. Stack: 0 input, 4 where the row ends, 8 next sum, 12 behind the last sum. */
#define BATCH_OF_EIGHT             \
    "ldrb   r0, [r6, #8]\n"        \
    "ldrb   r1, [r6, #9]\n"        \
    "ldrb   r2, [r6, #10]\n"       \
    "ldrb   r3, [r6, #11]\n"       \
    "ldrb   r4, [r6, #12]\n"       \
    "ldrb   r5, [r6, #13]\n"       \
    "ldrb   r8, [r6, #14]\n"       \
    "ldrb   r9, [r6, #15]\n"       \
    "ldr    r12, [r6, #4]\n"       \
    "ldr    r11, [r6], #16\n"      \
    "ldrsb  r0, [r7, r0]\n"        \
    "ldrsb  r1, [r7, r1]\n"        \
    "ldrsb  r2, [r7, r2]\n"        \
    "ldrsb  r3, [r7, r3]\n"        \
    "ldrsb  r4, [r7, r4]\n"        \
    "ldrsb  r5, [r7, r5]\n"        \
    "ldrsb  r8, [r7, r8]\n"        \
    "ldrsb  r10, [r7, r9]\n"       \
    "add    r7, r7, r9\n"          \
    "sxtb16 r9, r11\n"             \
    "smlabb lr, r0, r9, lr\n"      \
    "smlabt lr, r2, r9, lr\n"      \
    "sxtb16 r11, r11, ror #8\n"    \
    "smlabb lr, r1, r11, lr\n"     \
    "smlabt lr, r3, r11, lr\n"     \
    "sxtb16 r9, r12\n"             \
    "smlabb lr, r4, r9, lr\n"      \
    "smlabt lr, r8, r9, lr\n"      \
    "sxtb16 r12, r12, ror #8\n"    \
    "smlabb lr, r5, r12, lr\n"     \
    "smlabt lr, r10, r12, lr\n"

__attribute__((naked, noinline)) static void run_rows(const int8_t *input, const uint8_t *stream,
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
        "1:\n" /* a row: its header, its half batch if there is one, its batches */
        "ldrb   r9, [r6, #0]\n"
        "ldrb   r3, [r6, #2]\n"
        "ldrb   r4, [r6, #1]\n"
        "ldr    r7, [sp, #0]\n"
        "mov    lr, #0\n"
        "adds   r6, r6, #4\n"
        "cbz    r3, 2f\n"
        "ldrb   r0, [r6, #4]\n"
        "ldrb   r1, [r6, #5]\n"
        "ldrb   r2, [r6, #6]\n"
        "ldrb   r3, [r6, #7]\n"
        "ldr    r11, [r6], #8\n"
        "ldrsb  r0, [r7, r0]\n"
        "ldrsb  r1, [r7, r1]\n"
        "ldrsb  r2, [r7, r2]\n"
        "ldrsb  r5, [r7, r3]\n"
        "add    r7, r7, r3\n"
        "sxtb16 r12, r11\n"
        "sxtb16 r11, r11, ror #8\n"
        "smulbb lr, r0, r12\n"
        "smlabt lr, r2, r12, lr\n"
        "smlabb lr, r1, r11, lr\n"
        "smlabt lr, r5, r11, lr\n"
        "2:\n"
        "adr.w  r0, 3f + 1\n"
        "add    r0, r0, r9, lsl #1\n"
        "add    r4, r6, r4, lsl #4\n"
        "str    r4, [sp, #4]\n"
        "bx     r0\n"
        ".balign 4\n"
        "3:\n"
        ".rept 5\n" BATCH_OF_EIGHT ".endr\n"
        "ldr    r0, [sp, #4]\n"
        "cmp    r6, r0\n"
        "bne    3b\n"
        "ldr    r0, [sp, #8]\n"
        "ldr    r1, [sp, #12]\n"
        "str    lr, [r0], #4\n"
        "str    r0, [sp, #8]\n"
        "cmp    r0, r1\n"
        "bne    1b\n"
        "add    sp, sp, #16\n"
        "pop    {r4-r11, pc}\n");
}

#else

static void run_rows(const int8_t *input, const uint8_t *stream, int32_t *sums, int32_t *end)
{
    for (; sums < end; ++sums) {
        const int8_t *x = input;
        int32_t sum = 0;
        int32_t batches = stream[1];
        int32_t size = HALF;
        const int32_t half = stream[2];
        stream += HEADER;
        for (batches += half; batches > 0; --batches, size = BATCH) {
            if (!half) {
                size = BATCH;
            }
            for (int32_t i = 0; i < size; ++i) {
                sum += (int8_t)stream[i] * x[stream[size + i]];
            }
            x += stream[2 * size - 1];
            stream += 2 * size;
        }
        *sums = sum;
    }
}

#endif

#ifdef SNN_CHECKED
static snn_status check(const snn_stream_octet *weights, int32_t input_size, int32_t output_size)
{
    const uint8_t *at = weights->stream;
    const uint8_t *const end = at + weights->size;
    for (int32_t row = 0; row < output_size; ++row) {
        int32_t place = 0;
        if (end - at < HEADER || at[2] > 1 ||
            at[0] != (at[1] == 0 ? UNROLLED : (UNROLLED - at[1] % UNROLLED) % UNROLLED) *
                         (BATCH_CODE / 2)) {
            return SNN_BAD_STREAM;
        }
        const int32_t half = at[2];
        const int32_t batches = at[1] + half;
        at += HEADER;
        for (int32_t i = 0; i < batches; ++i) {
            const int32_t size = half && i == 0 ? HALF : BATCH;
            if (end - at < 2 * size) {
                return SNN_BAD_STREAM;
            }
            for (int32_t j = size; j < 2 * size; ++j) {
                if (place + at[j] >= input_size) {
                    return SNN_BAD_STREAM;
                }
            }
            place += at[2 * size - 1];
            at += 2 * size;
        }
    }
    return SNN_OK;
}
#endif

SNN_SMALL snn_status snn_fully_connected_octet_s8(const int8_t *input, int32_t input_size,
                                        const snn_stream_octet *weights, const snn_quant *quant,
                                        int8_t *output, int32_t output_size, void *scratch)
{
    int32_t *const sums = scratch;
#ifdef SNN_CHECKED
    if (check(weights, input_size, output_size) != SNN_OK) {
        return SNN_BAD_STREAM;
    }
#else
    (void)input_size;
#endif
    run_rows(input, weights->stream, sums, sums + output_size);
    snn_requantize_rows(sums, weights->bias2, weights->multiplier, weights->shift, quant, output,
                        output_size);
    return SNN_OK;
}
