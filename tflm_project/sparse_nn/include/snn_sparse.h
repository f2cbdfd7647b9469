/* Sparse kernels of sparse_nn: convolution and fully connected over int8 weights of which only
 * the nonzero ones are stored. Same arithmetic as TFLite's reference kernels, byte for byte.
 *
 * Every stream is made by the generator on the host (bridge/encode), which folds the input's
 * zero point into the bias:  bias[o] + input_offset * sum(w[o]).  The kernels therefore multiply
 * the activations as they are, and padding is written as the zero point.
 *
 * What is trusted: streams are constants that the generator made and checked. A build with
 * SNN_CHECKED defined trusts nothing about a stream: it never reads past the stream's end nor
 * outside the input, and returns SNN_BAD_STREAM.
 */
#ifndef SNN_SPARSE_H
#define SNN_SPARSE_H

#include "snn_nn.h"
#include "snn_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Format d8: two bytes an entry, (delta, weight). The position starts at 0 for every output
 * channel; an entry first adds its delta to the position, then multiplies. Positions count the
 * filter's taps in TFLite's order [height][width][in]. A gap above 255 is bridged by entries
 * (255, 0): a weight of 0 adds nothing, so the kernel needs no special case. */
typedef struct {
    const uint8_t *stream; /* all channels' entries, one after the other */
    const uint16_t *count; /* entries of each output channel, bridges included */
    uint32_t size;         /* bytes in stream; read by checked builds alone */
} snn_stream_d8;

/* Convolution with weights in d8; any stride, dilation and padding, every core.
 *
 * bias:    one per output channel, zero point folded in (see above).
 * scratch: snn_convolve_sparse_s8_get_scratch_size() bytes, any alignment.
 */
snn_status snn_convolve_sparse_s8(const int8_t *input, snn_shape input_shape,
                                  const snn_window *window, const snn_stream_d8 *weights,
                                  const int32_t *bias, const snn_requant *requant,
                                  const snn_quant *quant, int8_t *output, snn_shape output_shape,
                                  void *scratch);

/* Bytes of scratch: four unrolled pixels. */
int32_t snn_convolve_sparse_s8_get_scratch_size(snn_shape input_shape, const snn_window *window);

/* Fully connected layer with weights in d8: output[o] = sum over inputs. No scratch. */
snn_status snn_fully_connected_sparse_s8(const int8_t *input, int32_t input_size,
                                         const snn_stream_d8 *weights, const int32_t *bias,
                                         const snn_requant *requant, const snn_quant *quant,
                                         int8_t *output, int32_t output_size);

/* Format direct: d8 entries whose positions are distances in the image that windows walk over,
 * [row][column][in]: the input itself or, where windows reach beyond it, a padded copy in scratch.
 * One small kernel for convolution (any stride, dilation, padding) and fully connected layers (a
 * 1x1 convolution over one pixel), every core.
 *
 * bias:        one per output channel, zero point folded in (see above).
 * multiplier, shift: requantization; a negative shift goes right.
 * apart:       1 where each output channel has its own, 0 where all have the first one.
 * image_shape: input_shape where no window reaches beyond the input; else just large enough for
 *              every window: (out - 1) * stride + (kernel - 1) * dilation + 1 along each side.
 * scratch:     snn_sparse_direct_s8_get_scratch_size() bytes, any alignment.
 */
snn_status snn_sparse_direct_s8(const int8_t *input, snn_shape input_shape,
                                const snn_window *window, const snn_stream_d8 *weights,
                                const int32_t *bias, const int32_t *multiplier,
                                const int8_t *shift, int32_t apart, const snn_quant *quant,
                                int8_t *output, snn_shape output_shape, void *scratch,
                                snn_shape image_shape);

/* Bytes of scratch: the padded copy, or 0. */
int32_t snn_sparse_direct_s8_get_scratch_size(snn_shape input_shape, snn_shape image_shape);

/* Format dual: for convolutions that compute two pixels with one multiply (docs/kernels.md).
 *
 * Each channel is one byte, the first entry's position, and then its entries (weight, delta to
 * the next entry), the last delta being 0. Positions count words of the packed input, see
 * src/snn_dual.h; they depend on segment and on the window. A channel without weights holds one
 * entry of weight 0, and gaps above 255 are bridged by such entries.
 *
 * Each channel has a line in the table, a little-endian number of 7 or 8 bytes, from the lowest
 * bit: right shift (4 bits, at least 1), place in the chain (4), multiplier less 2^30 (30), 1 where
 * only TFLite's own roundings give every output (1), bias with the zero point folded in (the rest,
 * signed).
 *
 * The generator guarantees, from the real weights: |sum of x * w| < 2^22 for every channel and any
 * int8 x, and what snn_dual.h says about the fast way to requantize where that bit is 0. */
typedef struct {
    const uint8_t *stream;
    const uint8_t *table;
    int32_t line;     /* bytes of a channel in the table: 7, or 8 where a bias needs more */
    uint32_t size;    /* bytes in stream; read by checked builds alone */
    int32_t band;     /* output rows that share one packing */
    int32_t segment;  /* output columns that share one packing, at least 4 */
} snn_stream_dual;

/* Convolution with weights in dual; any stride, dilation and padding. Assembly on cores with the
 * DSP extension, plain C elsewhere.
 *
 * scratch: snn_convolve_dual_sparse_s8_get_scratch_size() bytes, aligned to 4.
 * Returns SNN_BAD_ARGUMENT where band or segment don't fit the output.
 */
snn_status snn_convolve_dual_sparse_s8(const int8_t *input, snn_shape input_shape,
                                       const snn_window *window, const snn_stream_dual *weights,
                                       const snn_quant *quant, int8_t *output,
                                       snn_shape output_shape, void *scratch);

int32_t snn_convolve_dual_sparse_s8_get_scratch_size(snn_shape input_shape,
                                                     const snn_window *window,
                                                     const snn_stream_dual *weights,
                                                     snn_shape output_shape);

/* Dense weights for the dual-pixel convolution: every weight once, in the order that the kernel
 * reads them. The same bounds hold as for snn_stream_dual. The last of an odd number of channels
 * is paired with zeros. A shift is to the right, 1 to 15, and 128 more where only TFLite's own
 * roundings give every output. */
typedef struct {
    const int8_t *weights; /* [channel pair][block][input channel][tap][2] */
    const int32_t *bias;   /* zero point folded in */
    const int32_t *multiplier;
    const uint8_t *shift;
    int32_t band;    /* output rows that share one packing */
    int32_t segment; /* output columns that share one packing: 2 to 12 less the filter's reach */
} snn_dense_dual;

/* Dense convolution, two pixels in one multiply; any stride, dilation and padding.
 * scratch: snn_convolve_dual_s8_get_scratch_size() bytes, aligned to 4. */
snn_status snn_convolve_dual_s8(const int8_t *input, snn_shape input_shape,
                                const snn_window *window, const snn_dense_dual *weights,
                                const snn_quant *quant, int8_t *output, snn_shape output_shape,
                                void *scratch);

int32_t snn_convolve_dual_s8_get_scratch_size(snn_shape input_shape, const snn_window *window,
                                              const snn_dense_dual *weights,
                                              snn_shape output_shape);

/* Dense weights for the dual-pixel depthwise convolution; bounds and shifts as above. */
typedef struct {
    const int8_t *weights; /* [channel][3][3] */
    const int32_t *bias;   /* zero point folded in */
    const int32_t *multiplier;
    const uint8_t *shift;
    int32_t band;    /* output rows that share one packing */
    int32_t segment; /* output columns that share one packing, at most 14 */
    int32_t group;   /* channels that are packed and computed together */
} snn_depthwise_dual;

/* Depthwise 3x3 convolution without dilation and with channel multiplier 1, horizontal stride 1
 * or 2, any padding; two pixels in one multiply.
 * scratch: snn_depthwise_dual_s8_get_scratch_size() bytes, aligned to 4. */
snn_status snn_depthwise_dual_s8(const int8_t *input, snn_shape input_shape,
                                 const snn_window *window, const snn_depthwise_dual *weights,
                                 const snn_quant *quant, int8_t *output, snn_shape output_shape,
                                 void *scratch);

int32_t snn_depthwise_dual_s8_get_scratch_size(snn_shape input_shape, const snn_window *window,
                                               const snn_depthwise_dual *weights,
                                               snn_shape output_shape);

/* Rows of a fully connected layer, each followed by what turns its sum into an output. The stream
 * begins with a header, and every row is its batches and a trailer of twelve bytes that ends in the
 * next row's header:
 *
 *     header:  0, place in the unrolled code, number of batches, 1 if a half batch comes first
 *     trailer: twice the bias (zero point folded in) and the multiplier, both little-endian int32;
 *              the right shift less one; the next header's last three bytes
 *
 * The header behind the last row is (0, 0, 2): a kernel that reads one header ahead stays inside.
 * The generator guarantees |sum| + |bias| < 2^30, a multiplier of at least 2^30 and a right shift
 * of 1 to 23 for every row. */
typedef struct {
    const uint8_t *stream; /* aligned to 4 */
    uint32_t size;         /* bytes in stream; read by checked builds alone */
} snn_stream_rows;

/* Format octet: a batch is eight weights, then eight offsets from a base that starts at the first
 * input and that each batch's last offset moves on; a half batch is four and four. Unused slots
 * have weight 0. */

/* Fully connected layer with weights in octet. No scratch. */
snn_status snn_fully_connected_octet_s8(const int8_t *input, int32_t input_size,
                                        const snn_stream_rows *weights, const snn_quant *quant,
                                        int8_t *output, int32_t output_size);

/* Format 1x4: blocks of four neighbouring inputs. A batch is four blocks: sixteen bytes of weights
 * as bridge/encode/block1x4.py says, and four offsets that count blocks from a base that the last
 * one moves on; a half batch is two blocks, two offsets and two bytes 0. Beside the guarantees of
 * snn_stream_rows, |sum of w * (x + 128 at even inputs, x at odd ones)| < 2^23 for every row. */

/* Fully connected layer with weights in 1x4.
 * scratch: snn_fully_connected_1x4_s8_get_scratch_size() bytes, aligned to 4. */
snn_status snn_fully_connected_1x4_s8(const int8_t *input, int32_t input_size,
                                      const snn_stream_rows *weights, const snn_quant *quant,
                                      int8_t *output, int32_t output_size, void *scratch);

int32_t snn_fully_connected_1x4_s8_get_scratch_size(int32_t input_size);

/* Streams whose sums are requantized at the end, by snn_requantize_rows() and its guarantees. */
typedef struct {
    const uint8_t *stream; /* aligned to 4 */
    const int32_t *bias2;  /* twice the bias, zero point folded in */
    const int32_t *multiplier;
    const uint8_t *shift; /* to the right, less one */
    uint32_t size;        /* bytes in stream; read by checked builds alone */
} snn_stream_sums;

/* Fully connected layer with weights in blocks of four neighbouring outputs (4x1). The stream holds
 * groups of four outputs: a header of four bytes (place in the unrolled code, number of batches,
 * bytes of the batches in two), then batches of four blocks, 20 bytes each: weights as
 * bridge/encode/block4x1.py says, and four offsets as in octet; |sum| < 2^23 for every row.
 * scratch: one int32 per output, rounded up to a multiple of four outputs, aligned to 4. */
snn_status snn_fully_connected_4x1_s8(const int8_t *input, int32_t input_size,
                                      const snn_stream_sums *weights, const snn_quant *quant,
                                      int8_t *output, int32_t output_size, void *scratch);

int32_t snn_fully_connected_4x1_s8_get_scratch_size(int32_t output_size);

/* Format 1x4-vector: 1x4 for MVE, which multiplies bytes. The stream holds rows: a header of four
 * bytes (number of batches, 0, 0, 0), then batches of four blocks, 20 bytes each: sixteen weights
 * as they are and four offsets as in 1x4.
 * scratch: snn_fully_connected_1x4_vector_s8_get_scratch_size() bytes, aligned to 4. */
snn_status snn_fully_connected_1x4_vector_s8(const int8_t *input, int32_t input_size,
                                             const snn_stream_sums *weights,
                                             const snn_quant *quant, int8_t *output,
                                             int32_t output_size, void *scratch);

int32_t snn_fully_connected_1x4_vector_s8_get_scratch_size(int32_t input_size,
                                                           int32_t output_size);

/* Format 4x1-vector: 4x1 for MVE. The stream holds groups of four outputs: the number of batches
 * (uint16), then batches of eight blocks, 48 bytes each: eight inputs' numbers (uint16) and eight
 * weights of each of the four outputs.
 * scratch: snn_fully_connected_4x1_vector_s8_get_scratch_size() bytes, aligned to 4. */
snn_status snn_fully_connected_4x1_vector_s8(const int8_t *input, int32_t input_size,
                                             const snn_stream_sums *weights,
                                             const snn_quant *quant, int8_t *output,
                                             int32_t output_size, void *scratch);

int32_t snn_fully_connected_4x1_vector_s8_get_scratch_size(int32_t output_size);

/* Format gather-vector: unstructured, for MVE. The stream holds rows: the number of entries
 * (uint16), their weights, and their offsets from a base that starts at the first input and that
 * every sixteenth entry's offset moves on.
 * scratch: snn_fully_connected_gather_vector_s8_get_scratch_size() bytes, aligned to 4. */
snn_status snn_fully_connected_gather_vector_s8(const int8_t *input, int32_t input_size,
                                                const snn_stream_sums *weights,
                                                const snn_quant *quant, int8_t *output,
                                                int32_t output_size, void *scratch);

int32_t snn_fully_connected_gather_vector_s8_get_scratch_size(int32_t output_size);

/* Format planar-vector: convolution for MVE, sixteen neighbouring outputs a weight.
 *
 * The stream is that of dual: each channel is one byte, the first entry's position, and then its
 * entries (weight, delta to the next entry), the last delta being 0; a channel without weights
 * holds one entry of weight 0, and gaps above 255 are bridged by such entries. Positions count
 * places of the unrolled input, see src/snn_planar.h; they depend on segment and on the window.
 *
 * The generator guarantees for every channel and any int8 x, from the real weights: |sum of x * w +
 * bias| * 2^(16 - right shift) < 2^30; a right shift of 1 to 15. The generator also keeps distances
 * in 16 bits: the outputs of a segment lie within 65535 bytes, stride_w * 7 * input channels + 1 <=
 * 65535, and the bytes that one channel takes in the unrolled input + 7 * lanes <= 65535. */
typedef struct {
    const uint8_t *stream;
    const int32_t *multiplier; /* in [2^30, 2^31) */
    const int32_t *code;       /* bias * 256 (zero point folded in) + place in the chain * 16 +
                                  right shift */
    uint32_t size;             /* bytes in stream; read by checked builds alone */
    int32_t band;              /* output rows of each lane that share one unrolling */
    int32_t segment;           /* output columns that share one unrolling */
    int32_t lanes;             /* output rows computed side by side; segment * lanes >= 16 */
} snn_stream_planar;

/* Convolution with weights in planar-vector; any stride, dilation and padding. MVE where the core
 * has it, plain C elsewhere.
 *
 * scratch: snn_convolve_planar_sparse_s8_get_scratch_size() bytes, aligned to 4.
 * Returns SNN_BAD_ARGUMENT where band, segment or lanes don't fit the output, or a distance its 16
 * bits.
 */
snn_status snn_convolve_planar_sparse_s8(const int8_t *input, snn_shape input_shape,
                                         const snn_window *window,
                                         const snn_stream_planar *weights, const snn_quant *quant,
                                         int8_t *output, snn_shape output_shape, void *scratch);

int32_t snn_convolve_planar_sparse_s8_get_scratch_size(snn_shape input_shape,
                                                       const snn_window *window,
                                                       const snn_stream_planar *weights,
                                                       snn_shape output_shape);

/* Depthwise convolution with channel multiplier 1 and weights in planar-vector; any filter, stride,
 * dilation and padding. Positions of a channel's entries are inside its own planes. `group`
 * channels are unrolled together.
 * scratch: snn_depthwise_planar_s8_get_scratch_size() bytes, aligned to 4. */
snn_status snn_depthwise_planar_s8(const int8_t *input, snn_shape input_shape,
                                   const snn_window *window, const snn_stream_planar *weights,
                                   int32_t group, const snn_quant *quant, int8_t *output,
                                   snn_shape output_shape, void *scratch);

int32_t snn_depthwise_planar_s8_get_scratch_size(const snn_window *window,
                                                 const snn_stream_planar *weights,
                                                 int32_t group, snn_shape output_shape);

/* Sums to outputs, each with twice its bias, a multiplier and a right shift (1 to 23) less one;
 * |sum| + |bias| < 2^30. */
void snn_requantize_rows(const int32_t *sums, const int32_t *bias2, const int32_t *multiplier,
                         const uint8_t *shift, const snn_quant *quant, int8_t *output,
                         int32_t count);

/* Dense weights for the fully connected kernel below: [four outputs][four inputs][16], in the order
 * of bridge/encode/wide.py, zeros filling up both sides. Beside the bounds of snn_requantize_rows
 * the generator guarantees |sum| < 2^23 for every row. */
typedef struct {
    const int8_t *weights; /* aligned to 4 */
    const int32_t *bias2;  /* twice the bias, zero point folded in */
    const int32_t *multiplier;
    const uint8_t *shift; /* to the right, less one */
} snn_dense_wide;

/* Dense fully connected layer. scratch: aligned to 4. */
snn_status snn_fully_connected_wide_s8(const int8_t *input, int32_t input_size,
                                       const snn_dense_wide *weights, const snn_quant *quant,
                                       int8_t *output, int32_t output_size, void *scratch);

int32_t snn_fully_connected_wide_s8_get_scratch_size(int32_t output_size);

/* Dense 1x1 convolution without padding, any stride. weights, aligned to 4: for every four outputs
 * [four inputs][16] in the order of bridge/encode/wide.py, zeros filling up both sides; then four
 * times bias (zero point folded in) and multiplier, both int32, and four bytes. Where no byte is
 * above 127, outputs are requantized in units of 2^-12: 256 * (sum + bias) * multiplier / 2^32 plus
 * the byte, half a unit and the zero point; the generator proved that this gives TFLite's outputs
 * above the zero point, and takes it where activation_min is no lower. Else the bias is doubled and
 * the bytes are right shifts less one and 128; the bounds are those of snn_requantize_rows.
 * |sum| < 2^23.
 * scratch: snn_convolve_pointwise_s8_get_scratch_size() bytes, aligned to 4. */
snn_status snn_convolve_pointwise_s8(const int8_t *input, snn_shape input_shape,
                                     const snn_window *window, const int8_t *weights,
                                     const snn_quant *quant, int8_t *output,
                                     snn_shape output_shape, void *scratch);

int32_t snn_convolve_pointwise_s8_get_scratch_size(int32_t input_c);

/* Max pooling, four channels at a time; as snn_max_pool_s8 in snn_nn.h. */
snn_status snn_max_pool_packed_s8(const int8_t *input, snn_shape input_shape,
                                  const snn_window *window, const snn_quant *quant,
                                  int8_t *output, snn_shape output_shape);

/* Addition of two activations of one shape, by table; parameters as for snn_add_s8 in snn_nn.h,
 * but with an output shift of 1 to 22 to the right, left_shift at most 20, and inputs' shifts not
 * to the left. scratch: snn_add_packed_s8_get_scratch_size() bytes, aligned to 4. */
snn_status snn_add_packed_s8(const int8_t *input1, const int8_t *input2,
                             const snn_elementwise *quant, int8_t *output, int32_t size,
                             void *scratch);

int32_t snn_add_packed_s8_get_scratch_size(void);

#ifdef __cplusplus
}
#endif
#endif
