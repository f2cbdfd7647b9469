/* Start-up of every emulated board: vectors, memory, floating point, faults that say where. */
#include <stdint.h>

#include "semihost.h"

extern uint32_t _stack_limit[], _stack_top[], _data_load[], _data_start[], _data_end[], _bss_start[], _bss_end[];
extern void (*__init_array_start[])(void);
extern void (*__init_array_end[])(void);
int main(void);
void reset_handler(void);
void fault_handler(void);
void fault_report(const uint32_t *frame);

#define REGISTER(address) (*(volatile uint32_t *)(address))

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    _stack_top,    (void *)reset_handler, (void *)fault_handler, (void *)fault_handler,
    (void *)fault_handler, (void *)fault_handler, (void *)fault_handler, (void *)fault_handler,
    0, 0, 0, (void *)fault_handler, (void *)fault_handler, 0, (void *)fault_handler,
    (void *)fault_handler,
};

__attribute__((noreturn)) void reset_handler(void)
{
    for (uint32_t *to = _data_start, *from = _data_load; to < _data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = _bss_start; to < _bss_end;) {
        *to++ = 0;
    }
#if defined(__ARM_FP) || (defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE)
    REGISTER(0xE000ED88) |= 0xFu << 20; /* CPACR: full access to CP10 and CP11 */
    __asm volatile("dsb\n isb" ::: "memory");
#endif
#if defined(__ARM_ARCH_6M__)
    REGISTER(0xE000ED14) |= 1u << 3; /* CCR.UNALIGN_TRP: fault where a real M0 would */
#endif
    for (void (**init)(void) = __init_array_start; init < __init_array_end; init++) {
        (*init)();
    }
    semihost_exit(main());
}

/* The stacked frame of whoever faulted goes to the report, which gets a stack of its own: the fault
 * may have been the end of the old one, and the frame on it must not be overwritten. */
__attribute__((aligned(8), used)) static uint32_t fault_stack[128];
uint32_t *const fault_stack_top = fault_stack + 128;

__attribute__((naked)) void fault_handler(void)
{
    __asm volatile("mrs r0, msp\n"
                   "ldr r1, =fault_stack_top\n"
                   "ldr r1, [r1]\n"
                   "msr msp, r1\n"
                   "ldr r1, =fault_report\n"
                   "bx r1\n");
}

void fault_report(const uint32_t *frame)
{
    const uint32_t cfsr = REGISTER(0xE000ED28);
    semihost_line("fault", "hard");
    semihost_value("fault_cfsr", cfsr);
    semihost_value("fault_hfsr", REGISTER(0xE000ED2C));
    if (cfsr & 1u << 7) { /* MMARVALID */
        semihost_value("fault_address", REGISTER(0xE000ED34)); /* MMFAR */
    } else if (cfsr & 1u << 15) { /* BFARVALID */
        semihost_value("fault_address", REGISTER(0xE000ED38)); /* BFAR */
    }
    /* The whole frame lies on the stack, or the stack itself was lost. A wild pointer may stand at
     * the end of the address space, so nothing is added to it. */
    if (frame >= _stack_limit && frame <= _stack_top - 8) {
        semihost_value("fault_pc", frame[6]);
        semihost_value("fault_lr", frame[5]);
    } else {
        semihost_value("fault_sp", (uint32_t)frame);
    }
    semihost_exit(3);
}
