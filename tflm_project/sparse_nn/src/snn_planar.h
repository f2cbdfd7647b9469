/* Sixteen outputs a weight: what the planar convolutions for MVE share. Not for users.
 *
 * The input is unrolled once per band of rows into planes of bytes, where phase is the column
 * modulo the stride and the lanes are `lanes` output rows, the same distance apart in the whole
 * layer, that are computed side by side; images narrower than a vector need more than one. A tap of
 * the filter is then a fixed distance from the output position, and sixteen neighbouring bytes are
 * that tap of sixteen outputs.
 */
#ifndef SNN_PLANAR_H
#define SNN_PLANAR_H

#include "snn_sparse.h"
#include "snn_target.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    SNN_PLANAR_TILE = 16,
    SNN_PLANAR_FRACTION = 16, /* bits behind the point in requantization */
    SNN_PLANAR_SHIFT = 15,    /* mask of the right shift in a channel's code */
    SNN_PLANAR_ENTRY = 44,    /* bytes of an entry's code where it is assembly */
};

/* A channel, expanded from the tables in flash; in the order in which assembly reads it. */
typedef struct {
    uint32_t jump; /* where the chain of entries is entered; 0 behind the last channel */
    int32_t scale; /* 2^k */
    int32_t bias;  /* times 2^k */
    int32_t multiplier;
    int32_t offset;
} snn_planar_channel;

/* Sixteen outputs of all channels; fields at fixed places for assembly. */
typedef struct {
    const uint8_t *base;               /*  0: of the output position, in the planes */
    const snn_planar_channel *channel; /*  4 */
    int8_t *output;                    /*  8 */
    const uint16_t *place;             /* 12: where the tile's pixels are, relative to output */
    const uint8_t *stream;             /* 16 */
    int32_t unit;                      /* 20: bytes that positions count */
    int32_t step; /* 24: twice the bytes from a channel's base to the next one's, and 1 where
                   * negative values stay */
} snn_planar_tile;

/* The walk; the twin of PlanarGeometry in bridge/encode/planar.py. */
typedef struct {
    int32_t distance; /* output rows from one lane to the next */
    int32_t phases, columns, rows;
    int32_t row_step, channel_step, phase_step; /* bytes */
    int32_t unit;
    int32_t bytes;   /* of the planes, a multiple of 16 */
    int32_t outputs; /* of a row of a segment, all lanes */
} snn_planar_layout;

/* The walk for `channels` that are unrolled together: [row][channel][phase][column][lane], or where
 * every filter stays in its channel [channel][row][phase][column][lane]. */
snn_planar_layout snn_planar_layout_of(int32_t channels, int apart, const snn_window *window,
                                       const snn_stream_planar *weights, snn_shape output_shape);

/* Whether band, segment and lanes fit the output, and all distances their 16 bits. */
int snn_planar_fits(const snn_stream_planar *weights, int32_t channels, int apart,
                    const snn_window *window, snn_shape input_shape, snn_shape output_shape);

/* Bytes of scratch. */
int32_t snn_planar_scratch(const snn_planar_layout *layout, int32_t channels);

/* Expands the tables in flash. Returns what is behind the last record, whose jump is 0. */
uint16_t *snn_planar_prepare(const snn_stream_planar *weights, int32_t channels,
                             const snn_quant *quant, snn_planar_channel *to);

/* Where each pixel of each tile is, in the order in which a tile is stored. Returns what is behind
 * the last one. */
uint8_t *snn_planar_prepare_places(const snn_planar_layout *layout,
                                   const snn_stream_planar *weights, snn_shape output_shape,
                                   uint16_t *to);

/* Where a lane's first output row is: the last lanes step back rather than leave the image. */
static inline int32_t snn_planar_lane_row(const snn_planar_layout *layout, int32_t lane,
                                          int32_t height)
{
    const int32_t row = lane * layout->distance;
    return row < height - layout->distance ? row : height - layout->distance;
}

/* The planes of a band segment whose first output of the first lane is (y, x), for an output of
 * `height` rows; `zero` is the zero point. */
void snn_planar_pack(const int8_t *input, snn_shape shape, int32_t channels,
                     const snn_window *window, const snn_planar_layout *layout, int32_t lanes,
                     int32_t height, int32_t y, int32_t x, int8_t zero, uint8_t *planes);

/* Sixteen outputs of all channels. Returns what is behind the channels' part of the stream; called
 * with NULL where it is assembly, the place of the first unrolled entry. */
uintptr_t snn_planar_run_tile(const snn_planar_tile *tile);

/* All outputs of the channels whose records `tile` names; `input` is the first of `channels`
 * channels. Returns what is behind their part of the stream. */
const uint8_t *snn_planar_run(const int8_t *input, snn_shape input_shape, int32_t channels,
                              const snn_window *window, const snn_planar_layout *layout,
                              const snn_stream_planar *weights, const snn_quant *quant,
                              int8_t *output, snn_shape output_shape,
                              const uint16_t *places, uint8_t *planes, snn_planar_tile *tile);

/* Checked builds: every entry of every channel lies inside the stream and the planes, and the sums
 * keep to the bounds of snn_stream_planar. */
snn_status snn_planar_check(const snn_stream_planar *weights, const snn_window *window,
                            const snn_planar_layout *layout, int32_t channels);

#ifdef __cplusplus
}
#endif
#endif
