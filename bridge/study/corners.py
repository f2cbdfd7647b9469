"""One combination of techniques: made, coded, proved and measured."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from bridge.bundle import MODEL, Bundle, BundleWriter, digest
from bridge.graph.model import Array
from bridge.samples import read_samples
from bridge.study.chain import weighted
from bridge.study.coding import CODINGS, clustered_network, clustered_tflite, float_bytes
from bridge.study.measure import EMULATED, Converted, judged, measure, needed, row_of
from bridge.study.networks import Pruned, Subject, Trainer
from bridge.study.setup import Setup
from bridge.study.sparsify import accuracy

CORE = "cortex-m4"
OURS = ("c-sparse", "c-compact")
FLOAT_C = "float32 C"
CLUSTERED = ("huffman", "lut")
DECODED = ("none", "bitmask", "lut")
"""Codings whose float32 values TFLM decodes; its Huffman holds int8 and int16 alone."""
PROVED = 50
"""Test samples that each file is proved on, in the interpreter on the host."""
FLOAT_BOUND = 1e-5


@dataclass(frozen=True)
class Corner:
    """One combination.

    Attributes:
        share: of the weights left; 1 is unpruned.
        int8: quantized.
        coding: one of :data:`CODINGS`, or the engine whose own constants these are.
        error: share of wrong classes.
        stored: bytes of weights as stored (int8: the .tflite file).
        flash, ram: bytes, linked on the Cortex-M4, where a program exists; else None.
        instructions: of one inference there.
        how: what flash and RAM are of.
    """

    share: float
    int8: bool
    coding: str
    error: float
    stored: int
    flash: int | None
    ram: int | None
    instructions: int | None
    how: str

    @property
    def name(self) -> str:
        """In words."""
        parts = [
            "pruned" if self.share < 1 else "",
            "int8" if self.int8 else "",
            "" if self.coding == "none" else self.coding,
        ]
        return " + ".join(p for p in parts if p) or "float32 as it is"


def float_corners(
    setup: Setup, trainer: Trainer, pruned: Pruned, share: float, converted: Converted
) -> list[Corner]:
    """A network in float32: in plain C, and in TFLM in each coding."""
    plain = needed(measure(setup, converted, ("c-float",), CORE), "c-float")
    clustered = cache(partial(clustered_network, pruned.network, setup.seed))

    def network(coding: str) -> Any:
        return clustered() if coding in CLUSTERED else pruned.network

    def make() -> dict[str, Any]:
        data = trainer.data
        result: dict[str, Any] = {}
        for coding in CODINGS:
            layers = weighted(network(coding)).values()
            biases = sum(int(m.bias.numel()) for m in layers)
            tensors = [m.weight.detach().numpy() for m in layers]
            result[coding] = {
                "error": 1 - accuracy(network(coding), data.x_test, data.y_test),
                "stored": float_bytes(tensors, coding) + 4 * biases,
            }
        return result

    made = setup.store.point(
        f"float-codings-{pruned.key}",
        make,
        decides=(pruned.facts["decides"], setup.seed),
        progress=setup.progress,
    )
    corners = [_corner(share, False, "c-float", made["none"], plain, FLOAT_C)]
    for coding in CODINGS:
        row = _float_in_tflm(setup, trainer, pruned, partial(network, coding), coding)
        how = "TFLM, float32" if row else "computed: TFLM was not at hand"
        if coding not in DECODED:
            how = "computed: TFLM decodes Huffman to int8 and int16 alone"
        corners.append(_corner(share, False, coding, made[coding], row, how))
    return corners


def _corner(
    share: float,
    int8: bool,
    coding: str,
    facts: Mapping[str, Any],
    row: Mapping[str, Any] | None,
    how: str,
) -> Corner:
    return Corner(
        share,
        int8,
        coding,
        facts["error"],
        facts["stored"],
        row["flash_bytes"]["total"] if row else None,
        row["ram_bytes"]["total"] if row else facts.get("arena"),
        row["instructions"] if row else None,
        how,
    )


def _float_in_tflm(
    setup: Setup, trainer: Trainer, pruned: Pruned, network: Callable[[], Any], coding: str
) -> Mapping[str, Any] | None:
    """A float32 .tflite with its weights in a coding, run by stock TFLM on the emulated core."""
    root = setup.tflm_root
    if root is None or coding not in DECODED:
        return None

    def make() -> dict[str, Any]:
        from bridge.bench import measure as bench
        from bridge.bench.subject import Samples
        from bridge.bench.subject import Subject as Measured
        from bridge.compress import compress_model, prove_equal
        from bridge.convert.tflm import run
        from bridge.graph import read_tflite

        plain, inputs = _float_file(network(), trainer)
        encodings = () if coding == "none" else (coding,)
        model = compress_model(plain, encodings=encodings).model
        prove_equal(plain, model, [inputs], count=PROVED)
        labels = trainer.data.y_test[:EMULATED].numpy()
        few = Samples(inputs[:EMULATED], labels, run(plain, [inputs[:EMULATED]])[0])
        what = Measured(pruned.key, model, read_tflite(model, name=pruned.key), few)
        with tempfile.TemporaryDirectory(prefix="tflm-bridge-") as folder:
            return bench.tflm(CORE, what, Path(folder), root, bench.Limits()).as_json()

    return setup.store.point(
        f"float-tflm-{pruned.key}-{coding}",
        make,
        decides=(pruned.facts["decides"], coding, setup.seed),
        progress=setup.progress,
        again=setup.measure_again,
    )


def _float_file(network: Any, trainer: Trainer) -> tuple[bytes, Array]:
    """A network as a float32 .tflite, proved against PyTorch in TFLM, and test inputs for it."""
    from bridge.convert.export import export
    from bridge.convert.lift.lower import lift
    from bridge.convert.prove import held, relative_difference, run_torch
    from bridge.convert.quantize import to_float_tflite
    from bridge.convert.tflm import run

    logical = trainer.data.x_test[:PROVED].numpy()
    lifted = lift(export(network, (logical.shape[1:],)))
    model = to_float_tflite(lifted.model)
    inputs = lifted.to_physical([logical])[0]
    wanted = run_torch(network, [logical])
    found = [a.reshape(b.shape) for a, b in zip(run(model, [inputs]), wanted, strict=True)]
    difference = relative_difference(found, wanted)
    held("float32 in TFLM = PyTorch", difference, FLOAT_BOUND, "of the output range", PROVED)
    return model, inputs


def int8_corners(
    setup: Setup, subject: Subject, share: float, converted: Converted, full: bool
) -> list[Corner]:
    """The four codings of an int8 network in TFLM, and our own sparse C."""
    corners = []
    for coding in CODINGS:
        coded = _coded(setup, subject, converted, coding)
        rows = measure(setup, coded, ("tflm",), CORE) if full else []
        row = row_of(rows, "tflm")
        how = "TFLM" if row else "host: arena of the TFLM interpreter"
        facts = {"error": 1 - coded.accuracy, "stored": coded.facts["bytes"], **coded.facts}
        corners.append(_corner(share, True, coding, facts, row, how))
    rows = measure(setup, converted, OURS, CORE)
    for engine in OURS:
        ours = needed(rows, engine)
        facts = {"error": 1 - converted.accuracy, "stored": ours["flash_bytes"]["weights"]}
        corners.append(_corner(share, True, engine, facts, ours, "sparse C"))
    return corners


def _coded(setup: Setup, subject: Subject, converted: Converted, coding: str) -> Converted:
    """A bundle whose .tflite holds its weights in a coding, proved equal to the plain file."""
    key = f"{converted.key}-{coding}"
    folder = setup.bundle(key)

    def make() -> dict[str, Any]:
        from bridge.compress import compress_model, prove_equal
        from bridge.convert.tflm import run
        from bridge.firmware.arena import host_arena_bytes

        model = Bundle.open(converted.bundle).model()
        stored = read_samples(converted.bundle)
        (inputs,), (expected,) = stored.inputs, stored.expected
        if coding == "lut":
            model = clustered_tflite(model, setup.seed)
            expected = run(model, [inputs])[0].reshape(expected.shape)
        arrays = {"inputs": inputs, "labels": stored.labels, "expected": expected}
        result = compress_model(model, encodings=() if coding == "none" else (coding,))
        prove_equal(model, result.model, [inputs[:PROVED]], count=PROVED)
        name = Bundle.open(converted.bundle).manifest["model"]
        facts = {"accuracy": converted.accuracy, "samples": converted.samples}
        if coding == "lut":  # the others lose nothing
            plain = _write(folder, model, arrays, name)
            facts = judged(plain, subject)
        file = model if coding == "none" else result.model
        _write(folder, file, arrays, name)
        return facts | {
            "bytes": len(file),
            "arena": host_arena_bytes(file),
            "tensors": {t.name: [t.encoding, t.bytes_before, t.bytes_after]
                        for t in result.tensors},
        }  # fmt: skip

    facts = setup.store.point(
        f"coded-{key}",
        make,
        decides=(dict(converted.facts), coding, setup.seed),
        progress=setup.progress,
        needs=(folder / "bridge.json",),
    )
    return Converted(
        key, folder, facts["accuracy"], converted.float_accuracy, facts["samples"], facts
    )


def _write(folder: Path, model: bytes, arrays: dict[str, Any], name: str) -> Bundle:
    from bridge.samples import npz

    writer = BundleWriter(folder, digest(model))
    writer.manifest["model"] = name
    writer.write(MODEL, model)
    writer.write("samples.npz", npz(arrays))
    return writer.commit()
