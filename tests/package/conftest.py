"""One compressed bundle of a pruned network for all tests of packages."""

from __future__ import annotations

import pytest

from bridge.compress.bundle import compress_file
from bridge.convert.options import ConvertOptions
from bridge.pipeline import convert
from tests.compile.networks import int8_model
from tests.compress.test_model import wide


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """LeNet-5's layers, 92 % zeros: large enough that every engine has something to gain."""
    folder = tmp_path_factory.mktemp("packaged")
    file = folder / "net.tflite"
    file.write_bytes(int8_model(wide, (28, 26, 1), sparsity=0.92))
    convert(ConvertOptions(str(file), samples=5), folder / "bundle")
    compress_file(folder / "bundle")
    return folder / "bundle"
