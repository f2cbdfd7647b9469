/* SysTick as a clock: under QEMU's -icount it counts instructions, a fixed number a tick. */
#ifndef TICKS_H
#define TICKS_H

#include <stdint.h>

#define TICKS_CONTROL (*(volatile uint32_t *)0xE000E010)
#define TICKS_RELOAD (*(volatile uint32_t *)0xE000E014)
#define TICKS_VALUE (*(volatile uint32_t *)0xE000E018)

static uint32_t ticks_began;

/* Counts down 24 bits from here on: good for 16.7 million ticks. Returns right behind a tick, so
 * that what follows is measured to within one. */
static inline void ticks_start(void)
{
    uint32_t before;
    TICKS_RELOAD = 0xFFFFFFu;
    TICKS_VALUE = 0;
    TICKS_CONTROL = 5; /* processor clock, no interrupt */
    before = TICKS_VALUE;
    do {
        ticks_began = TICKS_VALUE;
    } while (ticks_began == before);
}

static inline uint32_t ticks_elapsed(void) { return (ticks_began - TICKS_VALUE) & 0xFFFFFFu; }

#endif
