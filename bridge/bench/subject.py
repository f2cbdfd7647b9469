"""What the engines run: a bundle's network and its real inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bridge.bundle import Bundle
from bridge.errors import BundleError, EmulationError, ProofError
from bridge.graph import Graph, read_tflite
from bridge.graph.model import Array
from bridge.samples import joined, read_samples


@dataclass(frozen=True)
class Samples:
    """The real inputs that every engine runs.

    Attributes:
        inputs: int8, or what the network takes, ``[N, …]`` in the network's own layout; those of a
            network with several inputs joined to ``[N, bytes]``.
        labels: int64 ``[N]``, or None where the task has no classes.
        expected: outputs of the TFLM interpreter, likewise.
    """

    inputs: Array
    labels: Array | None
    expected: Array

    def first(self, count: int) -> Samples:
        """The first ``count`` of them."""
        labels = None if self.labels is None else self.labels[:count]
        return Samples(self.inputs[:count], labels, self.expected[:count])

    def accuracy(self, outputs: Array) -> float | None:
        """Share of samples whose largest output is their label's; None without classes."""
        if self.labels is None or not len(self.labels):
            return None
        classes = outputs.reshape(len(outputs), -1).argmax(axis=1)
        return float(np.mean(classes == self.labels))

    def equal(self, outputs: Array) -> bool:
        """Whether outputs are the interpreter's, byte for byte."""
        return bool(np.array_equal(outputs, self.expected))

    def first_difference(self, outputs: Array) -> str:
        """Where outputs first leave the interpreter's, in words; empty where they don't."""
        differ = outputs != self.expected
        if not differ.any():
            return ""
        sample, *place = (int(index) for index in np.argwhere(differ)[0])
        ours, right = (array[(sample, *place)].item() for array in (outputs, self.expected))
        return (
            f"outputs differ first at sample {sample}, value {place}: {ours} instead of {right}; "
            f"{int(differ.sum()):,} of {differ.size:,} differ"
        )

    def outputs(self, raw: bytes) -> Array:
        """What a core wrote, in the shape of the expected outputs.

        Raises:
            EmulationError: it is not as many bytes.
        """
        if len(raw) != self.expected.nbytes:
            raise EmulationError(
                f"the core returned {len(raw)} output bytes instead of {self.expected.nbytes}"
            )
        return np.frombuffer(raw, dtype=self.expected.dtype).reshape(self.expected.shape)


def prove_close(outputs: Array, reference: Array, bound: float = 1e-5) -> str:
    """Hold what float arithmetic on a core gave against the host's: sums may be rounded otherwise.

    Args:
        outputs: from the core, ``[N, …]``.
        reference: from the host, likewise.
        bound: share of the reference's range that float outputs may differ by. Integers, which
            are rounded once more at the border, may differ by one.

    Returns:
        How far they are apart, in words.

    Raises:
        ProofError: they are further apart than allowed, or not numbers.
    """
    floating = reference.dtype.kind == "f"
    distance = np.abs(outputs.astype(np.float64) - reference.astype(np.float64))
    worst = float(distance.max(initial=0.0))
    if floating:
        worst /= float(np.ptp(reference)) or 1.0
    allowed = bound if floating else 1.0
    unit = "of the output range" if floating else "steps"
    if not worst <= allowed:
        raise ProofError(
            "float on the core = float on the host", f"{worst:.3g} {unit}, allowed {allowed:.3g}"
        )
    return f"at most {worst:.3g} {unit}"


@dataclass(frozen=True)
class Subject:
    """A bundle's network, ready to be run by any engine."""

    name: str
    model: bytes
    graph: Graph
    samples: Samples


def subject(bundle: Bundle, *, limit: int | None = None) -> Subject:
    """Read what the engines need from a bundle.

    Raises:
        BundleError: it holds no samples.
    """
    model = bundle.model()
    name = str(bundle.manifest.get("model", "model"))
    file = bundle.path / "samples.npz"
    if not file.is_file():
        raise BundleError(
            f"{bundle.path} holds no samples to run", hint="convert again with --data"
        )
    stored = read_samples(bundle.path)
    samples = Samples(joined(stored.inputs), stored.labels, joined(stored.expected))
    return Subject(
        name, model, read_tflite(model, name=name), samples.first(limit) if limit else samples
    )
