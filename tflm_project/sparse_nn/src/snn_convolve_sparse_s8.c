/* Convolution, unstructured sparse weights in format d8, portable C.
 *
 * Four output pixels are unrolled side by side into the scratch ("columns"), tap by tap, so that
 * one walk over a channel's entries serves four pixels: an entry costs two loads for itself and,
 * per pixel, one load and one multiply-accumulate.
 */
#include <string.h>

#include "snn_requantize.h"
#include "snn_sparse.h"

enum { PIXELS = 4 };

int32_t snn_convolve_sparse_s8_get_scratch_size(snn_shape input_shape, const snn_window *window)
{
    return PIXELS * window->kernel_h * window->kernel_w * input_shape.c;
}

/* Writes the window under output pixel (oy, ox) into every PIXELS-th byte of columns. */
static void unroll(const int8_t *input, snn_shape shape, const snn_window *window, int32_t oy,
                   int32_t ox, int8_t zero, int8_t *columns)
{
    for (int32_t ky = 0; ky < window->kernel_h; ++ky) {
        const int32_t y = oy * window->stride_h - window->pad_top + ky * window->dilation_h;
        for (int32_t kx = 0; kx < window->kernel_w; ++kx) {
            const int32_t x = ox * window->stride_w - window->pad_left + kx * window->dilation_w;
            if (y < 0 || y >= shape.h || x < 0 || x >= shape.w) {
                for (int32_t c = 0; c < shape.c; ++c, columns += PIXELS) {
                    *columns = zero;
                }
            } else {
                const int8_t *from = input + (y * shape.w + x) * shape.c;
                for (int32_t c = 0; c < shape.c; ++c, columns += PIXELS) {
                    *columns = *from++;
                }
            }
        }
    }
}

static int8_t finish(int32_t sum, int32_t channel, const snn_requant *requant,
                     const snn_quant *quant)
{
    sum = snn_requantize(sum, requant->multiplier[channel], requant->shift[channel]);
    sum += quant->output_offset;
    sum = sum < quant->activation_min ? quant->activation_min : sum;
    return (int8_t)(sum > quant->activation_max ? quant->activation_max : sum);
}

snn_status snn_convolve_sparse_s8(const int8_t *input, snn_shape input_shape,
                                  const snn_window *window, const snn_stream_d8 *weights,
                                  const int32_t *bias, const snn_requant *requant,
                                  const snn_quant *quant, int8_t *output, snn_shape output_shape,
                                  void *scratch)
{
    int8_t *const columns = scratch;
    const int8_t zero = (int8_t)-quant->input_offset;
    const int32_t pixels = output_shape.h * output_shape.w;
    const int32_t channels = output_shape.c;
#ifdef SNN_CHECKED
    const int32_t taps = window->kernel_h * window->kernel_w * input_shape.c;
#endif

    for (int32_t first = 0; first < pixels; first += PIXELS) {
        const int32_t live = pixels - first < PIXELS ? pixels - first : PIXELS;
        if (live < PIXELS) {
            memset(columns, 0,
                   (size_t)snn_convolve_sparse_s8_get_scratch_size(input_shape, window));
        }
        for (int32_t i = 0; i < live; ++i) {
            const int32_t pixel = first + i;
            unroll(input, input_shape, window, pixel / output_shape.w, pixel % output_shape.w,
                   zero, columns + i);
        }

        const uint8_t *entry = weights->stream;
        int8_t *out = output + first * channels;
        for (int32_t o = 0; o < channels; ++o, ++out) {
            const int8_t *x = columns;
            int32_t sum0 = bias[o], sum1 = bias[o], sum2 = bias[o], sum3 = bias[o];
            for (int32_t n = weights->count[o]; n > 0; --n) {
#ifdef SNN_CHECKED
                if (weights->stream + weights->size - entry < 2 ||
                    entry[0] >= taps - (x - columns) / PIXELS) {
                    return SNN_BAD_STREAM;
                }
#endif
                const int32_t w = (int8_t)entry[1];
                x += PIXELS * entry[0];
                sum0 += x[0] * w;
                sum1 += x[1] * w;
                sum2 += x[2] * w;
                sum3 += x[3] * w;
                entry += 2;
            }
            out[0] = finish(sum0, o, requant, quant);
            if (live > 1) {
                out[channels] = finish(sum1, o, requant, quant);
            }
            if (live > 2) {
                out[2 * channels] = finish(sum2, o, requant, quant);
            }
            if (live > 3) {
                out[3 * channels] = finish(sum3, o, requant, quant);
            }
        }
    }
    return SNN_OK;
}
