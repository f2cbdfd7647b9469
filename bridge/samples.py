"""The test samples of a bundle: real inputs, and what the TFLM interpreter answers to them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bridge.graph.model import Array, Graph

FILE = "samples.npz"


@dataclass(frozen=True)
class StoredSamples:
    """What a bundle's ``samples.npz`` holds.

    Attributes:
        inputs: one array ``[N, …]`` per input, int8.
        labels: int64 ``[N]``, or None where the task has no classes.
        expected: the interpreter's outputs, one array ``[N, …]`` per output, int8.
    """

    inputs: tuple[Array, ...]
    labels: Array | None
    expected: tuple[Array, ...]

    def first(self, count: int) -> StoredSamples:
        """The first ``count`` of them."""
        return StoredSamples(
            tuple(a[:count] for a in self.inputs),
            None if self.labels is None else self.labels[:count],
            tuple(a[:count] for a in self.expected),
        )


def read_samples(folder: Path) -> StoredSamples:
    """Read a bundle's samples; a second input is stored as ``inputs1`` and so on."""
    with np.load(folder / FILE) as stored:

        def several(name: str) -> tuple[Array, ...]:
            names = [name, *(f"{name}{i}" for i in range(1, len(stored.files)))]
            return tuple(stored[n] for n in names if n in stored.files)

        labels = stored["labels"] if "labels" in stored.files else None
        return StoredSamples(several("inputs"), labels, several("expected"))


def samples_file(samples: StoredSamples) -> bytes:
    """The inverse of :func:`read_samples`: the content of ``samples.npz``."""
    arrays: dict[str, Array] = {}
    for name, several in (("inputs", samples.inputs), ("expected", samples.expected)):
        for i, array in enumerate(several):
            arrays[name if i == 0 else f"{name}{i}"] = array
    if samples.labels is not None:
        arrays["labels"] = samples.labels
    return npz(arrays)


def npz(arrays: Mapping[str, Array]) -> bytes:
    """A .npz whose bytes depend on nothing but its arrays (no time of day)."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            part = io.BytesIO()
            whole = np.ascontiguousarray(array)
            np.lib.format.write_array(part, whole, allow_pickle=False)  # type: ignore[no-untyped-call]
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, part.getvalue())
    return stream.getvalue()


def joined(arrays: Sequence[Array]) -> Array:
    """Inputs or outputs as the runners take them: one sample's bytes back to back.

    A single array stays as it is; several become ``[N, bytes]``.
    """
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate([a.reshape(len(a), -1) for a in arrays], axis=1)


def separate(array: Array, graph: Graph, indices: Sequence[int]) -> list[Array]:
    """The inverse of :func:`joined` for the inputs or outputs of a graph."""
    flat = array.reshape(len(array), -1)
    shapes = [graph.tensor(i).shape[1:] for i in indices]
    ends = np.cumsum([int(np.prod(s, dtype=int)) for s in shapes])
    parts = np.split(flat, ends[:-1], axis=1)
    return [p.reshape(len(array), *s) for p, s in zip(parts, shapes, strict=True)]
