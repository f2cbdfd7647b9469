"""Cycles of CMSIS-NN 4.0.0. Written by ``python -m bridge.bench.cmsis_fit``; do not edit."""

CYCLES: dict[str, dict[str, dict[str, float]]] = {
    "cortex-m0": {
        "depthwise": {"layers": 0.0, "outputs": 452.413, "taps": 125.361},
        "fully connected": {"layers": 996.431, "macs": 8.357, "outputs": 136.726},
        "pointwise": {"layers": 598.54, "macs": 8.136, "outputs": 137.61, "pixels": 9.16},
        "unrolled": {
            "layers": 5759.219,
            "macs": 8.986,
            "outputs": 130.97,
            "pixels": 245.558,
            "taps": 51.908,
            "unrolled": 12.217,
        },
    },
    "cortex-m3": {
        "depthwise": {"layers": 0.0, "outputs": 97.936, "taps": 24.35},
        "fully connected": {"layers": 714.755, "macs": 6.021, "outputs": 46.562},
        "pointwise": {"layers": 0.0, "macs": 4.611, "outputs": 46.031, "pixels": 15.565},
        "unrolled": {
            "layers": 1316.666,
            "macs": 4.35,
            "outputs": 57.472,
            "pixels": 4.147,
            "taps": 40.756,
            "unrolled": 10.706,
        },
    },
    "cortex-m33": {
        "depthwise": {"layers": 0.0, "outputs": 81.971, "taps": 21.977},
        "fully connected": {"layers": 323.263, "macs": 2.501, "outputs": 59.589},
        "pointwise": {"layers": 0.0, "macs": 1.804, "outputs": 43.349, "pixels": 120.613},
        "unrolled": {
            "layers": 0.0,
            "macs": 2.195,
            "outputs": 45.818,
            "pixels": 248.064,
            "taps": 64.1,
            "unrolled": 3.129,
        },
    },
    "cortex-m4": {
        "depthwise": {"layers": 0.0, "outputs": 83.134, "taps": 23.183},
        "fully connected": {"layers": 315.899, "macs": 2.501, "outputs": 61.309},
        "pointwise": {"layers": 0.0, "macs": 1.789, "outputs": 42.472, "pixels": 124.482},
        "unrolled": {
            "layers": 0.0,
            "macs": 2.197,
            "outputs": 44.177,
            "pixels": 263.336,
            "taps": 66.174,
            "unrolled": 3.115,
        },
    },
    "cortex-m55": {
        "depthwise": {"layers": 1458.849, "outputs": 30.38, "taps": 28.52},
        "fully connected": {"layers": 521.835, "macs": 0.899, "outputs": 39.735},
        "pointwise": {"layers": 0.0, "macs": 0.26, "outputs": 15.969, "pixels": 69.687},
        "unrolled": {
            "layers": 0.0,
            "macs": 0.086,
            "outputs": 19.042,
            "padded": 1.279,
            "pixels": 0.0,
            "taps": 33.839,
            "unrolled": 1.741,
        },
    },
    "cortex-m7": {
        "depthwise": {"layers": 0.0, "outputs": 48.512, "taps": 13.774},
        "fully connected": {"layers": 236.937, "macs": 1.251, "outputs": 32.158},
        "pointwise": {"layers": 0.0, "macs": 0.879, "outputs": 20.975, "pixels": 139.431},
        "unrolled": {
            "layers": 0.0,
            "macs": 1.348,
            "outputs": 19.338,
            "pixels": 222.039,
            "taps": 41.098,
            "unrolled": 1.682,
        },
    },
}

FIT_ERROR: dict[str, dict[str, float]] = {
    "cortex-m0": {
        "depthwise": 0.1362,
        "fully connected": 0.0037,
        "pointwise": 0.0062,
        "unrolled": 0.0198,
    },
    "cortex-m3": {
        "depthwise": 0.0922,
        "fully connected": 0.0062,
        "pointwise": 0.0094,
        "unrolled": 0.0122,
    },
    "cortex-m33": {
        "depthwise": 0.0603,
        "fully connected": 0.0012,
        "pointwise": 0.0233,
        "unrolled": 0.0371,
    },
    "cortex-m4": {
        "depthwise": 0.074,
        "fully connected": 0.0015,
        "pointwise": 0.0236,
        "unrolled": 0.0386,
    },
    "cortex-m55": {
        "depthwise": 0.0645,
        "fully connected": 0.0255,
        "pointwise": 0.0163,
        "unrolled": 0.1563,
    },
    "cortex-m7": {
        "depthwise": 0.0582,
        "fully connected": 0.0014,
        "pointwise": 0.029,
        "unrolled": 0.0562,
    },
}
