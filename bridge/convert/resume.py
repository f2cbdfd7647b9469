"""What an interrupted run leaves beside the bundle's files, and how it is taken up.

Each finished stage (pruning, quantization; one of each for every sparsity that a search tries)
keeps its arrays in a file of its own, recorded with its hash. A later run takes them up under the
same key of the bundle (see :class:`bridge.bundle.BundleWriter`), and only where the float network
and the data are still the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bridge.bundle import digest, write_atomic
from bridge.convert.lift.builder import Array
from bridge.convert.prune import fresh_copy
from bridge.samples import npz

if TYPE_CHECKING:
    from bridge.bundle import BundleWriter
    from bridge.convert.train import Task


def _file(stage: str) -> str:
    return f"stage-{stage}.npz"


def basis(model: Any, task: Task | None) -> str:
    """A hash of what compression starts from: the float weights, the first samples, all targets."""
    arrays = [np.asarray(w) for w in model.get_weights()]
    if task is not None:
        arrays += [a[:200] for a in task.inputs] + task.targets
    return digest(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays))


def keep(bundle: BundleWriter, stage: str, arrays: Mapping[str, Array], start: str) -> None:
    """Put a finished stage's arrays beside the bundle's files.

    Args:
        start: the :func:`basis` that they were made from.
    """
    content = npz(arrays)
    write_atomic(bundle.path(_file(stage)), content)
    bundle.finish_stage(stage, arrays=digest(content), start=start)


def taken_up(bundle: BundleWriter, stage: str, start: str) -> dict[str, Array] | None:
    """What an interrupted run kept of a stage, or None where it must run."""
    results, path = bundle.finished(stage), bundle.path(_file(stage))
    if results is None or results["start"] != start or not path.is_file():
        return None
    if digest(path.read_bytes()) != results["arrays"]:
        return None
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def weights_of(model: Any) -> dict[str, Array]:
    """A Keras model's weights by their position."""
    return {str(i): np.asarray(w) for i, w in enumerate(model.get_weights())}


def with_weights(base: Any, arrays: Mapping[str, Array]) -> Any:
    """A copy of a Keras model with weights from :func:`weights_of`."""
    model = fresh_copy(base)
    model.set_weights([arrays[str(i)] for i in range(len(model.get_weights()))])
    return model


def forget(bundle: BundleWriter) -> None:
    """Remove what only an interrupted run would need."""
    for stage in bundle.manifest["stages"]:
        bundle.path(_file(stage)).unlink(missing_ok=True)
    bundle.manifest["stages"] = {}
