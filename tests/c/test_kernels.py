"""Every kernel on the host, under AddressSanitizer and UBSan, against plain arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from bridge.bench.kernel_cases import Case, kernel_input, kernel_program, reference
from bridge.compile.choose import FORMATS, candidates
from bridge.compile.formats import Stored, Weighted
from bridge.firmware.host import run_on_host
from tests.c.layers import activations, random_layer

CONVOLUTIONS = [
    ((8, 8, 64), 8, {}),
    ((9, 7, 5), 3, {}),
    ((12, 13, 3), 4, {"kernel": (5, 5)}),
    ((11, 14, 4), 5, {"stride": (2, 2)}),
    ((10, 20, 6), 4, {"dilation": (2, 2)}),
    ((10, 20, 6), 4, {"dilation": (1, 3), "stride": (1, 2)}),
    ((1, 40, 3), 4, {"kernel": (1, 5)}),
    ((5, 5, 7), 6, {"kernel": (1, 1)}),
    ((13, 17, 9), 6, {"kernel": (3, 5), "stride": (2, 3), "same": False}),
    ((14, 14, 6), 16, {"kernel": (5, 5), "same": False}),
    ((20, 10, 1), 7, {"kernel": (10, 4), "stride": (2, 2)}),
    ((2, 2, 3), 4, {"kernel": (1, 1)}),
    ((7, 6, 21), 9, {"kernel": (1, 1), "stride": (2, 3)}),
    ((3, 33, 6), 5, {"kernel": (3, 2), "stride": (1, 2), "dilation": (1, 2)}),
    ((19, 3, 2), 5, {"kernel": (2, 3), "dilation": (3, 1)}),
    ((3, 3, 40), 6, {"kernel": (1, 1)}),
]
DEPTHWISE = [
    ((9, 7, 5), {}),
    ((12, 13, 9), {}),
    ((11, 14, 20), {"stride": (2, 2)}),
    ((3, 3, 33), {}),
    ((10, 20, 6), {"same": False}),
    ((2, 40, 3), {"stride": (1, 2)}),
    ((25, 5, 8), {}),
    ((5, 2, 4), {"stride": (2, 1)}),
    ((1, 1, 4), {}),
    ((9, 12, 6), {"kernel": (5, 3), "dilation": (1, 2)}),
    ((20, 10, 1), {"kernel": (10, 8), "stride": (2, 2)}),
]
CONNECTED = [(1024, 20), (120, 84), (84, 10), (7, 3), (1, 1), (400, 33), (3000, 7)]
DENSITIES = (0.0, 0.02, 0.1, 0.4, 1.0)


def cases_of(layers: Sequence[tuple[Weighted, dict[str, int]]], scratches: Sequence[int]) -> list:
    cases = []
    for layer, clamp in layers:
        for name, store in FORMATS.items():
            for scratch in scratches:
                stored = store(layer, scratch)
                if stored is not None:
                    cases.append(Case(layer, name, stored, clamp))
    return cases


def check(cases: Sequence[Case], seed: int, *, checked: bool = False) -> None:
    rng = np.random.default_rng(seed)
    inputs = [activations(rng, case.layer) for case in cases]
    given = run_on_host(
        kernel_program(cases, checked=checked),
        np.stack(
            [np.frombuffer(kernel_input(cases, i, x), dtype=np.int8) for i, x in enumerate(inputs)]
        ),
        sanitize=True,
    )
    for case, x, y in zip(cases, inputs, given, strict=True):
        wanted = reference(case, x).ravel()
        np.testing.assert_array_equal(
            y[: wanted.size], wanted, err_msg=f"{case.format} {case.layer.source} {case.layer}"
        )


@pytest.mark.parametrize("checked", [False, True])
def test_convolutions_agree_with_the_reference(checked: bool) -> None:
    rng = np.random.default_rng(1)
    layers = [
        random_layer(rng, source, channels, density=density, **how)  # type: ignore[arg-type]
        for source, channels, how in CONVOLUTIONS
        for density in (DENSITIES if not checked else (0.1,))
    ]
    cases = cases_of(layers, [12 * 1024, 1024])
    formats = {case.format for case in cases}
    assert {"dense", "d8", "dual", "dual-dense", "pointwise", "planar-vector"} <= formats
    assert len({case.layer.source for case in cases if case.format == "planar-vector"}) == len(
        {source for source, _, _ in CONVOLUTIONS}
    )
    check(cases, 2, checked=checked)


def test_depthwise_convolutions_agree_with_the_reference() -> None:
    rng = np.random.default_rng(3)
    layers = [
        random_layer(rng, source, source[2], kind="DEPTHWISE_CONV_2D", density=density, **how)  # type: ignore[arg-type]
        for source, how in DEPTHWISE
        for density in (0.1, 1.0)
    ]
    cases = cases_of(layers, [12 * 1024, 1024])
    assert sum(case.format == "depthwise-dual" for case in cases) >= len(DEPTHWISE)
    assert sum(case.format == "depthwise-vector" for case in cases) >= 2 * len(DEPTHWISE)
    check(cases, 4)


@pytest.mark.parametrize("checked", [False, True])
def test_connected_layers_agree_with_the_reference(checked: bool) -> None:
    rng = np.random.default_rng(5)
    layers = [
        random_layer(
            rng, (1, 1, size), outputs, kernel=(1, 1), kind="FULLY_CONNECTED", density=density
        )
        for size, outputs in CONNECTED
        for density in DENSITIES
    ]
    cases = cases_of(layers, [12 * 1024])
    formats = {case.format for case in cases}
    assert {"octet", "wide", "d8", "4x1", "1x4"} <= formats
    assert {"1x4-vector", "4x1-vector", "gather-vector"} <= formats
    check(cases, 6, checked=checked)


def test_weights_that_break_the_bound_are_not_stored_for_two_pixels() -> None:
    rng = np.random.default_rng(7)
    layer, _ = random_layer(rng, (8, 8, 64), 4, density=1.0)
    full = replace(layer, weights=np.full(layer.weights.shape, 127, dtype=np.int8))
    names = {candidate.format for candidate in candidates(full)}
    assert "dual" not in names
    assert "dual-dense" not in names
    assert "dense" in names


def test_scales_that_need_a_left_shift_are_left_to_the_plain_kernels() -> None:
    rng = np.random.default_rng(8)
    layer, clamp = random_layer(rng, (8, 8, 4), 4, density=0.2)
    shift = layer.shift.copy()
    shift[1] = 1
    names = {candidate.format for candidate in candidates(replace(layer, shift=shift))}
    assert names == {"dense", "d8"}
    cases = cases_of([(replace(layer, shift=shift), clamp)], [12 * 1024])
    check(cases, 9)


def corrupt_byte(stored: Stored, place: int, value: int) -> Stored:
    stream = stored.constants["stream"].copy()
    stream[place] = value
    return replace(stored, constants={**stored.constants, "stream": stream})


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("d8", lambda rng: random_layer(rng, (8, 8, 6), 5, density=0.1)),
        ("dual", lambda rng: random_layer(rng, (8, 8, 6), 5, density=0.1)),
        ("planar-vector", lambda rng: random_layer(rng, (8, 9, 6), 5, density=0.1)),
        (
            "depthwise-vector",
            lambda rng: random_layer(rng, (8, 9, 6), 6, kind="DEPTHWISE_CONV_2D", density=0.5),
        ),
        (
            "1x4",
            lambda rng: random_layer(
                rng, (1, 1, 299), 9, kernel=(1, 1), kind="FULLY_CONNECTED", density=0.05
            ),
        ),
        (
            "1x4-vector",
            lambda rng: random_layer(
                rng, (1, 1, 299), 9, kernel=(1, 1), kind="FULLY_CONNECTED", density=0.05
            ),
        ),
        (
            "gather-vector",
            lambda rng: random_layer(
                rng, (1, 1, 250), 9, kernel=(1, 1), kind="FULLY_CONNECTED", density=0.05
            ),
        ),
        (
            "4x1-vector",
            lambda rng: random_layer(
                rng, (1, 1, 200), 9, kernel=(1, 1), kind="FULLY_CONNECTED", density=0.05
            ),
        ),
        (
            "4x1",
            lambda rng: random_layer(
                rng, (1, 1, 300), 9, kernel=(1, 1), kind="FULLY_CONNECTED", density=0.05
            ),
        ),
        (
            "octet",
            lambda rng: random_layer(
                rng, (1, 1, 300), 5, kernel=(1, 1), kind="FULLY_CONNECTED", density=0.1
            ),
        ),
    ],
)
def test_a_checked_build_never_leaves_a_corrupted_stream(
    name: str, make: Callable[[np.random.Generator], tuple[Weighted, dict[str, int]]]
) -> None:
    """Whatever a byte is changed to, the sanitizers find nothing: it is refused or harmless."""
    rng = np.random.default_rng(11)
    layer, clamp = make(rng)
    stored = FORMATS[name](layer, 12 * 1024)
    assert stored is not None
    size = stored.constants["stream"].size
    cases = [
        Case(layer, name, corrupt_byte(stored, int(place), int(value)), clamp)
        for place in rng.permutation(size)[:30]
        for value in (0, 255)
    ]
    x = activations(rng, layer)
    inputs = [np.frombuffer(kernel_input(cases, i, x), np.int8) for i in range(len(cases))]
    program = kernel_program(cases, checked=True, tolerant=True)
    statuses = run_on_host(program, np.stack(inputs), sanitize=True)[:, 0]
    assert set(statuses.tolist()) <= {0, 2}
    assert np.count_nonzero(statuses == 2) >= len(cases) // 10
