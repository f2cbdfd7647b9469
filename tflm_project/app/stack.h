/* Stack high-water mark: paint what lies below the caller, then look how far it was used. */
#ifndef STACK_H
#define STACK_H

#include <stdint.h>

extern uint32_t _stack_limit[];

#define STACK_PAINT 0xC5C5A5A5u

static uint32_t *stack_painted_top;

static inline __attribute__((always_inline)) void stack_paint(void)
{
    uint32_t *sp;
    __asm volatile("mov %0, sp" : "=r"(sp));
    stack_painted_top = sp;
    for (volatile uint32_t *at = _stack_limit; at < (volatile uint32_t *)stack_painted_top; at++) {
        *at = STACK_PAINT;
    }
}

/* Bytes below the point where stack_paint() stood. */
static inline uint32_t stack_used(void)
{
    const volatile uint32_t *at = _stack_limit;
    while (at < (const volatile uint32_t *)stack_painted_top && *at == STACK_PAINT) {
        at++;
    }
    return (uint32_t)((uintptr_t)stack_painted_top - (uintptr_t)at);
}

#endif
