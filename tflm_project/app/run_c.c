/* Runs a network in plain C over every input of "inputs.bin" and writes "outputs.bin", on an
 * emulated board. What was measured goes out as one `key=value` line each.
 *
 * Ends with 0, or: 1 a file of the host, 2 the network's own status, 3 a fault (boards/startup.c),
 * 6 the stack was too small.
 */
#include <stdalign.h>
#include <stdint.h>

#include "model_under_test.h"
#include "semihost.h"
#include "stack.h"
#include "ticks.h"

#define BUFFER __attribute__((section(".buffers"))) alignas(16)

BUFFER uint8_t runner_arena[MUT_ARENA_BYTES];
BUFFER uint8_t runner_input[MUT_INPUT_BYTES];
BUFFER uint8_t runner_output[MUT_OUTPUT_BYTES];

/* The counter starts at the first symbol and stops at the second. */
__attribute__((noinline, used)) void bench_begin(void) { __asm volatile("" ::: "memory"); }
__attribute__((noinline, used)) void bench_end(void) { __asm volatile("" ::: "memory"); }
__attribute__((noinline, used)) void snn_layer_mark(void) { __asm volatile("" ::: "memory"); }

int main(void)
{
    const int32_t in = semihost_open("inputs.bin", SEMIHOST_READ);
    const int32_t out = semihost_open("outputs.bin", SEMIHOST_WRITE);
    uint32_t runs = 0;
    if (in < 0 || out < 0) {
        semihost_line("error", "files");
        return 1;
    }
    while (semihost_read(in, runner_input, sizeof runner_input) == sizeof runner_input) {
        int status;
        if (runs == 0) {
            uint32_t ticks;
            stack_paint();
            ticks_start();
            bench_begin();
            status = mut_invoke(runner_input, runner_output, runner_arena);
            bench_end();
            ticks = ticks_elapsed();
            if (stack_report() != 0) {
                return 6;
            }
            semihost_value("ticks", ticks);
        } else {
            status = mut_invoke(runner_input, runner_output, runner_arena);
        }
        if (status != 0) {
            semihost_value("invoke_status", (uint32_t)status);
            return 2;
        }
        if (semihost_write(out, runner_output, sizeof runner_output) != 0) {
            semihost_line("error", "write");
            return 1;
        }
        runs++;
    }
    semihost_value("runs", runs);
    return 0;
}
