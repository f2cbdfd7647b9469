"""Cycles of CMSIS-NN header 19.1.0 (CMSIS_NN_ROOT).

Written by ``python -m bridge.bench.cmsis_fit``; do not edit.
"""

CYCLES: dict[str, dict[str, dict[str, float]]] = {
    "cortex-m0": {
        "depthwise": {"layers": 0.0, "outputs": 456.68, "taps": 126.606},
        "fully connected": {"layers": 1045.591, "macs": 8.356, "outputs": 138.734},
        "pointwise": {"layers": 1583.876, "macs": 8.188, "outputs": 138.365, "pixels": 0.0},
        "unrolled": {
            "layers": 18256.481,
            "macs": 8.754,
            "outputs": 116.123,
            "pixels": 538.382,
            "taps": 58.334,
            "unrolled": 16.915,
        },
    },
    "cortex-m3": {
        "depthwise": {"layers": 0.0, "outputs": 97.935, "taps": 24.351},
        "fully connected": {"layers": 716.257, "macs": 6.021, "outputs": 46.979},
        "pointwise": {"layers": 1229.615, "macs": 4.641, "outputs": 46.443, "pixels": 0.0},
        "unrolled": {
            "layers": 3071.223,
            "macs": 4.403,
            "outputs": 49.477,
            "pixels": 118.877,
            "taps": 55.189,
            "unrolled": 11.675,
        },
    },
    "cortex-m33": {
        "depthwise": {"layers": 0.0, "outputs": 81.921, "taps": 22.031},
        "fully connected": {"layers": 325.247, "macs": 2.315, "outputs": 62.685},
        "pointwise": {"layers": 785.758, "macs": 1.818, "outputs": 47.122, "pixels": 49.295},
        "unrolled": {
            "layers": 1994.446,
            "macs": 1.947,
            "outputs": 43.938,
            "pixels": 313.292,
            "taps": 55.119,
            "unrolled": 4.337,
        },
    },
    "cortex-m4": {
        "depthwise": {"layers": 0.0, "outputs": 83.134, "taps": 23.183},
        "fully connected": {"layers": 320.702, "macs": 2.315, "outputs": 60.953},
        "pointwise": {"layers": 824.388, "macs": 1.802, "outputs": 46.436, "pixels": 49.658},
        "unrolled": {
            "layers": 1977.339,
            "macs": 1.951,
            "outputs": 42.333,
            "pixels": 334.244,
            "taps": 56.515,
            "unrolled": 4.152,
        },
    },
    "cortex-m55": {
        "depthwise": {"layers": 1612.868, "outputs": 27.181, "taps": 29.042},
        "fully connected": {"layers": 581.259, "macs": 0.531, "outputs": 17.755},
        "pointwise": {"layers": 306.259, "macs": 0.242, "outputs": 19.56, "pixels": 32.392},
        "unrolled": {
            "layers": 0.0,
            "macs": 0.251,
            "outputs": 15.871,
            "pixels": 86.782,
            "taps": 24.938,
            "unrolled": 0.373,
        },
    },
    "cortex-m7": {
        "depthwise": {"layers": 0.0, "outputs": 48.432, "taps": 13.61},
        "fully connected": {"layers": 241.836, "macs": 1.095, "outputs": 34.872},
        "pointwise": {"layers": 639.079, "macs": 0.859, "outputs": 26.188, "pixels": 37.495},
        "unrolled": {
            "layers": 3942.681,
            "macs": 1.3,
            "outputs": 14.845,
            "pixels": 274.59,
            "taps": 32.998,
            "unrolled": 1.924,
        },
    },
}

FIT_ERROR: dict[str, dict[str, float]] = {
    "cortex-m0": {
        "depthwise": 0.1364,
        "fully connected": 0.0037,
        "pointwise": 0.0231,
        "unrolled": 0.0404,
    },
    "cortex-m3": {
        "depthwise": 0.0922,
        "fully connected": 0.0061,
        "pointwise": 0.0346,
        "unrolled": 0.0178,
    },
    "cortex-m33": {
        "depthwise": 0.0608,
        "fully connected": 0.0038,
        "pointwise": 0.0858,
        "unrolled": 0.0529,
    },
    "cortex-m4": {
        "depthwise": 0.074,
        "fully connected": 0.0036,
        "pointwise": 0.0867,
        "unrolled": 0.0541,
    },
    "cortex-m55": {
        "depthwise": 0.0737,
        "fully connected": 0.0232,
        "pointwise": 0.0452,
        "unrolled": 0.1778,
    },
    "cortex-m7": {
        "depthwise": 0.0569,
        "fully connected": 0.0068,
        "pointwise": 0.1024,
        "unrolled": 0.0954,
    },
}
