"""Random operators that only move values, and resizing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.compile.draw import Rng, _image, _like, _shape, _source
from tests.compile.flatbuffer import Call, Value, integers


def _values(rng: Rng, value: Value) -> Value:
    """The same tensor as a constant."""
    value.data = rng.integers(-128, 128, value.shape).astype(np.int8)
    return value


def _axis(rng: Rng, rank: int, *, first: int = 1) -> int:
    axis = int(rng.integers(first, rank))
    return axis - rank if rng.random() < 0.3 else axis


def _resized(shape: tuple[int, ...], axis: int, size: int) -> tuple[int, ...]:
    result = list(shape)
    result[axis] = size
    return tuple(result)


def concatenation(rng: Rng) -> Call:
    shape = _shape(rng)
    axis = _axis(rng, len(shape))
    sizes = [int(n) for n in rng.integers(1, 6, int(rng.integers(2, 6)))]
    first = _source(rng, _resized(shape, axis, sizes[0]))
    parts = [first, *(_like(first, _resized(shape, axis, size)) for size in sizes[1:])]
    if rng.random() < 0.3:
        _values(rng, parts[-1])
    output = _like(first, _resized(shape, axis, sum(sizes)))
    return Call("CONCATENATION", list(parts), [output], "ConcatenationOptions", {"axis": axis})


def pack(rng: Rng) -> Call:
    first = _source(rng, _shape(rng))
    parts = [first, *(_like(first, first.shape) for _ in range(int(rng.integers(1, 4))))]
    axis = int(rng.integers(1, len(first.shape) + 1))
    output = _like(first, (*first.shape[:axis], len(parts), *first.shape[axis:]))
    options = {"axis": axis, "valuesCount": len(parts)}
    return Call("PACK", list(parts), [output], "PackOptions", options)


def unpack(rng: Rng) -> Call:
    source = _source(rng, _shape(rng))
    axis = int(rng.integers(1, len(source.shape)))
    rest = _like(source, source.shape[:axis] + source.shape[axis + 1 :])
    count = source.shape[axis]
    outputs = [_like(rest, rest.shape) for _ in range(count)]
    return Call("UNPACK", [source], outputs, "UnpackOptions", {"axis": axis, "num": count})


def split(rng: Rng) -> Call:
    shape = _shape(rng)
    axis = _axis(rng, len(shape))
    count, size = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    source = _source(rng, _resized(shape, axis, count * size))
    outputs = [_like(source, _resized(shape, axis, size)) for _ in range(count)]
    return Call("SPLIT", [integers([axis]), source], outputs, "SplitOptions", {"numSplits": count})


def split_v(rng: Rng) -> Call:
    shape = _shape(rng)
    axis = _axis(rng, len(shape))
    sizes = [int(n) for n in rng.integers(1, 5, int(rng.integers(1, 5)))]
    source = _source(rng, _resized(shape, axis, sum(sizes)))
    outputs = [_like(source, _resized(shape, axis, size)) for size in sizes]
    inputs = [source, integers(sizes), integers([axis])]
    return Call("SPLIT_V", list(inputs), outputs, "SplitVOptions", {"numSplits": len(sizes)})


def slice_(rng: Rng) -> Call:
    source = _source(rng, _shape(rng))
    begin = [int(rng.integers(0, n)) for n in source.shape]
    size = [int(rng.integers(1, n - b + 1)) for n, b in zip(source.shape, begin, strict=True)]
    output = _like(source, tuple(size))
    given = [-1 if b + s == n else s for b, s, n in zip(begin, size, source.shape, strict=True)]
    return Call("SLICE", [source, integers(begin), integers(given)], [output], "SliceOptions")


def strided_slice(rng: Rng) -> Call:
    source = _source(rng, _shape(rng))
    begin, end, strides, index = [], [], [], []
    masks = {"beginMask": 0, "endMask": 0, "shrinkAxisMask": 0}
    for axis, n in enumerate(source.shape):
        if axis and rng.random() < 0.15:
            at = int(rng.integers(0, n))
            masks["shrinkAxisMask"] |= 1 << axis
            begin, end, strides = [*begin, at], [*end, at + 1], [*strides, 1]
            index.append(at)
            continue
        low, high = sorted(int(i) for i in rng.choice(n + 1, 2, replace=False))
        step = int(rng.integers(1, 4))
        first, last = low, high
        if rng.random() < 0.3:
            first, last, step = high - 1, low - 1, -step
            if last < 0:  # only a mask reaches the first value backwards
                masks["endMask"] |= 1 << axis
        elif rng.random() < 0.3:
            first, masks["beginMask"] = 0, masks["beginMask"] | 1 << axis
        index.append(slice(first, None if masks["endMask"] & 1 << axis else last, step))
        begin, end, strides = [*begin, first], [*end, max(last, 0)], [*strides, step]
    shape = np.zeros(source.shape)[tuple(index)].shape
    inputs = [source, integers(begin), integers(end), integers(strides)]
    return Call("STRIDED_SLICE", list(inputs), [_like(source, shape)], "StridedSliceOptions", masks)


def transpose(rng: Rng) -> Call:
    source = _source(rng, _shape(rng, 2, 6))
    order = [0, *(int(i) for i in 1 + rng.permutation(len(source.shape) - 1))]
    output = _like(source, tuple(source.shape[i] for i in order))
    return Call("TRANSPOSE", [source, integers(order)], [output], "TransposeOptions")


def _padded(rng: Rng, source: Value) -> tuple[Value, Value]:
    pads = rng.integers(0, 4, (len(source.shape), 2))
    pads[0] = 0
    shape = tuple(int(n + p.sum()) for n, p in zip(source.shape, pads, strict=True))
    return integers(pads), _like(source, shape)


def pad(rng: Rng) -> Call:
    source = _source(rng, _shape(rng))
    pads, output = _padded(rng, source)
    return Call("PAD", [source, pads], [output], "PadOptions")


def padv2(rng: Rng) -> Call:
    source = _source(rng, _shape(rng))
    pads, output = _padded(rng, source)
    return Call(
        "PADV2", [source, pads, _values(rng, _like(source, (1,)))], [output], "PadV2Options"
    )


def mirror_pad(rng: Rng) -> Call:
    source = _source(rng, _shape(rng))
    rank, symmetric = len(source.shape), bool(rng.integers(2))
    pads = np.zeros((rank, 2), int)
    axis = int(rng.integers(1, rank))
    axes = [1, 2] if rank > 2 and rng.random() < 0.5 else [axis]
    for a in axes:
        pads[a] = rng.integers(0, source.shape[a] + symmetric, 2)
    shape = tuple(int(n + p.sum()) for n, p in zip(source.shape, pads, strict=True))
    options = {"mode": int(symmetric)}
    inputs = [source, integers(pads)]
    return Call("MIRROR_PAD", list(inputs), [_like(source, shape)], "MirrorPadOptions", options)


def gather(rng: Rng) -> Call:
    source = _source(rng, _shape(rng))
    axis = int(rng.integers(1, len(source.shape)))
    chosen = rng.integers(0, source.shape[axis], int(rng.integers(1, 9)))
    output = _like(source, _resized(source.shape, axis, len(chosen)))
    return Call("GATHER", [source, integers(chosen)], [output], "GatherOptions", {"axis": axis})


def resize(kind: str, table: str) -> Callable[[Rng], Call]:
    def draw(rng: Rng) -> Call:
        source = _source(rng, _image(rng))
        size = [int(n) for n in rng.integers(1, 20, 2)]
        options: dict[str, Any] = {}
        place = int(rng.integers(3))
        if place:
            options = {("alignCorners", "halfPixelCenters")[place - 1]: True}
        output = _like(source, (1, *size, source.shape[3]))
        return Call(kind, [source, integers(size)], [output], table, options)

    return draw


def reshape(rng: Rng) -> Call:
    source = _source(rng, _shape(rng))
    shape = (1, int(np.prod(source.shape)))
    inputs = [source, integers(shape)]
    return Call("RESHAPE", list(inputs), [_like(source, shape)], "ReshapeOptions")


def depth_to_space(rng: Rng) -> Call:
    side = int(rng.integers(1, 4))
    source = _source(rng, _image(rng, side * side * int(rng.integers(1, 4))))
    _, h, w, c = source.shape
    output = _like(source, (1, h * side, w * side, c // side**2))
    options = {"blockSize": side}
    return Call("DEPTH_TO_SPACE", [source], [output], "DepthToSpaceOptions", options)


def space_to_depth(rng: Rng) -> Call:
    side = int(rng.integers(1, 4))
    _, h, w, c = _image(rng)
    source = _source(rng, (1, h * side, w * side, c))
    output = _like(source, (1, h, w, c * side**2))
    options = {"blockSize": side}
    return Call("SPACE_TO_DEPTH", [source], [output], "SpaceToDepthOptions", options)


FAMILIES = {
    "joins": [concatenation, pack, split, split_v, unpack],
    "slices": [slice_, strided_slice, transpose, gather, reshape],
    "padding": [pad, padv2, mirror_pad, depth_to_space, space_to_depth],
    "resizing": [
        resize("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions"),
        resize("RESIZE_BILINEAR", "ResizeBilinearOptions"),
    ],
}
"""As :data:`tests.compile.draw.FAMILIES`."""
