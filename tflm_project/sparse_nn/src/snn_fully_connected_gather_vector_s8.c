/* Fully connected, weights anywhere, for MVE (gather-vector).
 *
 * A row is its number of entries, all their weights, and all their offsets from a base that starts
 * at the first input and that every sixteenth offset moves on. Sixteen inputs are gathered and
 * sixteen products summed by one VMLADAVA: 7 instructions for a batch of sixteen, the last of which
 * may have fewer (the loop masks the rest), and about 15 a row beside its batches.
 *
 * How long gathering sixteen bytes takes is the core's secret; what the emulation counts as one
 * load are sixteen accesses.
 */
#include "snn_sums.h"

enum { LANES = 16, HEADER = 2 };

SNN_SMALL int32_t snn_fully_connected_gather_vector_s8_get_scratch_size(int32_t output_size)
{
    return 4 * output_size;
}

#if SNN_MVE

/* The base is moved on at the start of the next batch, so that no offset is read behind the last
 * one; before the first batch the byte before the offsets is taken off again. */
__attribute__((noinline)) static void run_rows(const int8_t *input, const uint8_t *stream,
                                               int32_t *sums, int32_t *end)
{
    for (; sums < end; ++sums) {
        const int32_t entries = stream[0] + 256 * stream[1];
        const uint8_t *weight = stream + HEADER;
        const uint8_t *offset = weight + entries;
        const int8_t *x = input - offset[-1];
        int32_t sum = 0, last;
        stream = offset + entries;
        __asm volatile(
            "wlstp.8 lr, %[entries], 2f\n"
            "1:\n"
            "ldrb   %[last], [%[offset], #-1]\n"
            "vldrb.u8 q1, [%[offset]], #16\n"
            "add    %[x], %[x], %[last]\n"
            "vldrb.u8 q0, [%[weight]], #16\n"
            "vldrb.u8 q2, [%[x], q1]\n"
            "vmladava.s8 %[sum], q0, q2\n"
            "letp   lr, 1b\n"
            "2:\n"
            : [weight] "+r"(weight), [offset] "+r"(offset), [x] "+r"(x), [sum] "+Te"(sum),
              [last] "=&r"(last)
            : [entries] "r"(entries)
            : "lr", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10",
              "s11");
        *sums = sum;
    }
}

#else

static void run_rows(const int8_t *input, const uint8_t *stream, int32_t *sums, int32_t *end)
{
    for (; sums < end; ++sums) {
        const int32_t entries = stream[0] + 256 * stream[1];
        const int8_t *const weight = (const int8_t *)stream + HEADER;
        const uint8_t *const offset = stream + HEADER + entries;
        const int8_t *x = input;
        int32_t sum = 0;
        for (int32_t i = 0; i < entries; ++i) {
            if (i > 0 && i % LANES == 0) {
                x += offset[i - 1];
            }
            sum += x[offset[i]] * weight[i];
        }
        *sums = sum;
        stream = offset + entries;
    }
}

#endif

#ifdef SNN_CHECKED
static snn_status check(const snn_stream_sums *weights, int32_t input_size, int32_t output_size)
{
    const uint8_t *at = weights->stream;
    const uint8_t *const end = at + weights->size;
    for (int32_t row = 0; row < output_size; ++row) {
        int32_t base = 0;
        if (end - at < HEADER) {
            return SNN_BAD_STREAM;
        }
        const int32_t entries = at[0] + 256 * at[1];
        at += HEADER;
        if (end - at < 2 * entries) {
            return SNN_BAD_STREAM;
        }
        at += entries;
        for (int32_t i = 0; i < entries; ++i) {
            if (i > 0 && i % LANES == 0) {
                base += at[i - 1];
            }
            if (base + at[i] >= input_size) {
                return SNN_BAD_STREAM;
            }
        }
        at += entries;
    }
    return SNN_OK;
}
#endif

SNN_SMALL snn_status snn_fully_connected_gather_vector_s8(const int8_t *input, int32_t input_size,
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
    return snn_sums_run(run_rows, 1, input, weights, quant, output, output_size, scratch);
}
