/* Runs a network in plain C on the host: inputs from stdin, outputs to stdout, back to back. */
#include <stdalign.h>
#include <stdio.h>

#include "model_under_test.h"

static alignas(16) unsigned char arena[MUT_ARENA_BYTES];
static alignas(16) unsigned char input[MUT_INPUT_BYTES];
static alignas(16) unsigned char output[MUT_OUTPUT_BYTES];

int main(void)
{
    while (fread(input, 1, sizeof input, stdin) == sizeof input) {
        const int status = mut_invoke(input, output, arena);
        if (status != 0) {
            fprintf(stderr, "invoke returned %d\n", status);
            return 1;
        }
        if (fwrite(output, 1, sizeof output, stdout) != sizeof output) {
            return 1;
        }
    }
    return 0;
}
