/* Fully connected, unstructured sparse weights (format octet), in batches of eight.
 *
 * A batch is two words of weights and eight offsets from a moving base, the last of which moves
 * the base on. On Cortex-M4 all eighteen loads of a batch stand in one row and cost 19 cycles;
 * with four SXTB16, eight SMLABB or SMLABT, and the base's step it makes 32: 4.0 cycles a weight,
 * and 6 for every fifth batch. A core that issues two instructions at once (Cortex-M7, built with
 * SNN_DUAL_ISSUE) gets the same instructions in another order, a load beside an addition
 * wherever possible: 19 cycles. A row costs about 35 cycles beside its batches, requantization
 * included: its tables stand behind it in the stream, so that one pointer reads everything.
 */
#include "snn_rows.h"
#include "snn_sparse.h"
#include "snn_target.h"

#if SNN_MVE
#include <arm_mve.h>
#endif

enum { BATCH = 8, HALF = 4, UNROLLED = 5, BATCH_CODE = 98 };

#if SNN_DSP && !SNN_MVE

#ifdef SNN_DUAL_ISSUE
/* r0-r3 r4 r5 r8 r9 offsets, then activations (the eighth in r10), r6 stream, r7 base, r11 r12
 * weights, lr sum. */
#define BATCH_OF_EIGHT             \
    "ldr    r12, [r6, #4]\n"       \
    "ldrb   r4, [r6, #12]\n"       \
    "ldrb   r5, [r6, #13]\n"       \
    "sxtb16 r11, r12\n"            \
    "ldrb   r8, [r6, #14]\n"       \
    "sxtb16 r12, r12, ror #8\n"    \
    "ldrsb  r4, [r7, r4]\n"        \
    "ldrb   r9, [r6, #15]\n"       \
    "smlabb lr, r4, r11, lr\n"     \
    "ldrsb  r5, [r7, r5]\n"        \
    "ldrsb  r8, [r7, r8]\n"        \
    "smlabb lr, r5, r12, lr\n"     \
    "ldrsb  r10, [r7, r9]\n"       \
    "smlabt lr, r8, r11, lr\n"     \
    "ldrb   r0, [r6, #8]\n"        \
    "smlabt lr, r10, r12, lr\n"    \
    "ldrb   r1, [r6, #9]\n"        \
    "ldrb   r2, [r6, #10]\n"       \
    "ldrb   r3, [r6, #11]\n"       \
    "ldr    r11, [r6], #16\n"      \
    "ldrsb  r0, [r7, r0]\n"        \
    "sxtb16 r12, r11\n"            \
    "ldrsb  r1, [r7, r1]\n"        \
    "sxtb16 r11, r11, ror #8\n"    \
    "ldrsb  r2, [r7, r2]\n"        \
    "smlabb lr, r0, r12, lr\n"     \
    "ldrsb  r3, [r7, r3]\n"        \
    "smlabb lr, r1, r11, lr\n"     \
    "add    r7, r7, r9\n"          \
    "smlabt lr, r2, r12, lr\n"     \
    "smlabt lr, r3, r11, lr\n"
#else
/* r0-r5 r8 r9 offsets, then activations (the eighth in r10), r6 stream, r7 base, r11 r12 weights,
 * lr sum. */
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
#endif

__attribute__((naked, noinline)) static void run_rows(const snn_rows *rows, const uint8_t *stream)
{
    (void)rows;
    (void)stream;
    __asm volatile(
        SNN_ROWS_ENTER
        "b      1f\n"
        ".balign 4\n"
        "3:\n"
        ".rept 5\n" BATCH_OF_EIGHT ".endr\n"
        "ldr    r0, [sp, #4]\n"
        "cmp    r6, r0\n"
        "bne    3b\n"
        SNN_ROWS_OUTPUT("lr", "lsl #1")
        "1:\n" /* a row: its half batch if there is one, its batches */
        "mov    lr, #0\n"
        "cbz    r3, 2f\n"
        "cmp    r3, #1\n"
        "bhi    4f\n"
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
        "smlabb lr, r0, r12, lr\n"
        "smlabt lr, r2, r12, lr\n"
        "smlabb lr, r1, r11, lr\n"
        "smlabt lr, r5, r11, lr\n"
        "2:\n"
        "adr.w  r0, 3b + 1\n"
        "add    r0, r0, r9, lsl #1\n"
        "add    r4, r6, r4, lsl #4\n"
        "str    r4, [sp, #4]\n"
        "bx     r0\n"
        "4:\n"
        SNN_ROWS_LEAVE);
}

#else

static void run_rows(const snn_rows *rows, const uint8_t *stream)
{
    int8_t *output = rows->output;
#if SNN_MVE
    const mve_pred16_t four = vctp16q(HALF);
#endif
    while (stream[SNN_ROWS_HALF] != SNN_ROWS_END) {
        const int8_t *x = rows->input;
        int32_t sum = 0;
        int32_t batches = stream[SNN_ROWS_BATCHES];
        const int32_t half = stream[SNN_ROWS_HALF];
        stream += SNN_ROWS_HEADER;
#if SNN_MVE /* a batch is one gather of eight activations and one VMLADAVA */
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
#else
        int32_t size = half ? HALF : BATCH;
        for (batches += half; batches > 0; --batches, size = BATCH) {
            for (int32_t i = 0; i < size; ++i) {
                sum += (int8_t)stream[i] * x[stream[size + i]];
            }
            x += stream[2 * size - 1];
            stream += 2 * size;
        }
#endif
        *output++ = snn_rows_output(sum, stream, rows->offset);
        stream += SNN_ROWS_TRAILER - SNN_ROWS_HEADER;
    }
}

#endif

SNN_SMALL snn_status snn_fully_connected_octet_s8(const int8_t *input, int32_t input_size,
                                                  const snn_stream_rows *weights,
                                                  const snn_quant *quant, int8_t *output,
                                                  int32_t output_size)
{
    const snn_rows rows = {input, NULL, output, 2 * quant->output_offset + 1};
#ifdef SNN_CHECKED
    const snn_rows_format format = {
        .unrolled = UNROLLED, .code = BATCH_CODE, .slots = BATCH, .weights = 1,
        .size = 2 * BATCH, .half_size = 2 * HALF,
    };
    if (snn_rows_check(weights, &format, input_size, output_size) != SNN_OK) {
        return SNN_BAD_STREAM;
    }
#else
    (void)input_size;
#endif
    run_rows(&rows, weights->stream);
    snn_clamp_outputs(output, output_size, quant);
    return SNN_OK;
}
