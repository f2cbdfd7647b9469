"""What an interrupted run leaves beside the bundle's files, and how it is taken up.

Each finished stage (pruning, quantization; one of each for every sparsity that a search tries)
keeps its arrays in a file of its own, recorded with its hash. A bundle's key decides whether a
later run may take them up (see :class:`bridge.bundle.BundleWriter`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bridge.bundle import digest, write_atomic
from bridge.convert.judge import npz
from bridge.convert.lift.builder import Array
from bridge.convert.prune import fresh_copy

if TYPE_CHECKING:
    from bridge.bundle import BundleWriter


def _file(stage: str) -> str:
    return f"stage-{stage}.npz"


def keep(bundle: BundleWriter, stage: str, arrays: Mapping[str, Array]) -> None:
    """Put a finished stage's arrays beside the bundle's files."""
    content = npz(dict(arrays))
    write_atomic(bundle.path(_file(stage)), content)
    bundle.finish_stage(stage, arrays=digest(content))


def taken_up(bundle: BundleWriter, stage: str) -> dict[str, Array] | None:
    """What an interrupted run kept of a stage, or None where it must run."""
    results, path = bundle.finished(stage), bundle.path(_file(stage))
    if results is None or not path.is_file() or digest(path.read_bytes()) != results["arrays"]:
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
