"""onnx2tf as an independent witness: another converter's opinion of the same network.

Its output can't be trained (weights are constants in call arguments) and is not always right,
so nothing is built from it; but where it agrees, two separately written lowerings do.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bridge.convert.lift.builder import Array
from bridge.convert.options import Proof
from bridge.convert.prove import FLOAT_BOUND, relative_difference, run_keras
from bridge.convert.quiet import quiet, tensorflow


def testify(
    onnx_model: Any,
    inputs: Sequence[Array],
    reference: Sequence[Array],
    against: str,
) -> Proof:
    """Bring the network through onnx2tf and compare; never raises, never uses the network.

    Args:
        onnx_model: with a free batch (with a fixed one onnx2tf would try to download samples).
        inputs: as the ONNX model takes them.
        reference: the outputs to compare with.
        against: whose they are.
    """
    rung = f"onnx2tf = {against} (witness)"
    tensorflow()
    count = len(inputs[0])
    try:
        with quiet(), tempfile.TemporaryDirectory() as folder:
            outputs = _run(onnx_model, inputs, Path(folder))
        shaped = [_aligned(o, r) for o, r in zip(outputs, reference, strict=True)]
        statistic = relative_difference(shaped, reference)
    except (Exception, SystemExit) as error:
        words = str(error).strip().splitlines()
        return Proof(
            rung,
            False,
            1.0,
            FLOAT_BOUND,
            "of output range",
            count,
            detail=f"onnx2tf failed ({type(error).__name__}: {words[0][:120] if words else ''}); "
            "the lift doesn't depend on it",
        )
    statistic = min(statistic, 1e9)
    passed = statistic <= FLOAT_BOUND
    detail = "" if passed else "onnx2tf's own network is wrong here; the lift doesn't depend on it"
    return Proof(rung, passed, statistic, FLOAT_BOUND, "of output range", count, detail=detail)


def _run(onnx_model: Any, inputs: Sequence[Array], folder: Path) -> list[Array]:
    here = Path.cwd()
    os.chdir(folder)  # it leaves files where it stands
    try:
        import onnx2tf

        model = onnx2tf.convert(
            onnx_graph=onnx_model,
            output_folder_path=str(folder / "out"),
            disable_model_save=True,
            not_use_onnxsim=True,
            non_verbose=True,
            verbosity="error",
        )
    finally:
        os.chdir(here)
    feeds = []
    for keras_input, array in zip(model.inputs, inputs, strict=True):
        shape = tuple(int(d) for d in keras_input.shape[1:])
        moved = np.moveaxis(array, 1, -1) if array.ndim > 2 else array
        feeds.append(moved if moved.shape[1:] == shape else array)
    return run_keras(model, feeds)


def _aligned(output: Array, reference: Array) -> Array:
    if output.shape == reference.shape or output.ndim < 3:
        return output
    return np.moveaxis(output, -1, 1)
