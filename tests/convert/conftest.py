"""One converted LeNet-5 for all tests that look at a result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bridge.bundle import BundleWriter
from bridge.convert import ConvertOptions, ConvertResult, convert
from bridge.progress import Silent
from tests.convert.small import small_network

if TYPE_CHECKING:
    from bridge.convert.train import Task


@dataclass(frozen=True)
class Converted:
    result: ConvertResult
    folder: Path


@pytest.fixture(scope="session")
def lenet(tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """LeNet-5 on the digits, 0.8 sparse, quantization-aware, two epochs."""
    out = tmp_path_factory.mktemp("convert") / "lenet5"
    bundle = BundleWriter(out, "key")
    result = convert(ConvertOptions("lenet5", sparsity=0.8, epochs=3), bundle, Silent())
    bundle.commit()
    return Converted(result, out)


@pytest.fixture(scope="session")
def lenet_int8(lenet: Converted) -> bytes:
    """Its int8 file."""
    return (lenet.folder / "model_int8.tflite").read_bytes()


@pytest.fixture(scope="session")
def small() -> tuple[Any, Task]:
    """A small lifted network with a task; whoever trains it trains a copy."""
    return small_network()
