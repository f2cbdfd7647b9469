"""Cycles of what kernels do. Written by ``python -m bridge.bench.kernel_fit``; do not edit."""

CYCLES: dict[str, dict[str, dict[str, float]]] = {
    "cortex-m4": {
        "d8": {
            "entries": 21.015,
            "layers": 91.449,
            "outputs": 60.957,
            "quads": 304.343,
            "row entries": 12.009,
            "rows": 65.767,
            "unrolled": 7.877,
            "windows": 35.11,
        },
        "dense": {
            "convolve_s8 macs": 7.835,
            "convolve_s8 outputs": 167.069,
            "convolve_s8 taps": 39.676,
            "depthwise_convolve_s8 macs": 57.045,
            "depthwise_convolve_s8 outputs": 0.0,
            "depthwise_convolve_s8 taps": 0.0,
            "fully_connected_s8 macs": 9.0,
            "fully_connected_s8 outputs": 63.709,
            "fully_connected_s8 taps": 0.0,
            "layers": 82.796,
        },
        "depthwise-dual": {
            "channels": 20.755,
            "cut": 0.0,
            "layers": 0.0,
            "positions": 67.907,
            "rows": 125.434,
            "tile channels 1": 115.078,
            "tile channels 2": 101.22,
            "tiles": 171.685,
            "words": 8.033,
        },
        "dual": {
            "channels": 0.0,
            "half channels": 56.855,
            "half entries": 8.307,
            "layers": 1153.731,
            "positions": 58.368,
            "rows": 116.316,
            "tile channels": 96.684,
            "tile entries": 13.232,
            "tiles": 52.788,
            "words": 6.843,
        },
        "dual-dense": {
            "blocks": 26.303,
            "channels": 0.0,
            "layers": 0.0,
            "pairs": 104.803,
            "positions": 54.632,
            "rows": 95.124,
            "rows of 1": 9.648,
            "rows of 2": 19.03,
            "rows of 3": 26.312,
            "tiles": 105.222,
            "words": 8.101,
        },
        "wide": {"blocks": 24.0, "groups": 40.0, "outputs": 20.0, "inputs": 5.0, "layers": 100.0},
        "octet": {
            "batches": 31.9,
            "chunks": 7.302,
            "halves": 14.311,
            "layers": 172.686,
            "outputs": 44.301,
        },
    }
}

FIT_ERROR: dict[str, dict[str, float]] = {
    "cortex-m4": {
        "d8": 0.0126,
        "dense": 0.143,
        "depthwise-dual": 0.0205,
        "dual": 0.057,
        "dual-dense": 0.0142,
        "octet": 0.0063,
    }
}
