#include "snn_rows.h"

#ifdef SNN_CHECKED

snn_status snn_rows_check(const snn_stream_rows *weights, const snn_rows_format *format,
                          int32_t places, int32_t output_size)
{
    const uint8_t *at = weights->stream;
    const uint8_t *const end = at + weights->size;
    const int32_t unrolled = format->unrolled;
    if (weights->size < SNN_ROWS_HEADER || at[0] != 0) {
        return SNN_BAD_STREAM;
    }
    for (int32_t row = 0; row < output_size; ++row) {
        int32_t place = 0;
        const int32_t count = at[SNN_ROWS_BATCHES];
        const int32_t half = at[SNN_ROWS_HALF];
        const int32_t left_out = count == 0 ? unrolled : (unrolled - count % unrolled) % unrolled;
        if (half > 1 || at[SNN_ROWS_PLACE] != left_out * (format->code / 2)) {
            return SNN_BAD_STREAM;
        }
        at += SNN_ROWS_HEADER;
        for (int32_t i = 0; i < count + half; ++i) {
            const int is_half = half && i == 0;
            const int32_t slots = is_half ? format->slots / 2 : format->slots;
            const int32_t size = is_half ? format->half_size : format->size;
            if (end - at < size) {
                return SNN_BAD_STREAM;
            }
            const uint8_t *const offsets = at + slots * format->weights;
            for (int32_t j = 0; j < slots; ++j) {
                if (place + offsets[j] >= places) {
                    return SNN_BAD_STREAM;
                }
            }
            place += offsets[slots - 1];
            at += size;
        }
        if (end - at < SNN_ROWS_TRAILER || at[8] >= SNN_ROWS_MOST_SHIFT) {
            return SNN_BAD_STREAM;
        }
        at += SNN_ROWS_TRAILER - SNN_ROWS_HEADER;
    }
    return at[SNN_ROWS_HALF] == SNN_ROWS_END ? SNN_OK : SNN_BAD_STREAM;
}

#endif
