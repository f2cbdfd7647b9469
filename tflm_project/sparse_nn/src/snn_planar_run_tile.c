#include "snn_planar.h"

enum { TILE = SNN_PLANAR_TILE, FRACTION = SNN_PLANAR_FRACTION };

#if SNN_MVE

/* r0 bytes of a tap, r1 weight, r2 delta, r3 unit, r4 tile, r5 channel, r6 stream, r7 output, r8
 * places, r9-r12 requantization, lr the step; q0-q3 sums, q4 q5 activations. */
#define ENTRY                      \
    "ldrsb  r1, [r6], #2\n"        \
    "vldrb.s32 q4, [r0]\n"         \
    "vldrb.s32 q5, [r0, #4]\n"     \
    "vmla.s32 q0, q4, r1\n"        \
    "vldrb.s32 q4, [r0, #8]\n"     \
    "vmla.s32 q1, q5, r1\n"        \
    "vldrb.s32 q5, [r0, #12]\n"    \
    "vmla.s32 q2, q4, r1\n"        \
    "ldrb   r2, [r6, #-1]\n"       \
    "vmla.s32 q3, q5, r1\n"        \
    "mla    r0, r2, r3, r0\n"

__attribute__((naked, noinline)) uintptr_t snn_planar_run_tile(const snn_planar_tile *tile)
{
    (void)tile;
    __asm volatile(
        ".syntax unified\n"
        "cmp    r0, #0\n"
        "beq.w  9f\n"
        "push   {r4-r11, lr}\n"
        "vpush  {d8-d11}\n"
        "ldr    r4, [r0, #0]\n"
        "ldr    r5, [r0, #4]\n"
        "ldr    r7, [r0, #8]\n"
        "ldr    r8, [r0, #12]\n"
        "ldr    r6, [r0, #16]\n"
        "ldr    r3, [r0, #20]\n"
        "ldr    lr, [r0, #24]\n"
        "b.w    1f\n"
        ".balign 4\n"
        "2:\n"
        ".rept 15\n" ENTRY ".endr\n"
        "cmp    r2, #0\n"
        "bne.w  2b\n"
        "ldr    r9, [r5], #4\n"
        "ldr    r10, [r5], #4\n"
        "ldr    r11, [r5], #4\n"
        "ldr    r12, [r5], #4\n"
        "vdup.32 q4, r9\n"
        "vmlas.s32 q0, q4, r10\n"
        "vdup.32 q5, r11\n"
        "vmlas.s32 q1, q4, r10\n"
        "vmlas.s32 q2, q4, r10\n"
        "vmlas.s32 q3, q4, r10\n"
        "tst    lr, #1\n"
        "bne    5f\n"
        "vqdmlash.s32 q0, q5, r12\n"
        "vqdmlash.s32 q1, q5, r12\n"
        "vqdmlash.s32 q2, q5, r12\n"
        "vqdmlash.s32 q3, q5, r12\n"
        "4:\n" /* pixels 0 4 1 5 2 6 3 7 in q1, the others in q3 */
        "vsri.32 q1, q0, #16\n"
        "vldrh.u16 q4, [r8]\n"
        "vsri.32 q3, q2, #16\n"
        "vldrh.u16 q5, [r8, #16]\n"
        "vqmovnb.s16 q1, q1\n"
        "vqmovnb.s16 q3, q3\n"
        "vstrb.16 q1, [r7, q4]\n"
        "vstrb.16 q3, [r7, q5]\n"
        "adds   r7, r7, #1\n"
        "1:\n" /* a channel */
        "ldr    r12, [r5], #4\n"
        "cmp    r12, #0\n"
        "beq    6f\n"
        "ldrb   r0, [r6], #1\n"
        "ldrsb  r1, [r6], #2\n"
        "mla    r0, r0, r3, r4\n"
        "add    r4, r4, lr, asr #1\n"
        "vldrb.s32 q4, [r0]\n"
        "vldrb.s32 q5, [r0, #4]\n"
        "vmul.i32 q0, q4, r1\n"
        "vldrb.s32 q4, [r0, #8]\n"
        "vmul.i32 q1, q5, r1\n"
        "vldrb.s32 q5, [r0, #12]\n"
        "vmul.i32 q2, q4, r1\n"
        "ldrb   r2, [r6, #-1]\n"
        "vmul.i32 q3, q5, r1\n"
        "mla    r0, r2, r3, r0\n"
        "bx     r12\n"
        "6:\n"
        "mov    r0, r6\n"
        "vpop   {d8-d11}\n"
        "pop    {r4-r11, pc}\n"
        "5:\n"
        "vshr.s32 q4, q0, #31\n"
        "vqdmlash.s32 q0, q5, r12\n"
        "vmla.s32 q0, q4, r9\n"
        "vshr.s32 q4, q1, #31\n"
        "vqdmlash.s32 q1, q5, r12\n"
        "vmla.s32 q1, q4, r9\n"
        "vshr.s32 q4, q2, #31\n"
        "vqdmlash.s32 q2, q5, r12\n"
        "vmla.s32 q2, q4, r9\n"
        "vshr.s32 q4, q3, #31\n"
        "vqdmlash.s32 q3, q5, r12\n"
        "vmla.s32 q3, q4, r9\n"
        "b      4b\n"
        "9:\n"
        "adr.w  r0, 2b\n"
        "adds   r0, r0, #1\n"
        "bx     lr\n");
}

#else

/* The same in C. */
uintptr_t snn_planar_run_tile(const snn_planar_tile *tile)
{
    const uint8_t *entry = tile->stream;
    const uint8_t *base = tile->base;
    int8_t *output = tile->output;
    for (const snn_planar_channel *channel = tile->channel; channel->jump; ++channel, ++output) {
        const uint8_t *tap = base + *entry++ * tile->unit;
        base += tile->step >> 1;
        int32_t sum[TILE] = {0};
        int32_t delta;
        do {
            const int32_t weight = (int8_t)entry[0];
            for (int32_t i = 0; i < TILE; ++i) {
                sum[i] += (int8_t)tap[i] * weight;
            }
            delta = entry[1];
            tap += delta * tile->unit;
            entry += 2;
        } while (delta != 0);
        for (int32_t i = 0; i < TILE; ++i) {
            const int32_t v = sum[i] * channel->scale + channel->bias;
            const int32_t y = (int32_t)((int64_t)v * channel->multiplier >> 31) + channel->offset -
                              (v < 0 ? channel->scale : 0);
            const int32_t value = y >> FRACTION;
            output[tile->place[(i & 8) + 2 * (i & 3) + (i >> 2 & 1)]] =
                (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
        }
    }
    return (uintptr_t)entry;
}

#endif
