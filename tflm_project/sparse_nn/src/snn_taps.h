/* Streams of (weight, delta to the next one), which dual and planar-vector share. Not for users. */
#ifndef SNN_TAPS_H
#define SNN_TAPS_H

#include "snn_types.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SNN_TAPS_CHAIN = 15 }; /* entries of a channel that stand unrolled */

/* What a stream must keep to in a checked build. */
typedef struct {
    const uint8_t *end; /* of the stream */
    int32_t unit;       /* what a position counts */
    int32_t reach;      /* the farthest place that a tap may have */
} snn_taps_limits;

/* Checked builds: walks a channel's entries from `entry` on. Returns what is behind them and the
 * extreme sums of its weights over all int8 inputs, or NULL where an entry lies outside the stream
 * or its tap beyond reach, or where `skip` is no place in the chain for so many entries. */
const uint8_t *snn_taps_check(const uint8_t *entry, int32_t skip, const snn_taps_limits *limits,
                              int64_t *lowest, int64_t *highest);

#ifdef __cplusplus
}
#endif
#endif
