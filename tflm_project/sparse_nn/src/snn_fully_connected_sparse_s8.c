/* Fully connected, unstructured sparse weights in format d8, portable C.
 *
 * One pass over each row's entries; an entry costs two loads for itself, one load of the input
 * and one multiply-accumulate.
 */
#include "snn_requantize.h"
#include "snn_sparse.h"

snn_status snn_fully_connected_sparse_s8(const int8_t *input, int32_t input_size,
                                         const snn_stream_d8 *weights, const int32_t *bias,
                                         const snn_requant *requant, const snn_quant *quant,
                                         int8_t *output, int32_t output_size)
{
    const uint8_t *entry = weights->stream;
#ifdef SNN_CHECKED
    const uint8_t *const end = entry + weights->size;
#else
    (void)input_size;
#endif
    for (int32_t o = 0; o < output_size; ++o) {
        const int8_t *x = input;
        int32_t sum = bias[o];
        for (int32_t n = weights->count[o]; n > 0; --n) {
#ifdef SNN_CHECKED
            if (end - entry < 2 || entry[0] >= input_size - (x - input)) {
                return SNN_BAD_STREAM;
            }
#endif
            x += entry[0];
            sum += *x * (int8_t)entry[1];
            entry += 2;
        }
        sum = snn_requantize(sum, requant->multiplier[o], requant->shift[o]);
        sum += quant->output_offset;
        sum = sum < quant->activation_min ? quant->activation_min : sum;
        sum = sum > quant->activation_max ? quant->activation_max : sum;
        output[o] = (int8_t)sum;
    }
    return SNN_OK;
}
