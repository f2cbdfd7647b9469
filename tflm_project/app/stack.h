/* Stack high-water mark: paint what lies below the caller, then look how far it was used. */
#ifndef STACK_H
#define STACK_H

#include <stdint.h>

#include "semihost.h"

/* Of the linker script: the stack's lower end, and the lower end of what is painted below it to see
 * a frame that steps over that end. */
extern uint32_t _stack_limit[], _stack_guard[], _stack_top[];

#define STACK_PAINT 0xC5C5A5A5u

static uint32_t *stack_painted_top;

static inline __attribute__((always_inline)) void stack_paint(void)
{
    uint32_t *sp;
    __asm volatile("mov %0, sp" : "=r"(sp));
    stack_painted_top = sp;
    for (volatile uint32_t *at = _stack_guard; at < (volatile uint32_t *)stack_painted_top; at++) {
        *at = STACK_PAINT;
    }
}

/* One line with the bytes that were used below the point where stack_paint() stood, and 0; where
 * the stack went below its end, which leaves no figure worth telling, the bytes it has, and 1.
 * Not inlined, so that it costs main() no register between the marks of the counter. */
static __attribute__((noinline)) int stack_report(void)
{
    const volatile uint32_t *at = _stack_guard;
    while (at < (const volatile uint32_t *)stack_painted_top && *at == STACK_PAINT) {
        at++;
    }
    if (at <= (const volatile uint32_t *)_stack_limit) {
        semihost_value("stack_bytes", (uint32_t)((uintptr_t)_stack_top - (uintptr_t)_stack_limit));
        return 1;
    }
    semihost_value("stack", (uint32_t)((uintptr_t)stack_painted_top - (uintptr_t)at));
    return 0;
}

#endif
