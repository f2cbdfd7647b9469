/* SysTick as a clock: under QEMU's -icount it counts instructions, a fixed number a tick. */
#ifndef TICKS_H
#define TICKS_H

#include <stdint.h>

#define TICKS_CONTROL (*(volatile uint32_t *)0xE000E010)
#define TICKS_RELOAD (*(volatile uint32_t *)0xE000E014)
#define TICKS_VALUE (*(volatile uint32_t *)0xE000E018)

/* Counts down 24 bits from here on: good for 16.7 million ticks. */
static inline void ticks_start(void)
{
    TICKS_RELOAD = 0xFFFFFFu;
    TICKS_VALUE = 0;
    TICKS_CONTROL = 5; /* processor clock, no interrupt */
}

static inline uint32_t ticks_elapsed(void) { return 0xFFFFFFu - TICKS_VALUE; }

#endif
