/* What the fully connected kernels over snn_stream_rows share. Not for users. */
#ifndef SNN_ROWS_H
#define SNN_ROWS_H

#include <string.h>

#include "snn_sparse.h"

enum {
    SNN_ROWS_HEADER = 4,
    SNN_ROWS_TRAILER = 12, /* the next row's header included */
    SNN_ROWS_PLACE = 1,    /* where in a header */
    SNN_ROWS_BATCHES = 2,
    SNN_ROWS_HALF = 3,
    SNN_ROWS_END = 2, /* instead of half, behind the last row */
    /* Right shifts e are at most that: (2 * zero point + 1) * 2^(e - 1), up to 255 * 2^22, and what
     * it is added to, below 2^30, then stay inside 32 bits together. */
    SNN_ROWS_MOST_SHIFT = 23,
};

/* How a format's batches lie in its stream. */
typedef struct {
    int32_t unrolled; /* batches that stand unrolled in the kernel */
    int32_t code;     /* bytes of one's code */
    int32_t slots;    /* of a batch; a half batch has half of them */
    int32_t weights;  /* bytes of weights of a slot; then come the slots' offsets */
    int32_t size, half_size; /* bytes of a batch */
} snn_rows_format;

/* Checked builds: all rows lie inside the stream and its offsets among `places`. */
snn_status snn_rows_check(const snn_stream_rows *weights, const snn_rows_format *format,
                          int32_t places, int32_t output_size);

/* What the assembly is given; fields are at fixed places. */
typedef struct {
    const int8_t *input;
    const uint8_t *end; /* of the row, the kernel's own */
    int8_t *output;
    int32_t offset; /* half a unit and the output's zero point, for a right shift of one */
} snn_rows;

/* A row's sum to its output, by the trailer behind the row. */
static inline int8_t snn_rows_output(int32_t sum, const uint8_t *trailer, int32_t offset)
{
    uint32_t bias2;
    int32_t multiplier;
    memcpy(&bias2, trailer, 4);
    memcpy(&multiplier, trailer + 4, 4);
    const int32_t shift = trailer[8];
    const int32_t v = (int32_t)(2u * (uint32_t)sum + bias2);
    const int64_t product = (int64_t)v * multiplier + ((int64_t)1 << 31);
    const int32_t high =
        (int32_t)((uint32_t)(product >> 32) + ((uint32_t)offset << shift) + (uint32_t)(v >> 31));
    const int32_t value = high >> shift >> 1;
    return (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
}

/* End of a row in assembly, and start of the next: r6 the trailer, `sum` the row's sum, scaled as
 * `scale` says; leaves the header in r9 (place), r4 (batches), r3 (half) and the input in r7.
 * 24 cycles on Cortex-M4. */
#define SNN_ROWS_OUTPUT(sum, scale)       \
    "ldr    r0, [r6, #0]\n"               \
    "ldr    r1, [r6, #4]\n"               \
    "ldrb   r2, [r6, #8]\n"               \
    "ldrb   r9, [r6, #9]\n"               \
    "ldrb   r4, [r6, #10]\n"              \
    "ldrb   r3, [r6, #11]\n"              \
    "ldr    r7, [sp, #0]\n"               \
    "ldr    r5, [sp, #8]\n"               \
    "ldr    r8, [sp, #12]\n"              \
    "adds   r6, r6, #12\n"                \
    "add    " sum ", r0, " sum ", " scale "\n" \
    "lsl    r8, r8, r2\n"                 \
    "add    r8, r8, " sum ", asr #31\n"   \
    "smmlar " sum ", " sum ", r1, r8\n"   \
    "asr    " sum ", " sum ", r2\n"       \
    "ssat   " sum ", #8, " sum ", asr #1\n" \
    "strb   " sum ", [r5], #1\n"          \
    "str    r5, [sp, #8]\n"

/* Entry with r0 at snn_rows and r1 at the stream; makes the stack that SNN_ROWS_OUTPUT wants. */
#define SNN_ROWS_ENTER                    \
    ".syntax unified\n"                   \
    "push   {r4-r11, lr}\n"               \
    "sub    sp, sp, #16\n"                \
    "mov    r6, r1\n"                     \
    "ldm    r0, {r0, r1, r2, r3}\n"       \
    "str    r0, [sp, #0]\n"               \
    "str    r2, [sp, #8]\n"               \
    "str    r3, [sp, #12]\n"              \
    "mov    r7, r0\n"                     \
    "ldrb   r9, [r6, #1]\n"               \
    "ldrb   r4, [r6, #2]\n"               \
    "ldrb   r3, [r6, #3]\n"               \
    "adds   r6, r6, #4\n"

#define SNN_ROWS_LEAVE                    \
    "add    sp, sp, #16\n"                \
    "pop    {r4-r11, pc}\n"

#endif
