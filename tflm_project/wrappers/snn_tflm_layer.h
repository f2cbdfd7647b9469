/* One layer of a network as sparse_nn runs it inside TFLite Micro. C11 and C++17.
 *
 * A generated table of these stands beside the flatbuffer; snn_tflm.h looks layers up in it.
 */
#ifndef SNN_TFLM_LAYER_H
#define SNN_TFLM_LAYER_H

#include "snn_types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint32_t weights;      /* where the layer's weight buffer starts in the flatbuffer, in bytes */
    int32_t input_bytes;   /* of the activations that it reads, batch 1 */
    int32_t output_bytes;  /* of those it writes */
    int32_t scratch_bytes; /* requested from the arena; 0 for none */
    snn_status (*run)(const int8_t *input, int8_t *output, void *scratch);
} snn_tflm_layer;

typedef struct {
    const uint8_t *model; /* the flatbuffer that the offsets refer to */
    const snn_tflm_layer *layers;
    int32_t count;
} snn_tflm_network;

#ifdef __cplusplus
}
#endif
#endif
