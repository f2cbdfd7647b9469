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


def cases_of(layers: Sequence[Weighted], scratches: Sequence[int]) -> list:
    cases = []
    for layer in layers:
        for name, store in FORMATS.items():
            for scratch in scratches:
                stored = store(layer, scratch)
                if stored is not None:
                    cases.append(Case(layer, name, stored))
    return cases


def check(cases: Sequence[Case], seed: int, *, checked: bool = False) -> None:
    rng = np.random.default_rng(seed)
    inputs = [activations(rng, case.layer) for case in cases]
    given = run_on_host(
        kernel_program(cases, defines=("SNN_CHECKED",) if checked else ()),
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


@pytest.mark.parametrize("checked", [False, True])
def test_depthwise_convolutions_agree_with_the_reference(checked: bool) -> None:
    rng = np.random.default_rng(3)
    layers = [
        random_layer(rng, source, source[2], kind="DEPTHWISE_CONV_2D", density=density, **how)  # type: ignore[arg-type]
        for source, how in DEPTHWISE
        for density in (0.1, 1.0)
    ]
    cases = cases_of(layers, [12 * 1024, 1024])
    assert sum(case.format == "depthwise-dual" for case in cases) >= len(DEPTHWISE)
    assert sum(case.format == "depthwise-vector" for case in cases) >= 2 * len(DEPTHWISE)
    check(cases, 4, checked=checked)


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
    layer = random_layer(rng, (8, 8, 64), 4, density=1.0)
    full = replace(layer, weights=np.full(layer.weights.shape, 127, dtype=np.int8))
    names = {candidate.format for candidate in candidates(full)}
    assert "dual" not in names
    assert "dual-dense" not in names
    assert "dense" in names


def test_scales_that_need_a_left_shift_are_left_to_the_plain_kernels() -> None:
    rng = np.random.default_rng(8)
    layer = random_layer(rng, (8, 8, 4), 4, density=0.2)
    shift = layer.shift.copy()
    shift[1] = 1
    names = {candidate.format for candidate in candidates(replace(layer, shift=shift))}
    assert names == {"dense", "d8"}
    cases = cases_of([replace(layer, shift=shift)], [12 * 1024])
    check(cases, 9)


FARTHEST = {"octet": 23, "4x1": 23, "1x4": 23, "wide": 23, "pointwise": 23, "gather-vector": 23,
            "4x1-vector": 23, "1x4-vector": 23, "dual": 15, "dual-dense": 15,
            "planar-vector": 15, "depthwise-dual": 15, "depthwise-vector": 15}  # fmt: skip
"""The farthest right shift that a format's kernel takes."""


def shifted(layer: Weighted, right: int) -> Weighted:
    """The layer with scales of about 2^-right, and biases that spread outputs all the same."""
    room = min(right + 6, 28)
    rng = np.random.default_rng(right)
    return replace(
        layer,
        bias=rng.integers(-(2**room), 2**room, layer.target.c).astype(np.int32),
        shift=np.full(layer.target.c, -right, np.int32),
    )


@pytest.mark.parametrize("zero_point", [-128, 3, 127])
def test_the_farthest_right_shift_gives_the_references_bytes(zero_point: int) -> None:
    rng = np.random.default_rng(13)
    layers = [
        random_layer(rng, (1, 1, 60), 12, kernel=(1, 1), kind="FULLY_CONNECTED", density=0.5),
        random_layer(rng, (6, 9, 8), 8, kernel=(1, 1), density=0.5),
        random_layer(rng, (9, 9, 6), 6, density=0.5),
        random_layer(rng, (9, 9, 6), 6, kind="DEPTHWISE_CONV_2D", density=1.0),
    ]
    layers = [replace(x, output_zero_point=zero_point, activation=(-128, 127)) for x in layers]
    cases, seen = [], set()
    for name, right in FARTHEST.items():
        for layer in layers:
            # A bias as large as the format takes: one of the smaller ones always fits.
            for room in (28, 23, 20, 16):
                near = shifted(layer, right)
                near = replace(near, bias=near.bias >> max(right + 6 - room, 0))
                stored = FORMATS[name](near, 12 * 1024)
                if stored is not None:
                    cases.append(Case(near, name, stored))
                    seen.add(name)
                    break
            beyond = replace(near, shift=near.shift - 1)
            assert FORMATS[name](beyond, 12 * 1024) is None, name
    assert seen == set(FARTHEST)
    check(cases, 14)
    check(cases, 14, checked=True)


def test_scales_beyond_every_fast_kernel_are_left_to_the_plain_ones() -> None:
    rng = np.random.default_rng(15)
    for layer in (
        random_layer(rng, (1, 1, 60), 12, kernel=(1, 1), kind="FULLY_CONNECTED"),
        random_layer(rng, (6, 9, 8), 8, kernel=(1, 1)),
    ):
        tiny = replace(layer, shift=np.full(layer.target.c, -27, np.int32))
        assert {candidate.format for candidate in candidates(tiny)} == {"dense", "d8"}
        check(cases_of([tiny], [12 * 1024]), 16)


def test_planes_that_lie_too_far_apart_for_the_vector_kernel_are_refused() -> None:
    rng = np.random.default_rng(17)
    layer = random_layer(rng, (256, 260, 2), 2, kind="DEPTHWISE_CONV_2D", density=1.0)
    stored = FORMATS["depthwise-vector"](layer, 12 * 1024)
    assert stored is not None  # other walks fit
    for parameters, status in (
        ({"band": 254, "segment": 260, "lanes": 1, "group": 2}, 1),
        ({"band": 4, "segment": 260, "lanes": 1, "group": 0}, 1),
        ({"band": 4, "segment": 260, "lanes": 1, "group": 2}, 0),
    ):
        other = replace(stored, parameters={**stored.parameters, **parameters}, scratch=300 * 1024)
        assert status_of(Case(layer, "depthwise-vector", other)) == status, parameters


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("depthwise-dual", {"group": 0}),
        ("depthwise-dual", {"segment": 0}),
        ("depthwise-dual", {"segment": 15}),
        ("depthwise-dual", {"band": 100}),
        ("depthwise-vector", {"group": 7}),
        ("dual", {"segment": 3}),
        ("dual", {"band": 0}),
        ("dual-dense", {"band": 6}),
        ("dual-dense", {"segment": 1}),
        ("planar-vector", {"lanes": 1}),
        ("planar-vector", {"lanes": 0}),
    ],
)
def test_a_walk_that_does_not_fit_is_refused_before_anything_is_written(
    name: str, change: dict[str, int]
) -> None:
    rng = np.random.default_rng(18)
    kind = "DEPTHWISE_CONV_2D" if name.startswith("depthwise") else "CONV_2D"
    layer = random_layer(rng, (9, 9, 6), 6, kind=kind, density=1.0, largest=20)
    stored = FORMATS[name](layer, 12 * 1024)
    assert stored is not None
    other = replace(stored, parameters={**stored.parameters, **change}, scratch=4)
    assert status_of(Case(layer, name, other)) == 1


def status_of(case: Case) -> int:
    """What the kernel answers, under the sanitizers."""
    x = np.zeros(case.input_bytes, np.int8)
    program = kernel_program([case], tolerant=True)
    inputs = np.frombuffer(kernel_input([case], 0, x), np.int8)[None]
    given = run_on_host(program, inputs, sanitize=True)
    return int(given[0, 0])


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
    name: str, make: Callable[[np.random.Generator], Weighted]
) -> None:
    """Whatever a byte is changed to, the sanitizers find nothing: it is refused or harmless."""
    rng = np.random.default_rng(11)
    layer = make(rng)
    stored = FORMATS[name](layer, 12 * 1024)
    assert stored is not None
    size = stored.constants["stream"].size
    cases = [
        Case(layer, name, corrupt_byte(stored, int(place), int(value)))
        for place in rng.permutation(size)[:60]
        for value in (0, 255)
    ]
    x = activations(rng, layer)
    inputs = [np.frombuffer(kernel_input(cases, i, x), np.int8) for i in range(len(cases))]
    program = kernel_program(cases, defines=("SNN_CHECKED",), tolerant=True)
    statuses = run_on_host(program, np.stack(inputs), sanitize=True)[:, 0]
    assert set(statuses.tolist()) <= {0, 2}
    assert np.count_nonzero(statuses == 2) >= len(cases) // 10


@pytest.mark.parametrize(
    ("name", "table", "kind"),
    [
        ("planar-vector", "code", "CONV_2D"),
        ("depthwise-vector", "code", "DEPTHWISE_CONV_2D"),
        ("dual", "table", "CONV_2D"),
        ("4x1", "shift", "FULLY_CONNECTED"),
        ("gather-vector", "shift", "FULLY_CONNECTED"),
    ],
)
def test_a_checked_build_never_computes_with_a_corrupted_table(
    name: str, table: str, kind: str
) -> None:
    rng = np.random.default_rng(19)
    connected = kind == "FULLY_CONNECTED"
    source, kernel = ((1, 1, 90), (1, 1)) if connected else ((8, 9, 6), (3, 3))
    layer = random_layer(rng, source, 6, kernel=kernel, kind=kind, density=0.5)
    stored = FORMATS[name](layer, 12 * 1024)
    assert stored is not None
    cases = []
    for place in range(stored.constants[table].nbytes):
        for value in (0x7F, 0xFF):
            changed = stored.constants[table].copy()
            changed.view(np.uint8).reshape(-1)[place] ^= value
            constants = {**stored.constants, table: changed}
            cases.append(Case(layer, name, replace(stored, constants=constants)))
    x = activations(rng, layer)
    inputs = [np.frombuffer(kernel_input(cases, i, x), np.int8) for i in range(len(cases))]
    program = kernel_program(cases, defines=("SNN_CHECKED",), tolerant=True)
    statuses = run_on_host(program, np.stack(inputs), sanitize=True)[:, 0]
    assert np.count_nonzero(statuses == 2) >= len(cases) // 8
