/* Convolution and fully connected layers, sparse weights in format direct, portable and small.
 *
 * Entries hold distances in the image itself, so that nothing is unrolled: one walk over a
 * channel's entries serves four neighbouring pixels of a row, an entry costs two loads for itself
 * and, per pixel, one load and one multiply-accumulate. The last four pixels of a row may overlap
 * those before them, which saves the code for a rest; rows of fewer than four pixels (a fully
 * connected layer has one) go pixel by pixel. Built for size, whatever the rest of a program is
 * built for: it serves every layer of a network, and being small is what it is for.
 */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("Os")
#endif
#include <string.h>

#include "snn_requantize.h"
#include "snn_sparse.h"

enum { PIXELS = 4 };

int32_t snn_sparse_direct_s8_get_scratch_size(snn_shape input_shape, snn_shape image_shape)
{
    const int same = input_shape.h == image_shape.h && input_shape.w == image_shape.w;
    return same ? 0 : image_shape.h * image_shape.w * image_shape.c;
}

/* Copies the input into the larger image, whose border is zero. */
static void pad(const int8_t *input, snn_shape shape, const snn_window *window, int8_t zero,
                int8_t *image, snn_shape image_shape)
{
    const int32_t room_h = image_shape.h - window->pad_top;
    const int32_t room_w = image_shape.w - window->pad_left;
    const int32_t rows = shape.h < room_h ? shape.h : room_h;
    const int32_t columns = shape.w < room_w ? shape.w : room_w;
    memset(image, zero, (size_t)(image_shape.h * image_shape.w * shape.c));
    image += (window->pad_top * image_shape.w + window->pad_left) * shape.c;
    for (int32_t y = 0; y < rows; ++y) {
        memcpy(image + y * image_shape.w * shape.c, input + y * shape.w * shape.c,
               (size_t)(columns * shape.c));
    }
}

snn_status snn_sparse_direct_s8(const int8_t *input, snn_shape input_shape,
                                const snn_window *window, const snn_stream_d8 *weights,
                                const int32_t *bias, const int32_t *multiplier,
                                const int8_t *shift, int32_t apart, const snn_quant *quant,
                                int8_t *output, snn_shape output_shape, void *scratch,
                                snn_shape image_shape)
{
    if (snn_sparse_direct_s8_get_scratch_size(input_shape, image_shape) > 0) {
        pad(input, input_shape, window, (int8_t)-quant->input_offset, scratch, image_shape);
        input = scratch;
    }
    const int32_t row = window->stride_h * image_shape.w * image_shape.c;
    const int32_t step = window->stride_w * image_shape.c;
    const int32_t live = output_shape.w < PIXELS ? 1 : PIXELS;
#ifdef SNN_CHECKED
    const int32_t last = (((window->kernel_h - 1) * window->dilation_h * image_shape.w +
                           (window->kernel_w - 1) * window->dilation_w + 1) *
                          image_shape.c) -
                         1;
#endif

    for (int32_t oy = 0; oy < output_shape.h; ++oy) {
        for (int32_t next = 0; next < output_shape.w; next += live) {
            const int32_t ox = next > output_shape.w - live ? output_shape.w - live : next;
            const int8_t *const first = input + oy * row + ox * step;
            int8_t *out = output + (oy * output_shape.w + ox) * output_shape.c;
            const uint8_t *entry = weights->stream;
            for (int32_t o = 0; o < output_shape.c; ++o, ++out) {
                const int8_t *x = first;
                const uint8_t *const end = entry + 2 * weights->count[o];
                int32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
#ifdef SNN_CHECKED
                if (weights->count[o] * 2 > weights->stream + weights->size - entry) {
                    return SNN_BAD_STREAM;
                }
#endif
                while (entry < end) {
                    const int32_t delta = *entry++;
#ifdef SNN_CHECKED
                    if (delta > last - (x - first)) {
                        return SNN_BAD_STREAM;
                    }
#endif
                    const int32_t w = (int8_t)*entry++;
                    x += delta;
                    sum0 += x[0] * w;
                    if (live > 1) {
                        sum1 += x[step] * w;
                        sum2 += x[2 * step] * w;
                        sum3 += x[3 * step] * w;
                    }
                }
                const int32_t sums[PIXELS] = {sum0, sum1, sum2, sum3};
                for (int32_t i = 0; i < live; ++i) {
                    const int32_t sum = snn_requantize(sums[i] + bias[o], multiplier[o * apart],
                                                       shift[o * apart]);
                    out[i * output_shape.c] =
                        (int8_t)snn_clamp(sum + quant->output_offset, quant->activation_min,
                                          quant->activation_max);
                }
            }
        }
    }
    return SNN_OK;
}
