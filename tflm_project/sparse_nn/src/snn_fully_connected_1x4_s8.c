/* Fully connected, weights pruned in blocks of four neighbouring inputs (format 1x4).
 *
 * A block is one output's weights of four neighbouring inputs, so one offset serves four weights.
 * A word of the input holds x0 x1 x2 x3; each halfword is x0 + 256 * x1 if x0 counts from 0, so
 * the input is copied with the even ones' sign bits turned (u = x + 128; the bias knows). A
 * halfword of weights is 256 * w0 - w1. Then, two halfwords at a time,
 *     sum of (256 * w0 - w1) * u0  plus  sum of w1 * (u0 + 256 * x1)
 * is 256 * sum of (w0 * u0 + w1 * x1): neither input nor weights are taken apart fully, one UXTB16,
 * one SXTB16 and two SMLAD do four multiply-accumulates. Exact modulo 2^32 as long as the sum stays
 * below 2^23, which the generator proves.
 *
 * Four blocks make a batch of 20 bytes, 30 cycles on Cortex-M4, 1.9 a weight; two make a half
 * batch. A row costs about 40 cycles beside its batches, requantization included, and copying the
 * input about 1.5 each.
 */
#include <string.h>

#include "snn_rows.h"
#include "snn_sparse.h"
#include "snn_target.h"

enum {
    BLOCK = 4,
    BLOCKS = 4, /* of a batch */
    HALF = 2,
    BATCH = 20, /* bytes */
    HALF_BATCH = 12,
    UNROLLED = 3,
    BATCH_CODE = 106,
};

SNN_SMALL int32_t snn_fully_connected_1x4_s8_get_scratch_size(int32_t input_size)
{
    return (input_size + BLOCK - 1) / BLOCK * BLOCK;
}

/* To words with the sign bits of even inputs turned. */
static void turn(const int8_t *input, int32_t count, uint32_t *to)
{
    const uint32_t even = 0x00800080u;
    for (; count >= 4 * BLOCK; count -= 4 * BLOCK, input += 4 * BLOCK, to += 4) {
        uint32_t words[4];
        memcpy(words, input, sizeof words);
        to[0] = words[0] ^ even;
        to[1] = words[1] ^ even;
        to[2] = words[2] ^ even;
        to[3] = words[3] ^ even;
    }
    for (; count > 0; count -= BLOCK, input += BLOCK) {
        uint32_t word = 0;
        memcpy(&word, input, count < BLOCK ? (size_t)count : BLOCK);
        *to++ = word ^ even;
    }
}

#if SNN_DSP

/* r0-r2 offsets, then inputs (the fourth in r12), r3 the last offset, r4 r5 r8 r9 weights,
 * r6 stream, r7 base, r10 temporary, lr and r11 sums. */
#define BLOCK_OF(weights, input)                \
    "uxtb16 r10, " input "\n"                   \
    "smlad  lr, " weights ", r10, lr\n"         \
    "sxtb16 " weights ", " weights "\n"         \
    "smlad  r11, " weights ", " input ", r11\n"
#define FOUR_BLOCKS                        \
    "ldrb   r0, [r6, #16]\n"               \
    "ldrb   r1, [r6, #17]\n"               \
    "ldrb   r2, [r6, #18]\n"               \
    "ldrb   r3, [r6, #19]\n"               \
    "ldr    r5, [r6, #4]\n"                \
    "ldr    r8, [r6, #8]\n"                \
    "ldr    r9, [r6, #12]\n"               \
    "ldr    r4, [r6], #20\n"               \
    "ldr.w  r0, [r7, r0, lsl #2]\n"        \
    "ldr.w  r1, [r7, r1, lsl #2]\n"        \
    "ldr.w  r2, [r7, r2, lsl #2]\n"        \
    "ldr.w  r12, [r7, r3, lsl #2]\n"       \
    "add.w  r7, r7, r3, lsl #2\n"          \
    BLOCK_OF("r4", "r0") BLOCK_OF("r5", "r1") BLOCK_OF("r8", "r2") BLOCK_OF("r9", "r12")

__attribute__((naked, noinline)) static void run_rows(const snn_rows *rows, const uint8_t *stream)
{
    (void)rows;
    (void)stream;
    __asm volatile(
        SNN_ROWS_ENTER
        "b      1f\n"
        ".balign 4\n"
        "3:\n"
        ".rept 3\n" FOUR_BLOCKS ".endr\n"
        "ldr    r0, [sp, #4]\n"
        "cmp    r6, r0\n"
        "bne.w  3b\n"
        "sub    lr, lr, r11\n"
        SNN_ROWS_OUTPUT("lr", "asr #7")
        "1:\n" /* a row: its half batch if there is one, its batches */
        "mov    lr, #0\n"
        "mov    r11, #0\n"
        "cbz    r3, 2f\n"
        "cmp    r3, #1\n"
        "bhi    4f\n"
        "ldrb   r0, [r6, #8]\n"
        "ldrb   r1, [r6, #9]\n"
        "ldr    r5, [r6, #4]\n"
        "ldr    r8, [r6], #12\n"
        "ldr.w  r0, [r7, r0, lsl #2]\n"
        "ldr.w  r12, [r7, r1, lsl #2]\n"
        "add.w  r7, r7, r1, lsl #2\n"
        BLOCK_OF("r8", "r0") BLOCK_OF("r5", "r12")
        "2:\n"
        "adr.w  r0, 3b + 1\n"
        "add    r4, r4, r4, lsl #2\n"
        "add    r0, r0, r9, lsl #1\n"
        "add    r4, r6, r4, lsl #2\n"
        "str    r4, [sp, #4]\n"
        "bx     r0\n"
        "4:\n"
        SNN_ROWS_LEAVE);
}

#else

/* 256 times a block's sum. */
static int32_t block(const uint8_t *weights, const uint8_t *x)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < BLOCK; i += 2) {
        const int32_t low = (int8_t)weights[i];
        const int32_t both = low + 256 * ((int8_t)weights[i + 1] + (low < 0));
        const int32_t pair = x[i] + 256 * (int8_t)x[i + 1];
        sum += both * x[i] - low * pair;
    }
    return sum;
}

static void run_rows(const snn_rows *rows, const uint8_t *stream)
{
    int8_t *output = rows->output;
    while (stream[SNN_ROWS_HALF] != SNN_ROWS_END) {
        const uint8_t *x = (const uint8_t *)rows->input;
        uint32_t sum = 0;
        const int32_t half = stream[SNN_ROWS_HALF];
        int32_t batches = stream[SNN_ROWS_BATCHES] + half;
        int32_t blocks = half ? HALF : BLOCKS;
        for (stream += SNN_ROWS_HEADER; batches > 0; --batches, blocks = BLOCKS) {
            const uint8_t *const offsets = stream + BLOCK * blocks;
            for (int32_t i = 0; i < blocks; ++i) {
                sum += (uint32_t)block(stream + BLOCK * i, x + BLOCK * offsets[i]);
            }
            x += BLOCK * offsets[blocks - 1];
            stream += blocks == BLOCKS ? BATCH : HALF_BATCH;
        }
        *output++ = snn_rows_output((int32_t)sum / 256, stream, rows->offset);
        stream += SNN_ROWS_TRAILER - SNN_ROWS_HEADER;
    }
}

#endif

SNN_SMALL snn_status snn_fully_connected_1x4_s8(const int8_t *input, int32_t input_size,
                                                const snn_stream_rows *weights,
                                                const snn_quant *quant, int8_t *output,
                                                int32_t output_size, void *scratch)
{
    const snn_rows rows = {scratch, NULL, output, 2 * quant->output_offset + 1};
#ifdef SNN_CHECKED
    const int32_t blocks = (input_size + BLOCK - 1) / BLOCK;
    const snn_rows_format format = {
        .unrolled = UNROLLED, .code = BATCH_CODE, .slots = BLOCKS, .weights = BLOCK,
        .size = BATCH, .half_size = HALF_BATCH,
    };
    if (snn_rows_check(weights, &format, blocks, output_size) != SNN_OK) {
        return SNN_BAD_STREAM;
    }
#endif
    turn(input, input_size, scratch);
    run_rows(&rows, weights->stream);
    snn_clamp_outputs(output, output_size, quant);
    return SNN_OK;
}
