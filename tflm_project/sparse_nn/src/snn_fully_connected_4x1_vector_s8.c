/* Fully connected, weights pruned in blocks of four neighbouring outputs, for MVE (4x1-vector).
 *
 * Four outputs share an input, so what is expensive with MVE, gathering bytes from anywhere, is
 * done once for four: a batch is the offsets of eight inputs and eight weights of each of four
 * outputs. Eight inputs are gathered, and each output's sum takes eight products by one VMLADAVA:
 * 11 instructions for 32 multiply-accumulates.
 */
#include "snn_sums.h"

enum { ROWS = 4, BLOCKS = 8, HEADER = 2, BATCH = 2 * BLOCKS + ROWS * BLOCKS };

SNN_SMALL int32_t snn_fully_connected_4x1_vector_s8_get_scratch_size(int32_t output_size)
{
    return 4 * ((output_size + ROWS - 1) / ROWS * ROWS);
}

#if SNN_MVE

__attribute__((noinline)) static void run_groups(const int8_t *input, const uint8_t *stream,
                                                 int32_t *sums, int32_t *end)
{
    for (; sums < end; sums += ROWS) {
        int32_t first = 0, second = 0, third = 0, fourth = 0;
        const int32_t batches = stream[0] + 256 * stream[1];
        stream += HEADER;
        __asm volatile(
            "wls    lr, %[batches], 2f\n"
            "1:\n"
            "vldrh.u16 q0, [%[stream]], #16\n"
            "vldrb.s16 q1, [%[input], q0]\n"
            "vldrb.s16 q2, [%[stream]], #8\n"
            "vldrb.s16 q3, [%[stream]], #8\n"
            "vmladava.s16 %[first], q1, q2\n"
            "vldrb.s16 q2, [%[stream]], #8\n"
            "vmladava.s16 %[second], q1, q3\n"
            "vldrb.s16 q3, [%[stream]], #8\n"
            "vmladava.s16 %[third], q1, q2\n"
            "vmladava.s16 %[fourth], q1, q3\n"
            "le     lr, 1b\n"
            "2:\n"
            : [stream] "+r"(stream), [first] "+Te"(first), [second] "+Te"(second),
              [third] "+Te"(third), [fourth] "+Te"(fourth)
            : [input] "r"(input), [batches] "r"(batches)
            : "lr", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10",
              "s11", "s12", "s13", "s14", "s15");
        sums[0] = first;
        sums[1] = second;
        sums[2] = third;
        sums[3] = fourth;
    }
}

#else

static void run_groups(const int8_t *input, const uint8_t *stream, int32_t *sums, int32_t *end)
{
    for (; sums < end; sums += ROWS) {
        int32_t batches = stream[0] + 256 * stream[1];
        sums[0] = sums[1] = sums[2] = sums[3] = 0;
        for (stream += HEADER; batches > 0; --batches, stream += BATCH) {
            const int8_t *const weights = (const int8_t *)stream + 2 * BLOCKS;
            for (int32_t i = 0; i < BLOCKS; ++i) {
                const int32_t x = input[stream[2 * i] + 256 * stream[2 * i + 1]];
                for (int32_t row = 0; row < ROWS; ++row) {
                    sums[row] += x * weights[row * BLOCKS + i];
                }
            }
        }
    }
}

#endif

#ifdef SNN_CHECKED
static snn_status check(const snn_stream_sums *weights, int32_t input_size, int32_t output_size)
{
    const uint8_t *at = weights->stream;
    const uint8_t *const end = at + weights->size;
    for (int32_t row = 0; row < output_size; row += ROWS) {
        if (end - at < HEADER) {
            return SNN_BAD_STREAM;
        }
        const int32_t batches = at[0] + 256 * at[1];
        at += HEADER;
        for (int32_t i = 0; i < batches; ++i, at += BATCH) {
            if (end - at < BATCH) {
                return SNN_BAD_STREAM;
            }
            for (int32_t j = 0; j < BLOCKS; ++j) {
                if (at[2 * j] + 256 * at[2 * j + 1] >= input_size) {
                    return SNN_BAD_STREAM;
                }
            }
        }
    }
    return SNN_OK;
}
#endif

SNN_SMALL snn_status snn_fully_connected_4x1_vector_s8(const int8_t *input, int32_t input_size,
                                                       const snn_stream_sums *weights,
                                                       const snn_quant *quant, int8_t *output,
                                                       int32_t output_size, void *scratch)
{
#ifdef SNN_CHECKED
    if (check(weights, input_size, output_size) != SNN_OK) {
        return SNN_BAD_STREAM;
    }
#else
    (void)input_size;
#endif
    return snn_sums_run(run_groups, ROWS, input, weights, quant, output, output_size, scratch);
}
