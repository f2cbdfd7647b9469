/* Two pixels in one multiply: what the dual-pixel convolutions share. Not for users.
 *
 * A word holds the activations of two output pixels, X = x0 + x1 * 2^23. One SMLAL (a 64-bit sum
 * of X * w, one cycle on Cortex-M4 and M33) is then two exact multiply-accumulates. They come
 * apart again because the generator proved |sum of x * w| < 2^22 for every output channel: the
 * low 23 bits of the sum are the first pixel's, as a signed number, and the rest, less the
 * borrow, the second pixel's. Exactness is modulo 2^64, so sums on the way don't matter.
 *
 * The two pixels of a word stand `pair_h` rows and `pair_w` columns apart in the output, the same
 * distance for the whole layer, so that one packed word serves every tap of the filter.
 */
#ifndef SNN_DUAL_H
#define SNN_DUAL_H

#include "snn_target.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SNN_DUAL_SHIFT 23

/* How one layer's output is walked. Rows pair with rows half the height below; an output of one
 * row pairs columns instead. Odd sizes overlap: the shared row is computed twice, equally. */
typedef struct {
    int32_t pair_h, pair_w;     /* distance between the two pixels of a word, in the output */
    int32_t extent_h, extent_w; /* output positions walked; each is two pixels */
    int32_t phases;             /* columns are packed apart by column modulo stride_w */
    int32_t row_w;              /* words of one packed (row, channel, phase) */
    int32_t columns;            /* of these, words that are filled */
    int32_t rows;               /* packed rows of a band */
    int32_t turns, turn_rows;   /* rows stand apart by row modulo dilation_h: so many groups, rows
                                   of each, the last ones unused where they don't come out even */
    int32_t row_step, channel_step, phase_step; /* words from one to the next */
    int32_t words;              /* words of a packed band segment */
} snn_dual_layout;

/* How packed words are ordered, outermost first. */
typedef enum {
    SNN_DUAL_ROWS,     /* [row][channel][phase][column]: sparse, short ways between taps */
    SNN_DUAL_PHASES,   /* [phase][row][channel][12 columns]: dense, fixed steps */
    SNN_DUAL_CHANNELS, /* [channel][row][phase][16 columns]: depthwise */
} snn_dual_order;

#define SNN_DUAL_DENSE_ROW 12
#define SNN_DUAL_DEPTHWISE_ROW 16

/* The walk for a window, an output shape, and tiles of `band` rows by `segment` columns. */
static inline snn_dual_layout snn_dual_layout_of(int32_t input_c, const snn_window *window,
                                                 snn_shape output_shape, int32_t band,
                                                 int32_t segment, snn_dual_order order)
{
    snn_dual_layout l;
    const int32_t reach_w = (window->kernel_w - 1) * window->dilation_w;
    l.pair_h = output_shape.h / 2;
    l.pair_w = output_shape.h > 1 ? 0 : output_shape.w / 2;
    l.extent_h = output_shape.h - l.pair_h;
    l.extent_w = output_shape.w - l.pair_w;
    l.phases = window->stride_w < reach_w + 1 ? window->stride_w : reach_w + 1;
    l.columns = segment + reach_w / window->stride_w;
    l.row_w = order == SNN_DUAL_PHASES     ? SNN_DUAL_DENSE_ROW
              : order == SNN_DUAL_CHANNELS ? SNN_DUAL_DEPTHWISE_ROW
                                           : l.columns;
    l.rows = (band - 1) * window->stride_h + (window->kernel_h - 1) * window->dilation_h + 1;
    l.turns = window->dilation_h < l.rows ? window->dilation_h : l.rows;
    l.turn_rows = (l.rows + l.turns - 1) / l.turns;
    const int32_t rows = l.turns * l.turn_rows;
    l.words = rows * input_c * l.phases * l.row_w;
    switch (order) {
    case SNN_DUAL_ROWS:
        l.phase_step = l.row_w;
        l.channel_step = l.phases * l.phase_step;
        l.row_step = input_c * l.channel_step;
        break;
    case SNN_DUAL_PHASES:
        l.channel_step = l.row_w;
        l.row_step = input_c * l.channel_step;
        l.phase_step = rows * l.row_step;
        break;
    default:
        l.phase_step = l.row_w;
        l.row_step = l.phases * l.phase_step;
        l.channel_step = rows * l.row_step;
        break;
    }
    return l;
}

/* Words of a row, channel and phase that taps reach, at most `columns`. */
static inline int32_t snn_dual_columns(const snn_dual_layout *layout, const snn_window *window,
                                       int32_t phase)
{
    const int32_t reach_w = (window->kernel_w - 1) * window->dilation_w;
    return layout->columns - (reach_w / window->stride_w - (reach_w - phase) / window->stride_w);
}

/* Words from the packed band's start to one of its rows: the taps of a filter, dilation_h rows
 * apart, stand in neighbouring ones. */
static inline int32_t snn_dual_row(const snn_dual_layout *layout, int32_t row)
{
    return (row % layout->turns * layout->turn_rows + row / layout->turns) * layout->row_step;
}

/* Pack `channels` channels of one band segment for the output position (y, x) at its upper left
 * corner. `zeros` are channels bytes of the zero point, for what lies outside. */
void snn_dual_pack(const int8_t *input, snn_shape shape, int32_t channels,
                   const snn_window *window, const snn_dual_layout *layout, int32_t y, int32_t x,
                   const int8_t *zeros, int32_t *packed);

/* One output channel, prepared from the tables in flash by snn_dual_prepare. A sum s becomes an
 * output in one of two ways:
 *
 * fast, four instructions, where the generator proved that every output changes at the same sum
 * as with TFLite's two roundings (docs/kernels.md):
 *     v = (s + bias) * 2^9;  SMMLA(v, multiplier, offset) asr 13, saturated
 * exact, five instructions, TFLite's roundings themselves for a right shift e >= 1:
 *     v = 2 * (s + bias);  u = offset + (v asr 31);  SMMLAR(v, m, u) asr e, saturated
 */
typedef struct {
    int32_t bias;       /* fast: times 2^9; exact: twice */
    int32_t multiplier; /* fast: 2^(9 + 13) of the scale, in Q31; exact: minus TFLite's */
    int32_t offset;     /* half a unit and the output's zero point, as the shift wants them */
    uint32_t jump;      /* sparse: where the next channel enters the chain; 0 behind the last.
                           Else 1, and 0 behind the last. */
    uint32_t half_jump; /* sparse: the same for half tiles */
    int32_t shift;      /* exact: e */
} snn_dual_channel;

enum { SNN_DUAL_UNIT = 13, SNN_DUAL_ROOM = 9 };

/* Everything but the jumps. `shift` is to the right, SNN_DUAL_EXACT added where nothing is proved
 * for the fast way. That way also wants outputs below the zero point clamped to it. */
#define SNN_DUAL_EXACT 128
void snn_dual_prepare(snn_dual_channel *to, int32_t bias, int32_t multiplier, int32_t shift,
                      const snn_quant *quant);

static inline int32_t snn_dual_finish(int32_t sum, const snn_dual_channel *channel)
{
    int32_t value;
    if (channel->multiplier >= 0) {
        const int32_t v =
            (int32_t)(((uint32_t)sum << SNN_DUAL_ROOM) + (uint32_t)channel->bias);
        const int64_t product = (int64_t)v * channel->multiplier;
        value = ((int32_t)(product >> 32) + channel->offset) >> SNN_DUAL_UNIT;
    } else {
        const int32_t v = (int32_t)(2u * (uint32_t)sum + (uint32_t)channel->bias);
        const int64_t product = (int64_t)v * -channel->multiplier + ((int64_t)1 << 31);
        value = ((int32_t)(product >> 32) + channel->offset + (v >> 31)) >> channel->shift;
    }
    return value < -128 ? -128 : value > 127 ? 127 : value;
}

/* The same in assembly, for both sums of an accumulator; r1 is free. Fast: r0 bias, r2 multiplier,
 * r3 offset. `lo` shifted by 9 loses what belongs to the second pixel. */
#define SNN_DUAL_FINISH_FAST(lo, hi)           \
    "lsrs   r1, " lo ", #23\n"                 \
    "adc    " hi ", r1, " hi ", lsl #9\n"      \
    "add    " lo ", r0, " lo ", lsl #9\n"      \
    "add    " hi ", r0, " hi ", lsl #9\n"      \
    "smmla  " lo ", " lo ", r2, r3\n"          \
    "smmla  " hi ", " hi ", r2, r3\n"          \
    "ssat   " lo ", #8, " lo ", asr #13\n"     \
    "ssat   " hi ", #8, " hi ", asr #13\n"

/* Exact: r0 bias, r2 TFLite's multiplier, r3 offset, r4 shift. */
#define SNN_DUAL_FINISH_EXACT(lo, hi)          \
    "lsrs   r1, " lo ", #23\n"                 \
    "adc    " hi ", r1, " hi ", lsl #9\n"      \
    "sbfx   " lo ", " lo ", #0, #23\n"         \
    "add    " lo ", r0, " lo ", lsl #1\n"      \
    "add    " hi ", r0, " hi ", lsl #1\n"      \
    "add    r1, r3, " lo ", asr #31\n"         \
    "smmlar " lo ", " lo ", r2, r1\n"          \
    "add    r1, r3, " hi ", asr #31\n"         \
    "smmlar " hi ", " hi ", r2, r1\n"          \
    "asr    " lo ", " lo ", r4\n"              \
    "asr    " hi ", " hi ", r4\n"              \
    "ssat   " lo ", #8, " lo "\n"              \
    "ssat   " hi ", #8, " hi "\n"

/* The two sums of an accumulator. */
static inline int32_t snn_dual_first(int64_t sum)
{
    return (int32_t)((uint32_t)sum << (32 - SNN_DUAL_SHIFT)) >> (32 - SNN_DUAL_SHIFT);
}

static inline int32_t snn_dual_second(int64_t sum)
{
    return (int32_t)(sum >> SNN_DUAL_SHIFT) +
           (int32_t)(((uint32_t)sum >> (SNN_DUAL_SHIFT - 1)) & 1u);
}

/* Four positions of a segment, all output channels. Fields are at fixed places for assembly. */
typedef struct {
    const int32_t *base;             /*  0: first packed word of the tile */
    const snn_dual_channel *channel; /*  4: prepared channels */
    int8_t *output;                  /*  8: first pixel of the tile, channel 0 */
    int32_t channels;                /* 12: bytes between neighbouring pixels of the output */
    int32_t pair;                    /* 16: bytes between the two pixels of a word */
    const uint8_t *stream;           /* 20: weights */
    const void *blocks;              /* 24: dense: how taps are walked */
    int32_t step;                    /* 28: bytes from one channel's base to the next: depthwise */
    uint32_t jump, half_jump;        /* 32, 36: sparse: those of the first channel */
} snn_dual_tile;

#ifdef __cplusplus
}
#endif
#endif
