"""The memory planner: nothing that lives at the same time overlaps, and no byte is wasted idly."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.compile import compile_graph
from bridge.compile.lower import lower
from bridge.compile.memory import ALIGNMENT, Buffer, MemoryPlan, peak, plan_memory
from bridge.compile.places import place
from bridge.compile.target import Target
from bridge.errors import InputError
from bridge.graph import read_tflite
from tests.compile.networks import int8_model, lenet, residual


def _check(buffers: list[Buffer], plan: MemoryPlan) -> None:
    for i, a in enumerate(buffers):
        assert plan.offsets[a.key] % ALIGNMENT == 0
        assert plan.offsets[a.key] + a.bytes <= plan.size
        for b in buffers[:i]:
            together = a.first <= b.last and b.first <= a.last
            apart = (
                plan.offsets[a.key] + a.bytes <= plan.offsets[b.key]
                or plan.offsets[b.key] + b.bytes <= plan.offsets[a.key]
            )
            assert apart or not together, (a, b)


@st.composite
def _buffers(draw: st.DrawFn) -> list[Buffer]:
    count = draw(st.integers(0, 12))
    result = []
    for i in range(count):
        first = draw(st.integers(0, 10))
        last = first + draw(st.integers(0, 6))
        result.append(Buffer(f"b{i}", draw(st.integers(1, 5000)), first, last))
    return result


@settings(max_examples=150, deadline=None)
@given(_buffers())
def test_no_two_live_buffers_overlap(buffers: list[Buffer]) -> None:
    plan = plan_memory(buffers)
    _check(buffers, plan)
    assert peak(buffers) <= plan.size <= sum(b.bytes + ALIGNMENT for b in buffers)
    assert plan == plan_memory(buffers), "the same buffers must give the same plan"


def test_orders_are_tried_where_greedy_by_size_leaves_gaps() -> None:
    # As in a residual network: by size alone this takes four blocks of 16 kB instead of three.
    buffers = [
        Buffer("a", 16384, 0, 4),
        Buffer("b", 16384, 1, 2),
        Buffer("c", 16384, 2, 4),
        Buffer("s1", 6000, 1, 1),
        Buffer("s2", 6000, 3, 3),
        Buffer("d", 16384, 4, 5),
    ]
    plan = plan_memory(buffers)
    _check(buffers, plan)
    assert plan.size == peak(buffers)


@pytest.fixture(scope="module")
def graphs():
    return {
        "lenet": read_tflite(int8_model(lenet, (28, 28, 1), sparsity=0.9)),
        "residual": read_tflite(int8_model(residual, (23, 14, 3))),
    }


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m0"])
@pytest.mark.parametrize("name", ["lenet", "residual"])
def test_places_of_networks_do_not_overlap(graphs, name, core):
    graph = graphs[name]
    places = place(graph, lower(graph, Target("c-sparse", core)), floating=False)
    buffers = list(places.buffers)
    _check(buffers, plan_memory(buffers))
    assert places.arena >= max(places.live)


def test_elementwise_layers_work_in_place(graphs):
    graph = graphs["residual"]
    steps = lower(graph, Target("c-sparse", "cortex-m4"))
    places = place(graph, steps, floating=False)
    add = next(step for step in steps if step.plan.kind == "ADD")
    pointers = [places.pointer(index) for index in add.inputs]
    assert places.pointer(add.outputs[0]) in pointers


def test_lenet_needs_no_more_memory_than_tflm(graphs):
    # The whole of TFLM's arena for this network on a Cortex-M4 is 9,332 bytes, with its input
    # and output, which are the caller's here.
    program = compile_graph(graphs["lenet"], engine="c-sparse")
    assert program.arena_bytes + 28 * 28 + 10 <= 9332


def test_memory_budget_is_kept(graphs):
    free = compile_graph(graphs["lenet"], engine="c-sparse", core="cortex-m4")
    steps = lower(graphs["lenet"], Target("c-sparse", "cortex-m4"))
    least = max(place(graphs["lenet"], steps, floating=False).live) + ALIGNMENT
    tight = compile_graph(graphs["lenet"], engine="c-sparse", core="cortex-m4", ram=least)
    assert tight.arena_bytes <= least
    assert least < free.arena_bytes + ALIGNMENT
    with pytest.raises(InputError, match="more than the 4000 given"):
        compile_graph(graphs["lenet"], engine="c-sparse", ram=4000)
    with pytest.raises(InputError, match="c-dense need"):
        compile_graph(graphs["lenet"], engine="c-dense", ram=100)


def test_the_layer_in_most_need_keeps_its_scratch():
    """The arena is made for it: it must not lose its fast kernel to alignment."""
    wide = read_tflite(int8_model(lambda layers, x: layers.Dense(320)(x), (256,)))
    program = compile_graph(wide, engine="c-sparse", core="cortex-m4")
    assert [plan.format for plan in program.layers] == ["wide"]
    less = program.arena_bytes - 64
    tight = compile_graph(wide, engine="c-sparse", core="cortex-m4", ram=less)
    assert [plan.format for plan in tight.layers] != ["wide"]
    assert tight.arena_bytes <= less


def test_flash_budget_is_kept(graphs):
    # Half of the weights: fast formats and small ones differ.
    graph = read_tflite(int8_model(lenet, (28, 28, 1), sparsity=0.6))
    free = compile_graph(graph, engine="c-sparse", core="cortex-m4")
    with pytest.raises(InputError, match="allow at least") as refused:
        compile_graph(graph, engine="c-sparse", core="cortex-m4", flash=1000)
    least = int(refused.value.hint.split()[3])
    assert least < free.weight_bytes
    tight = compile_graph(graph, engine="c-sparse", core="cortex-m4", flash=least)
    assert tight.weight_bytes <= least
