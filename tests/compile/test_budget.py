"""The planner over a whole network: kernels that gain next to nothing stay out."""

from __future__ import annotations

from bridge.compile.budget import KERNEL_CODE, SPARED, _spared, lower_within
from bridge.compile.choose import DENSE, Candidate, candidates
from bridge.compile.formats import Stored
from bridge.compile.lower import lower
from bridge.compile.target import Target
from bridge.compile.weighted import CHOOSABLE, read_weighted
from bridge.graph import read_tflite
from tests.compile.networks import int8_model, lenet


def candidate(name: str, cycles: float, size: int) -> Candidate:
    return Candidate(name, Stored(name, f"snn_{name}", {}), cycles, size)


def layers(*few: float, more: int = 0) -> dict[int, list[Candidate]]:
    """One large layer in octet; small ones where 4x1 is faster than octet by so many cycles."""
    found = {0: [candidate("wide", 9e5, 9000), candidate("octet", 1e5, 1000)]}
    for index, less in enumerate(few, 1):
        found[index] = [
            candidate("wide", 9e4, 900),
            candidate("octet", 1e4, 100 + more),
            candidate("4x1", 1e4 - less, 100),
        ]
    return found


def test_a_kernel_that_gains_next_to_nothing_stays_out() -> None:
    assert _spared(layers(500), 0.0, KERNEL_CODE) == {"snn_4x1"}
    assert _spared(layers(500, 400), 0.0, KERNEL_CODE) == {"snn_4x1"}


def test_a_kernel_that_gains_more_than_the_share_stays() -> None:
    total = 1e5 + 2 * 1e4
    gain = SPARED * total
    assert _spared(layers(gain, gain), 0.0, KERNEL_CODE) == frozenset()


def test_weights_may_grow_by_less_than_the_code_that_is_saved() -> None:
    assert _spared(layers(500, more=KERNEL_CODE), 0.0, KERNEL_CODE) == {"snn_4x1"}
    assert _spared(layers(500, more=KERNEL_CODE + 1), 0.0, KERNEL_CODE) == frozenset()
    assert _spared(layers(500, more=1), 0.0, growth=0) == frozenset()  # within a budget


def test_a_kernel_stays_where_none_that_is_there_could_run_its_layer() -> None:
    found = layers()
    found[1] = [candidate("dense", 1.01e4, 100), candidate("d8", 1e4, 100)]
    assert _spared(found, 0.0, KERNEL_CODE) == frozenset()


def test_a_network_loses_no_more_and_no_layer_falls_behind_dense() -> None:
    graph = read_tflite(int8_model(lenet, (16, 14, 1), sparsity=0.9))
    for core in ("cortex-m4", "cortex-m0"):
        target = Target("c-sparse", core)
        alone, together = lower(graph, target), lower_within(graph, target)
        assert {s.plan.kernel for s in together} <= {s.plan.kernel for s in alone}
        before, after = (sum(s.plan.cycles or 0 for s in steps) for steps in (alone, together))
        assert after <= before * (1 + SPARED)
        for operator, step in zip(graph.operators, together, strict=True):
            if operator.kind in CHOOSABLE:
                found = candidates(read_weighted(graph, operator, core), step.scratch)
                dense = min(c.cycles for c in found if c.format in DENSE)
                assert step.plan.cycles is not None
                assert step.plan.cycles <= dense
