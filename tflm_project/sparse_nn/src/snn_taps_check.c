#include "snn_taps.h"

#ifdef SNN_CHECKED

enum { CHAIN = SNN_TAPS_CHAIN };

const uint8_t *snn_taps_check(const uint8_t *entry, int32_t skip, const snn_taps_limits *limits,
                              int64_t *lowest, int64_t *highest)
{
    int64_t place = 0;
    int32_t entries = 0, delta;
    *lowest = *highest = 0;
    if (entry == limits->end) {
        return NULL;
    }
    delta = *entry++;
    do {
        place += (int64_t)delta * limits->unit;
        if (limits->end - entry < 2 || place > limits->reach) {
            return NULL;
        }
        const int32_t weight = (int8_t)entry[0];
        *lowest += weight > 0 ? -128 * weight : 127 * weight;
        *highest += weight > 0 ? 127 * weight : -128 * weight;
        delta = entry[1];
        entry += 2;
        ++entries;
    } while (delta != 0);
    return skip == (entries == 1 ? CHAIN : (CHAIN - (entries - 1) % CHAIN) % CHAIN) ? entry : NULL;
}

#endif
