"""Every network of the zoo compressed: the same bytes out of TFLM, in a smaller file."""

from __future__ import annotations

import pytest

from bridge import zoo
from bridge.bundle import BundleWriter
from bridge.compress import compress_model, prove_equal
from bridge.convert import ConvertOptions, convert
from bridge.progress import Silent

NETWORKS = [zoo.find(name) for name in zoo.names()]


@pytest.mark.slow
@pytest.mark.parametrize("entry", NETWORKS, ids=lambda entry: entry.name)
def test_smaller_and_byte_equal(entry, tmp_path):
    """Trained weights without their smallest nine tenths; accuracy is no matter here."""
    bundle = BundleWriter(tmp_path / "bundle", "key")
    options = ConvertOptions(
        f"{entry.source_path}:{entry.class_name}",
        weights=entry.checkpoint_path if entry.checkpoint_path.is_file() else None,
        input_shapes=(entry.input_shape,),
        sparsity=0.9,
        epochs=0,
        quantize="ptq",
        onnx2tf=False,
    )
    convert(options, bundle, Silent())
    model = (bundle.work / "model_int8.tflite").read_bytes()
    done = compress_model(model)
    assert len(done.model) < 0.65 * len(model)
    assert prove_equal(model, done.model) >= 100
