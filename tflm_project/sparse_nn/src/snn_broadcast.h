/* The loop that elementwise operators share: four dimensions, a row at a time. Inlined, so that
 * each operator's row function becomes the inner loop. */
#ifndef SNN_BROADCAST_H
#define SNN_BROADCAST_H

#include "snn_nn.h"

#define SNN_BROADCAST(row, input1, input2, loop, quant, output)                           \
    do {                                                                                        \
        const int32_t *const size_ = (loop)->size;                                              \
        const int32_t *const s_ = (loop)->stride1;                                              \
        const int32_t *const t_ = (loop)->stride2;                                              \
        for (int32_t i_ = 0; i_ < size_[0]; ++i_) {                                             \
            for (int32_t j_ = 0; j_ < size_[1]; ++j_) {                                         \
                for (int32_t k_ = 0; k_ < size_[2]; ++k_) {                                     \
                    row((input1) + i_ * s_[0] + j_ * s_[1] + k_ * s_[2], s_[3],                 \
                        (input2) + i_ * t_[0] + j_ * t_[1] + k_ * t_[2], t_[3], quant, output,  \
                        size_[3]);                                                              \
                    (output) += size_[3];                                                       \
                }                                                                               \
            }                                                                                   \
        }                                                                                       \
    } while (0)

#endif
