/* What the kernels over snn_stream_sums share. Not for users. */
#ifndef SNN_SUMS_H
#define SNN_SUMS_H

#include "snn_sparse.h"
#include "snn_target.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sums of rows, one after the other, until `end`. */
typedef void snn_sums_rows(const int8_t *input, const uint8_t *stream, int32_t *sums,
                           int32_t *end);

/* A layer: its sums by `run`, `step` rows at a time, into scratch, and from there its outputs. */
snn_status snn_sums_run(snn_sums_rows *run, int32_t step, const int8_t *input,
                        const snn_stream_sums *weights, const snn_quant *quant, int8_t *output,
                        int32_t output_size, int32_t *sums);

#ifdef __cplusplus
}
#endif
#endif
