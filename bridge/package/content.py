"""The files that one network brings into a package, the same for every build system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bridge.bundle import Bundle
from bridge.compile import compile_graph
from bridge.compile.registrations import register_layers
from bridge.compress.bundle import FILE as COMPRESSED
from bridge.errors import BundleError
from bridge.firmware.arena import cmsis_nn_bytes, host_arena_bytes, target_arena_bytes
from bridge.firmware.arrays import ARENA_NOTE, TFLM_ARENA, model_data, package_arrays, vector_files
from bridge.firmware.resolver import METHODS, resolver_header
from bridge.graph import Graph, read_tflite
from bridge.graph.model import Array
from bridge.package.kernels import needed_kernels
from bridge.samples import read_samples
from bridge.text import environment

_TITLES = {
    "tflm": "for TensorFlow Lite Micro",
    "tflm-decode": "for TensorFlow Lite Micro, weights stored through DECODE",
    "tflm-sparse": "for TensorFlow Lite Micro, with sparse kernels",
    "c-sparse": "in plain C",
    "c-compact": "in plain C, with one small kernel",
}
ENGINES = tuple(_TITLES)
"""What may run a packaged network, named as in the bench."""

VECTORS = 4
"""Samples in a package's self-test."""


@dataclass(frozen=True)
class ModelFiles:
    """One network in a package.

    Attributes:
        prefix: what its names start with.
        engine: one of :data:`ENGINES`.
        title: one line that says what it is.
        files: path in the package → text.
        kernels: files of sparse_nn and its TFLM registrations that it needs.
        facts: what the README tells, name → text.
    """

    prefix: str
    engine: str
    title: str
    files: Mapping[str, str]
    kernels: tuple[str, ...]
    facts: Mapping[str, str]


@dataclass(frozen=True)
class _Subject:
    """What is packaged."""

    bundle: Bundle
    prefix: str
    engine: str
    core: str
    inputs: tuple[Array, ...]
    expected: tuple[Array, ...]


@dataclass(frozen=True)
class _Made:
    """Sources by file name, kernels, and what the README tells."""

    sources: Mapping[str, str]
    kernels: tuple[str, ...]
    facts: Mapping[str, str]


def model_files(bundle: Bundle, prefix: str, engine: str, *, core: str) -> ModelFiles:
    """The sources, the self-test and the example of one network.

    Args:
        bundle: where the network stands.
        prefix: a C identifier in small letters.
        engine: one of :data:`ENGINES`.
        core: whose formats the sparse kernels take.

    Raises:
        BundleError: ``tflm-decode``, and there is no compressed network in the bundle.
        ModelError: ``tflm-sparse``, and no layer gains from our kernels.
        UnsupportedOperator: the engine lacks an operator of the network.
    """
    few = read_samples(bundle.path).first(VECTORS)
    what = _Subject(bundle, prefix, engine, core, few.inputs, few.expected)
    model = _compressed(bundle) if engine == "tflm-decode" else bundle.model()
    graph = read_tflite(model, name=prefix)
    made = _MAKERS[engine](what, graph, model)
    sources = {**made.sources, **_runner(graph, prefix, engine, made)}
    files = {f"src/{file}": text for file, text in sources.items() if file != _EXAMPLE}
    files[f"examples/{prefix}/{prefix}.c"] = sources[_EXAMPLE]
    title = f"{bundle.manifest.get('model', prefix)}, int8, {_TITLES[engine]}"
    facts = {"engine": f"`{engine}`", **made.facts, **_ports(graph)}
    return ModelFiles(prefix, engine, title, files, made.kernels, facts)


def _compressed(bundle: Bundle) -> bytes:
    try:
        return (bundle.path / COMPRESSED).read_bytes()
    except OSError:
        raise BundleError(
            f"{bundle.path} holds no {COMPRESSED}",
            hint=f"make it: tflm-bridge compress {bundle.path}",
        ) from None


_EXAMPLE = "example.c"


def _runner(graph: Graph, prefix: str, engine: str, made: _Made) -> dict[str, str]:
    """How the network is set up and run, and a loop that does it."""
    on_tflm = engine.startswith("tflm")
    values = {
        "prefix": prefix,
        "on_tflm": on_tflm,
        "lent": "DECOMPRESSION_SIZE" in made.sources[f"{prefix}_settings.h"],
        "inputs": len(graph.inputs),
        "outputs": len(graph.outputs),
    }
    runner = "run_tflm.cpp" if on_tflm else "run_sparse.c"
    texts = {
        f"{prefix}_run.h": "run.h",
        f"{prefix}_run{Path(runner).suffix}": runner,
        _EXAMPLE: "example.c",
    }
    templates = environment("bridge.package")
    return {f: templates.get_template(f"{name}.j2").render(values) for f, name in texts.items()}


def _tflm(what: _Subject, graph: Graph, model: bytes) -> _Made:
    decoding = any(operator.kind == "CUSTOM:TFLM_DECODE" for operator in graph.operators)
    lent = int(what.bundle.manifest["compressed"]["decompression_bytes"]) if decoding else 0
    arena = target_arena_bytes(model)
    smaller = target_arena_bytes(model, lent) if lent else 0
    arrays = package_arrays(
        graph, model, what.inputs, what.expected, what.prefix, arena, lent, smaller
    )
    facts = _interpreter_facts(graph, model, f"{arena:,} bytes: {TFLM_ARENA}")
    if lent:
        facts["decompression memory"] = (
            f"the arena holds up to {lent:,} bytes of decoded weights; {what.prefix}_lend() "
            f"gives them a place of their own, and an arena of {smaller:,} bytes is enough then"
        )
    return _Made(_plain_c(arrays), (), facts)


def _tflm_sparse(what: _Subject, graph: Graph, model: bytes) -> _Made:
    found = register_layers(model, graph, core=what.core, prefix=what.prefix)
    # Without their weights TFLM's own kernels refuse the layers, so the host is asked with them.
    ours = {layer.name for layer in found.layers}
    rest = tuple(operator for operator in graph.operators if operator.name not in ours)
    others = cmsis_nn_bytes(replace(graph, operators=rest))
    arena = host_arena_bytes(model) + others + _aligned(found.scratch_bytes) + 32 * len(ours)
    note = ARENA_NOTE.format(
        asked=" for the network with all its weights",
        ours=f"{found.scratch_bytes} bytes of scratch for our kernels, ",
    )
    sources = {
        **model_data(found.model, what.prefix),
        **found.files,
        **vector_files(graph, what.inputs, what.expected, what.prefix, arena, note),
        f"{what.prefix}_resolver.h": resolver_header(graph, what.prefix, sparse=found),
    }
    facts = _interpreter_facts(graph, found.model, f"{arena:,} bytes: {note}")
    facts["sparse layers"] = (
        f"{len(found.layers)} of {len(graph.operators)} operators, formats chosen for {what.core}; "
        f"their weights and tables take {found.weight_bytes:,} bytes beside the flatbuffer"
    )
    return _Made(
        _plain_c(sources), needed_kernels([*found.files.values(), '#include "snn_tflm.h"']), facts
    )


def _in_c(what: _Subject, graph: Graph, model: bytes) -> _Made:
    prefix = what.prefix
    program = compile_graph(graph, engine=what.engine, core=what.core, prefix=f"{prefix}_net")
    note = f"planned for this network, {program.scratch_bytes} of them scratch for kernels; exact"
    vectors = vector_files(graph, what.inputs, what.expected, prefix, program.arena_bytes, note)
    facts = {
        "weights": f"{program.weight_bytes:,} bytes with all tables, formats chosen for "
        f"{what.core}",
        "arena": f"{program.arena_bytes:,} bytes: {note}",
        "kernels": ", ".join(sorted({layer.kernel for layer in program.layers} - {""})),
    }
    return _Made({**program.files, **vectors}, needed_kernels(program.files.values()), facts)


_MAKERS = {
    "tflm": _tflm, "tflm-decode": _tflm, "tflm-sparse": _tflm_sparse,
    "c-sparse": _in_c, "c-compact": _in_c,
}  # fmt: skip


def _aligned(size: int) -> int:
    return -(-size // 16) * 16


def _plain_c(arrays: Mapping[str, str]) -> dict[str, str]:
    """The model's array is C as well as C++; some build systems take no .cc."""
    return {name.replace(".cc", ".c"): text for name, text in arrays.items()}


def _interpreter_facts(graph: Graph, model: bytes, arena: str) -> dict[str, str]:
    kinds = sorted({METHODS[operator.kind].removeprefix("Add") for operator in graph.operators})
    return {
        "flatbuffer": f"{len(model):,} bytes",
        "arena": arena,
        "operators": ", ".join(kinds),
    }


def _ports(graph: Graph) -> dict[str, str]:
    told = {}
    for side, indices in (("input", graph.inputs), ("output", graph.outputs)):
        for number, index in enumerate(indices):
            tensor = graph.tensor(index)
            text = f"{tensor.dtype} {' × '.join(map(str, tensor.shape))}"
            if tensor.quantization is not None:
                q = tensor.quantization
                sign = "+" if q.zero_point < 0 else "-"
                text += f", real = {q.scale:.9g} * (q {sign} {abs(q.zero_point)})"
            told[f"{side} {number}"] = text
    return told
