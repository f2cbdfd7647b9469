/* Fully connected, weights pruned in blocks of four neighbouring inputs (1x4).
 *
 * A block is one output's weights of four neighbouring inputs, so one offset serves four weights.
 * Four blocks make a batch of 20 bytes: sixteen weights and four offsets, counted in blocks from a
 * base that the last offset moves on.
 *
 * DSP: the input is widened to int16 once, as pairs (x0, x2), (x1, x3), the order that SXTB16
 * gives the weights; a batch costs 36 cycles on Cortex-M4, 2.25 a weight. MVE: four words of the
 * input are gathered and sixteen products summed by one VMLADAVA.
 */
#include <string.h>

#include "snn_dual.h"
#include "snn_sparse.h"

#if SNN_MVE
#include <arm_mve.h>
#endif

enum { BLOCK = 4, BLOCKS = 4, HEADER = 4, BATCH = 20, UNROLLED = 3, BATCH_CODE = 130 };

SNN_SMALL int32_t snn_fully_connected_1x4_s8_get_scratch_size(int32_t input_size,
                                                              int32_t output_size)
{
    return 2 * ((input_size + BLOCK - 1) / BLOCK * BLOCK) + 4 * output_size;
}

#if SNN_MVE

typedef int8_t input_type;

static void widen(const int8_t *input, int32_t count, input_type *to)
{
    memcpy(to, input, (size_t)count); /* to words, which a gather needs */
    memset(to + count, 0, (size_t)(-count & (BLOCK - 1)));
}

static void run_rows(const input_type *input, const uint8_t *stream, int32_t *sums, int32_t *end)
{
    for (; sums < end; ++sums) {
        const int32_t *x = (const int32_t *)input;
        int32_t sum = 0;
        int32_t batches = stream[1];
        for (stream += HEADER; batches > 0; --batches, stream += BATCH) {
            const int8x16_t weights = vldrbq_s8((const int8_t *)stream);
            const uint32x4_t offsets = vldrbq_u32(stream + 16);
            const int32x4_t values = vldrwq_gather_shifted_offset_s32(x, offsets);
            sum = vmladavaq_s8(sum, weights, vreinterpretq_s8_s32(values));
            x += stream[BATCH - 1];
        }
        *sums = sum;
    }
}

#else

typedef int16_t input_type;

static void widen(const int8_t *input, int32_t count, input_type *to)
{
    for (; count > 0; count -= BLOCK, input += BLOCK, to += BLOCK) {
        int8_t x[BLOCK] = {0};
        memcpy(x, input, count < BLOCK ? (size_t)count : BLOCK);
        to[0] = x[0];
        to[1] = x[2];
        to[2] = x[1];
        to[3] = x[3];
    }
}

#if SNN_DUAL_ASSEMBLY

/* r0-r3 offsets, then odd inputs, r4 r5 even inputs, r8 r9 weights, r10 temporary, r6 stream,
 * r7 base, r11 base + 4, lr sum. Stack: 0 input, 4 where the row ends, 8 next sum, 12 behind. */
#define MULTIPLY(weights, even, odd)               \
    "sxtb16 r10, " weights "\n"                    \
    "smlad  lr, r10, " even ", lr\n"               \
    "sxtb16 " weights ", " weights ", ror #8\n"    \
    "smlad  lr, " weights ", " odd ", lr\n"
#define FOUR_BLOCKS                       \
    "ldrb   r0, [r6, #16]\n"              \
    "ldrb   r1, [r6, #17]\n"              \
    "ldrb   r2, [r6, #18]\n"              \
    "ldrb   r3, [r6, #19]\n"              \
    "ldr    r8, [r6, #0]\n"               \
    "ldr    r9, [r6, #4]\n"               \
    "ldr.w  r4, [r7, r0, lsl #3]\n"       \
    "ldr.w  r5, [r7, r1, lsl #3]\n"       \
    "ldr    r0, [r11, r0, lsl #3]\n"      \
    "ldr    r1, [r11, r1, lsl #3]\n"      \
    MULTIPLY("r8", "r4", "r0") MULTIPLY("r9", "r5", "r1") \
    "ldr    r8, [r6, #8]\n"               \
    "ldr    r9, [r6, #12]\n"              \
    "ldr.w  r4, [r7, r2, lsl #3]\n"       \
    "ldr.w  r5, [r7, r3, lsl #3]\n"       \
    "ldr    r2, [r11, r2, lsl #3]\n"      \
    "ldr    r0, [r11, r3, lsl #3]\n"      \
    "add.w  r7, r7, r3, lsl #3\n"         \
    "add    r11, r11, r3, lsl #3\n"       \
    "adds   r6, r6, #20\n"                \
    MULTIPLY("r8", "r4", "r2") MULTIPLY("r9", "r5", "r0")

__attribute__((naked, noinline)) static void run_rows(const input_type *input,
                                                      const uint8_t *stream, int32_t *sums,
                                                      int32_t *end)
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
        "ldrb   r3, [r6, #1]\n"
        "ldr    r7, [sp, #0]\n"
        "adds   r6, r6, #4\n"
        "mov    lr, #0\n"
        "add    r3, r3, r3, lsl #2\n"
        "adr.w  r0, 3f + 1\n"
        "add    r11, r7, #4\n"
        "add    r0, r0, r2, lsl #1\n"
        "add    r3, r6, r3, lsl #2\n"
        "str    r3, [sp, #4]\n"
        "bx     r0\n"
        ".balign 4\n"
        "3:\n"
        ".rept 3\n" FOUR_BLOCKS ".endr\n"
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

static void run_rows(const input_type *input, const uint8_t *stream, int32_t *sums, int32_t *end)
{
    for (; sums < end; ++sums) {
        const input_type *x = input;
        int32_t sum = 0;
        int32_t batches = stream[1];
        for (stream += HEADER; batches > 0; --batches, stream += BATCH) {
            for (int32_t block = 0; block < BLOCKS; ++block) {
                const int8_t *const w = (const int8_t *)stream + BLOCK * block;
                const input_type *const at = x + BLOCK * stream[16 + block];
                sum += w[0] * at[0] + w[2] * at[1] + w[1] * at[2] + w[3] * at[3];
            }
            x += BLOCK * stream[BATCH - 1];
        }
        *sums = sum;
    }
}

#endif
#endif

#ifdef SNN_CHECKED
static snn_status check(const snn_stream_octet *weights, int32_t input_size, int32_t output_size)
{
    const uint8_t *at = weights->stream;
    const uint8_t *const end = at + weights->size;
    const int32_t blocks = (input_size + BLOCK - 1) / BLOCK;
    for (int32_t row = 0; row < output_size; ++row) {
        int32_t place = 0;
        if (end - at < HEADER ||
            at[0] != (at[1] == 0 ? UNROLLED : (UNROLLED - at[1] % UNROLLED) % UNROLLED) * (BATCH_CODE / 2)) {
            return SNN_BAD_STREAM;
        }
        const int32_t batches = at[1];
        at += HEADER;
        for (int32_t i = 0; i < batches; ++i, at += BATCH) {
            if (end - at < BATCH) {
                return SNN_BAD_STREAM;
            }
            for (int32_t j = 16; j < BATCH; ++j) {
                if (place + at[j] >= blocks) {
                    return SNN_BAD_STREAM;
                }
            }
            place += at[BATCH - 1];
        }
    }
    return SNN_OK;
}
#endif

SNN_SMALL snn_status snn_fully_connected_1x4_s8(const int8_t *input, int32_t input_size,
                                                const snn_stream_octet *weights,
                                                const snn_quant *quant, int8_t *output,
                                                int32_t output_size, void *scratch)
{
    int32_t *const sums = scratch;
    input_type *const wide = (input_type *)(sums + output_size);
#ifdef SNN_CHECKED
    if (check(weights, input_size, output_size) != SNN_OK) {
        return SNN_BAD_STREAM;
    }
#endif
    widen(input, input_size, wide);
    run_rows(wide, weights->stream, sums, sums + output_size);
    snn_requantize_rows(sums, weights->bias2, weights->multiplier, weights->shift, quant, output,
                        output_size);
    return SNN_OK;
}
