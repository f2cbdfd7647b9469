/* What the fast kernels ask of the core that they are compiled for, and share. Not for users. */
#ifndef SNN_TARGET_H
#define SNN_TARGET_H

#include "snn_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Code around the inner loops: better small than fast. */
#if defined(__GNUC__)
#define SNN_SMALL __attribute__((cold))
#else
#define SNN_SMALL
#endif

/* The DSP extension, for assembly. */
#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && !defined(SNN_CHECKED) && \
    !defined(SNN_PORTABLE)
#define SNN_DSP 1
#else
#define SNN_DSP 0
#endif

/* Helium, the vector extension of Cortex-M55 and M85: integer part. */
#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1) && !defined(SNN_CHECKED) && \
    !defined(SNN_PORTABLE)
#define SNN_MVE 1
#else
#define SNN_MVE 0
#endif

/* Clamp outputs to a range narrower than int8. */
void snn_clamp_outputs(int8_t *values, int32_t count, const snn_quant *quant);

#ifdef __cplusplus
}
#endif
#endif
