/* Fully connected, weights pruned in blocks of four neighbouring inputs, for MVE (1x4-vector).
 *
 * Four blocks make a batch of 20 bytes: sixteen weights and four offsets, counted in blocks from a
 * base that the last offset moves on. Four words of the input are gathered and sixteen products
 * summed by one VMLADAVA: 7 instructions a batch, and about 15 a row beside its batches.
 */
#include <string.h>

#include "snn_sums.h"

enum { BLOCK = 4, BLOCKS = 4, HEADER = 4, BATCH = 20 };

SNN_SMALL int32_t snn_fully_connected_1x4_vector_s8_get_scratch_size(int32_t input_size,
                                                                     int32_t output_size)
{
    return (input_size + BLOCK - 1) / BLOCK * BLOCK + 4 * output_size;
}

#if SNN_MVE

__attribute__((noinline)) static void run_rows(const int8_t *input, const uint8_t *stream,
                                               int32_t *sums, int32_t *end)
{
    for (; sums < end; ++sums) {
        const int8_t *x = input;
        int32_t sum = 0, last;
        const int32_t batches = stream[0];
        stream += HEADER;
        __asm volatile(
            "wls    lr, %[batches], 2f\n"
            "1:\n"
            "vldrb.u8 q0, [%[stream]], #16\n"
            "vldrb.u32 q1, [%[stream]], #4\n"
            "vldrw.u32 q2, [%[x], q1, uxtw #2]\n"
            "ldrb   %[last], [%[stream], #-1]\n"
            "vmladava.s8 %[sum], q0, q2\n"
            "add    %[x], %[x], %[last], lsl #2\n"
            "le     lr, 1b\n"
            "2:\n"
            : [stream] "+r"(stream), [x] "+r"(x), [sum] "+Te"(sum), [last] "=&r"(last)
            : [batches] "r"(batches)
            : "lr", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10",
              "s11");
        *sums = sum;
    }
}

#else

static void run_rows(const int8_t *input, const uint8_t *stream, int32_t *sums, int32_t *end)
{
    for (; sums < end; ++sums) {
        const int8_t *x = input;
        int32_t sum = 0;
        int32_t batches = stream[0];
        for (stream += HEADER; batches > 0; --batches, stream += BATCH) {
            for (int32_t i = 0; i < BLOCK * BLOCKS; ++i) {
                sum += (int8_t)stream[i] * x[BLOCK * stream[16 + i / BLOCK] + i % BLOCK];
            }
            x += BLOCK * stream[BATCH - 1];
        }
        *sums = sum;
    }
}

#endif

#ifdef SNN_CHECKED
static snn_status check(const snn_stream_sums *weights, int32_t input_size, int32_t output_size)
{
    const uint8_t *at = weights->stream;
    const uint8_t *const end = at + weights->size;
    const int32_t blocks = (input_size + BLOCK - 1) / BLOCK;
    for (int32_t row = 0; row < output_size; ++row) {
        int32_t place = 0;
        if (end - at < HEADER) {
            return SNN_BAD_STREAM;
        }
        const int32_t batches = at[0];
        at += HEADER;
        for (int32_t i = 0; i < batches; ++i, at += BATCH) {
            if (end - at < BATCH) {
                return SNN_BAD_STREAM;
            }
            for (int32_t j = 16; j < BATCH; ++j) {
                if (place + at[j] >= blocks) {
                    return SNN_BAD_STREAM;
                }
            }
            place += at[BATCH - 1];
        }
    }
    return SNN_OK;
}
#endif

SNN_SMALL snn_status snn_fully_connected_1x4_vector_s8(const int8_t *input, int32_t input_size,
                                                       const snn_stream_sums *weights,
                                                       const snn_quant *quant, int8_t *output,
                                                       int32_t output_size, void *scratch)
{
    int32_t *const sums = scratch;
    int8_t *const words = (int8_t *)(sums + output_size); /* a gather needs aligned words */
#ifdef SNN_CHECKED
    if (check(weights, input_size, output_size) != SNN_OK) {
        return SNN_BAD_STREAM;
    }
#endif
    memcpy(words, input, (size_t)input_size);
    memset(words + input_size, 0, (size_t)(-input_size & (BLOCK - 1)));
    return snn_sums_run(run_rows, 1, words, weights, quant, output, output_size, sums);
}
