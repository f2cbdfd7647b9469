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

    def prove_close(self, outputs: Array, bound: float = 1e-5) -> None:
        """Hold float outputs against the interpreter's: a core may round sums in another order.

        Raises:
            ProofError: they differ by more than ``bound`` of the outputs' range.
        """
        span = float(np.ptp(self.expected)) or 1.0
        worst = float(np.abs(outputs - self.expected).max(initial=0.0)) / span
        if not worst <= bound:
            raise ProofError(
                "float on the core = float on the host",
                f"{worst:.3g} of the output range, allowed {bound:.3g}",
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
