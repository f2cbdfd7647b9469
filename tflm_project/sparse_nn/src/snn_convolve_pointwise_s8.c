/* Dense 1x1 convolution: two pixels by four outputs at a time.
 *
 * The weights are those of snn_fully_connected_wide_s8.c: a halfword is a + 256 * b with the
 * weights a and b of two outputs, so that only every second output's weights are taken out of their
 * bytes (snn_fully_connected_4x1_s8.c says why that is exact). Each pixel's inputs are widened to
 * int16 once for all outputs, as pairs (x0, x2) and (x1, x3), the two pixels side by side. Two
 * inputs by four outputs by two pixels take four loads in a row, two SXTB16 and eight SMLAD: 15
 * cycles on Cortex-M4 for 16 multiply-accumulates, where the dual-pixel kernel takes 18 and packs
 * besides. Eight outputs cost about 90 cycles beside that, requantization 40 of them where its fast
 * way is proved (snn_dual.h says what that is; sums have one bit more here), else 66.
 */
#include <string.h>

#include "snn_rows.h"
#include "snn_sparse.h"
#include "snn_target.h"

enum { ROWS = 4, COLUMNS = 4, UNROLLED = 4, BLOCK_CODE = 112, TABLES = 36, UNIT = 12 };

/* What the assembly keeps on its stack, in this order. */
typedef struct {
    const int16_t *input; /* two pixels, widened */
    const int16_t *end;
    int8_t *output; /* of the first pixel */
    int32_t second; /* bytes from there to the second's */
    int32_t exact;  /* half a unit and the output's zero point, for a right shift of one */
    int32_t fast;   /* the same for the fast way */
    int32_t skip;   /* bytes of unrolled code that the first pass leaves out */
} pair_of_pixels;

SNN_SMALL int32_t snn_convolve_pointwise_s8_get_scratch_size(int32_t input_c)
{
    return 2 * 2 * ((input_c + COLUMNS - 1) / COLUMNS * COLUMNS);
}

#if SNN_DSP

static inline uint32_t even_bytes(uint32_t word)
{
    __asm("sxtb16 %0, %0" : "+r"(word));
    return word;
}

static inline uint32_t odd_bytes(uint32_t word)
{
    __asm("sxtb16 %0, %0, ror #8" : "+r"(word));
    return word;
}

/* r0 inputs, r1 weights, r2 r3 four outputs' weights for two inputs, r12 lr the two pixels' inputs,
 * r4-r11 sums: of the first output, for both pixels, of 256 times the second and the first, … */
#define MULTIPLY                        \
    "smlad  r6, r2, r12, r6\n"          \
    "smlad  r7, r2, lr, r7\n"           \
    "smlad  r10, r3, r12, r10\n"        \
    "smlad  r11, r3, lr, r11\n"         \
    "sxtb16 r2, r2\n"                   \
    "sxtb16 r3, r3\n"                   \
    "smlad  r4, r2, r12, r4\n"          \
    "smlad  r5, r2, lr, r5\n"           \
    "smlad  r8, r3, r12, r8\n"          \
    "smlad  r9, r3, lr, r9\n"
#define BLOCK                           \
    "ldr    r2, [r1], #16\n"            \
    "ldr    r3, [r1, #-8]\n"            \
    "ldr    r12, [r0], #16\n"           \
    "ldr    lr, [r0, #-12]\n"           \
    MULTIPLY                            \
    "ldr    r2, [r1, #-12]\n"           \
    "ldr    r3, [r1, #-4]\n"            \
    "ldr    r12, [r0, #-8]\n"           \
    "ldr    lr, [r0, #-4]\n"            \
    MULTIPLY
/* One output of both pixels, the fast way: `scale` takes the sums to 256 times their value, byte
 * `turn` of r12 is the output's share of the offset. */
#define FAST(bias, first, second, scale, turn) \
    "ldr    r2, [r1, #" bias "]\n"      \
    "ldr    r3, [r1, #" bias " + 4]\n"  \
    "add    " first ", r2, " first ", " scale "\n" \
    "add    " second ", r2, " second ", " scale "\n" \
    "uxtab  r2, lr, r12, ror #" turn "\n" \
    "smmla  " first ", " first ", r3, r2\n" \
    "smmla  " second ", " second ", r3, r2\n" \
    "ssat   " first ", #8, " first ", asr #12\n" \
    "ssat   " second ", #8, " second ", asr #12\n"
/* The exact way. */
#define EXACT(bias, shift, first, second, scale) \
    "ldr    r2, [r1, #" bias "]\n"      \
    "ldr    r3, [r1, #" bias " + 4]\n"  \
    "ldrb   r12, [r1, #" shift "]\n"    \
    "ldr    lr, [sp, #16]\n"            \
    "and    r12, r12, #31\n"            \
    "lsl    lr, lr, r12\n"              \
    "add    " first ", r2, " first ", " scale "\n" \
    "add    " second ", r2, " second ", " scale "\n" \
    "add    r2, lr, " first ", asr #31\n" \
    "smmlar " first ", " first ", r3, r2\n" \
    "add    r2, lr, " second ", asr #31\n" \
    "smmlar " second ", " second ", r3, r2\n" \
    "asr    " first ", " first ", r12\n" \
    "asr    " second ", " second ", r12\n" \
    "ssat   " first ", #8, " first ", asr #1\n" \
    "ssat   " second ", #8, " second ", asr #1\n"

/* `groups` times four outputs of two pixels; returns the weights behind them. */
__attribute__((naked, noinline)) static const int8_t *
run_groups(const pair_of_pixels *pair, const int8_t *weights, int32_t groups)
{
    (void)pair;
    (void)weights;
    (void)groups;
    __asm volatile(
        ".syntax unified\n"
        "push   {r4-r11, lr}\n"
        "sub    sp, sp, #32\n"
        "str    r2, [sp, #28]\n"
        "ldm    r0, {r4-r10}\n"
        "mov    r0, sp\n"
        "stm    r0, {r4-r10}\n"
        "1:\n"
        "ldr    r3, [sp, #24]\n"
        "ldr    r0, [sp, #0]\n"
        "adr.w  r2, 2f + 1\n"
        "add    r2, r2, r3\n"
        "mov    r4, #0\n"
        "mov    r5, #0\n"
        "mov    r6, #0\n"
        "mov    r7, #0\n"
        "mov    r8, #0\n"
        "mov    r9, #0\n"
        "mov    r10, #0\n"
        "mov    r11, #0\n"
        "bx     r2\n"
        ".balign 4\n"
        "2:\n"
        ".rept 4\n" BLOCK ".endr\n"
        "ldr    r2, [sp, #4]\n"
        "cmp    r0, r2\n"
        "bne.w  2b\n"
        "sub    r6, r6, r4\n"
        "sub    r7, r7, r5\n"
        "sub    r10, r10, r8\n"
        "sub    r11, r11, r9\n"
        "ldr    r12, [r1, #32]\n"
        "ldr    lr, [sp, #20]\n"
        "tst    r12, #128\n"
        "bne.w  5f\n"
        FAST("0", "r4", "r5", "lsl #8", "0")
        FAST("8", "r6", "r7", "lsl #0", "8")
        FAST("16", "r8", "r9", "lsl #8", "16")
        FAST("24", "r10", "r11", "lsl #0", "24")
        "4:\n"
        "ldr    r0, [sp, #8]\n"
        "ldr    r2, [sp, #12]\n"
        "ldr    r3, [sp, #28]\n"
        "add    r2, r2, r0\n"
        "strb   r6, [r0, #1]\n"
        "strb   r8, [r0, #2]\n"
        "strb   r10, [r0, #3]\n"
        "strb   r4, [r0], #4\n"
        "strb   r5, [r2]\n"
        "strb   r7, [r2, #1]\n"
        "strb   r9, [r2, #2]\n"
        "strb   r11, [r2, #3]\n"
        "str    r0, [sp, #8]\n"
        "adds   r1, r1, #36\n"
        "subs   r3, r3, #1\n"
        "str    r3, [sp, #28]\n"
        "bne.w  1b\n"
        "mov    r0, r1\n"
        "add    sp, sp, #32\n"
        "pop    {r4-r11, pc}\n"
        "5:\n"
        EXACT("0", "32", "r4", "r5", "lsl #1")
        EXACT("8", "33", "r6", "r7", "asr #7")
        EXACT("16", "34", "r8", "r9", "lsl #1")
        EXACT("24", "35", "r10", "r11", "asr #7")
        "b      4b\n");
}

#else

static inline uint32_t even_bytes(uint32_t word)
{
    return ((uint32_t)(int32_t)(int8_t)word & 0xffffu) | (uint32_t)(int8_t)(word >> 16) << 16;
}

static inline uint32_t odd_bytes(uint32_t word)
{
    return even_bytes(word >> 8);
}

static int8_t exact_output(int32_t sum, const int8_t *line, int32_t shift, int32_t offset)
{
    uint8_t trailer[SNN_ROWS_TRAILER];
    memcpy(trailer, line, 8);
    trailer[8] = (uint8_t)shift;
    return snn_rows_output(sum, trailer, offset);
}

static int8_t fast_output(int32_t sum, const int8_t *line, int32_t offset)
{
    uint32_t bias;
    int32_t multiplier;
    memcpy(&bias, line, 4);
    memcpy(&multiplier, line + 4, 4);
    const int64_t product = (int64_t)(int32_t)(((uint32_t)sum << 8) + bias) * multiplier;
    const int32_t value = ((int32_t)(product >> 32) + offset) >> UNIT;
    return (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
}

static const int8_t *run_groups(const pair_of_pixels *pair, const int8_t *weights, int32_t groups)
{
    int8_t *output = pair->output;
    for (; groups > 0; --groups, output += ROWS) {
        int32_t sum[ROWS][2] = {{0}};
        for (const int16_t *x = pair->input; x < pair->end; x += 8) {
            for (int32_t word = 0; word < 4; ++word) {
                for (int32_t half = 0; half < 2; ++half, weights += 2) {
                    for (int32_t pixel = 0; pixel < 2; ++pixel) {
                        const int32_t value = x[4 * (word & 1) + 2 * pixel + half];
                        sum[word & 2][pixel] += value * weights[0];
                        sum[(word & 2) + 1][pixel] += value * (weights[1] + (weights[0] < 0));
                    }
                }
            }
        }
        for (int32_t row = 0; row < ROWS; ++row) {
            const int8_t *const line = weights + 8 * row;
            const uint8_t shift = (uint8_t)weights[8 * ROWS + row];
            for (int32_t pixel = 0; pixel < 2; ++pixel) {
                int8_t *const to = output + row + pixel * pair->second;
                *to = shift & 128 ? exact_output(sum[row][pixel], line, shift & 31, pair->exact)
                                  : fast_output(sum[row][pixel], line, pair->fast + shift);
            }
        }
        weights += TABLES;
    }
    return weights;
}

#endif

/* Four inputs of both pixels. */
static inline uint32_t *widen_word(uint32_t first, uint32_t second, uint32_t *to)
{
    to[0] = even_bytes(first);
    to[1] = even_bytes(second);
    to[2] = odd_bytes(first);
    to[3] = odd_bytes(second);
    return to + 4;
}

static void widen(const int8_t *first, const int8_t *second, int32_t count, uint32_t *to)
{
    uint32_t a, b;
    const int32_t two = 2 * COLUMNS;
    for (; count >= two; count -= two, first += two, second += two) {
        uint32_t c, d;
        memcpy(&a, first, sizeof a);
        memcpy(&b, second, sizeof b);
        memcpy(&c, first + COLUMNS, sizeof c);
        memcpy(&d, second + COLUMNS, sizeof d);
        to = widen_word(c, d, widen_word(a, b, to));
    }
    for (; count >= COLUMNS; count -= COLUMNS, first += COLUMNS, second += COLUMNS) {
        memcpy(&a, first, sizeof a);
        memcpy(&b, second, sizeof b);
        to = widen_word(a, b, to);
    }
    if (count > 0) {
        a = b = 0;
        memcpy(&a, first, (size_t)count);
        memcpy(&b, second, (size_t)count);
        widen_word(a, b, to);
    }
}

snn_status snn_convolve_pointwise_s8(const int8_t *input, snn_shape input_shape,
                                     const snn_window *window, const int8_t *weights,
                                     const snn_quant *quant, int8_t *output,
                                     snn_shape output_shape, void *scratch)
{
    const int32_t blocks = (input_shape.c + COLUMNS - 1) / COLUMNS;
    const int32_t channels = output_shape.c;
    const int32_t pixels = output_shape.h * output_shape.w;
    pair_of_pixels pair = {
        .input = scratch,
        .end = (const int16_t *)scratch + 2 * COLUMNS * blocks,
        .exact = 2 * quant->output_offset + 1,
        .fast = (2 * quant->output_offset + 1) * (1 << (UNIT - 1)),
        .skip = (-blocks & (UNROLLED - 1)) * BLOCK_CODE,
    };

    /* An odd pixel at the end is computed with its neighbour once more. */
    for (int32_t pixel = 0; pixel < pixels; pixel += 2) {
        const int8_t *from[2], *at = weights;
        const int32_t first = pixel > 0 && pixel == pixels - 1 ? pixel - 1 : pixel;
        const int32_t both = pixels > 1 ? 2 : 1;
        int8_t rest[2 * ROWS];
        for (int32_t i = 0; i < 2; ++i) {
            int32_t place = first + (i < both ? i : 0);
            if (input_shape.w != output_shape.w || window->stride_h > 1) {
                place = place / output_shape.w * window->stride_h * input_shape.w +
                        place % output_shape.w * window->stride_w;
            }
            from[i] = input + place * input_shape.c;
        }
        widen(from[0], from[1], input_shape.c, scratch);
        pair.output = output + first * channels;
        pair.second = both == 2 ? channels : 0;
        if (channels >= ROWS) {
            at = run_groups(&pair, weights, channels / ROWS);
        }
        if (channels % ROWS) {
            int8_t *const to = pair.output + channels / ROWS * ROWS;
            const size_t left = (size_t)(channels % ROWS);
            pair.output = rest;
            pair.second = ROWS;
            run_groups(&pair, at, 1);
            memcpy(to, rest, left);
            memcpy(to + (both == 2 ? channels : 0), rest + ROWS, left);
        }
    }
    snn_clamp_outputs(output, pixels * channels, quant);
    return SNN_OK;
}
