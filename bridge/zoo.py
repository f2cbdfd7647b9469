"""The networks that ship with the bridge, by name.

Each is one readable file under ``models/`` with an ordinary ``nn.Module`` that takes no
arguments, and a state dict trained by ``scripts/train_zoo.py``. This module imports neither
PyTorch nor any data until it is asked for a network.

The values that a network expects are the ones that its data set's loader gives: images in 0..1,
sensor windows in their own units.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.errors import InputError

if TYPE_CHECKING:
    from bridge.data import Dataset


@dataclass(frozen=True)
class ZooEntry:
    """One network with the weights for one data set.

    Attributes:
        name: what the user calls it.
        file: its source under ``models/``.
        class_name: the ``nn.Module`` in that file; its constructor takes no arguments.
        checkpoint: its state dict under ``models/``.
        dataset: what it was trained on, a name that ``bridge.data.load`` knows.
        input_shape: one input as PyTorch lays it out, channels first and without the batch.
        expected: the metric of the float network on the data set's test part.
        macs: multiply-accumulates of one inference, biases and activations left out.
        paper: where the network comes from.
        metric: what ``expected`` is: ``accuracy`` (share of right classes), or
            ``explained variance`` (1 − residual variance / variance) for a reconstruction.
        stand_in: why the data set is not the paper's own; empty where it is.
    """

    name: str
    file: str
    class_name: str
    checkpoint: str
    dataset: str
    input_shape: tuple[int, ...]
    expected: float
    macs: int
    paper: str
    metric: str = "accuracy"
    stand_in: str = ""

    @property
    def source_path(self) -> Path:
        """The file with the network's class."""
        return models_folder() / self.file

    @property
    def checkpoint_path(self) -> Path:
        """The state dict; load it with ``torch.load(path, weights_only=True)``."""
        return models_folder() / self.checkpoint


_LENET = "LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition"
_TINY = "Banbury et al. 2021, MLPerf Tiny Benchmark"


def _entry(name: str, class_name: str, dataset: str, **rest: Any) -> ZooEntry:
    checkpoint = f"checkpoints/{name}_{dataset}.pt"
    return ZooEntry(name, f"{name}.py", class_name, checkpoint, dataset, **rest)


ZOO: tuple[ZooEntry, ...] = (
    _entry(
        "lenet5",
        "LeNet5",
        "digits",
        input_shape=(1, 28, 28),
        expected=0.9950,
        macs=416_520,
        paper=_LENET,
    ),
    _entry(
        "lenet5",
        "LeNet5",
        "mnist",
        input_shape=(1, 28, 28),
        expected=0.9937,
        macs=416_520,
        paper=_LENET,
    ),
    _entry(
        "har_cnn",
        "HarCnn",
        "har-subset",
        input_shape=(9, 128),
        expected=0.9400,
        macs=1_334_016,
        paper="Ronao and Cho 2016, Human activity recognition with smartphone sensors, reduced",
    ),
    _entry(
        "resnet8",
        "ResNet8",
        "cifar10-subset",
        input_shape=(3, 32, 32),
        expected=0.8182,
        macs=12_501_632,
        paper=_TINY,
    ),
    _entry(
        "resnet8",
        "ResNet8",
        "cifar10",  # no checkpoint ships: the full set is not everywhere; the mark of MLPerf Tiny
        input_shape=(3, 32, 32),
        expected=0.85,
        macs=12_501_632,
        paper=_TINY,
    ),
    _entry(
        "ds_cnn",
        "DsCnn",
        "har-as-49x10",
        input_shape=(1, 49, 10),
        expected=0.9484,
        macs=2_656_768,
        paper="Zhang et al. 2017, Hello Edge: Keyword Spotting on Microcontrollers; " + _TINY,
        stand_in="no speech commands at hand; motion sensor windows, 6 of 12 classes",
    ),
    _entry(
        "mobilenet_v1_025",
        "MobileNetV1",
        "cifar10-animals-96x96",
        input_shape=(3, 96, 96),
        expected=0.9120,
        macs=7_489_664,
        paper="Howard et al. 2017, MobileNets; " + _TINY,
        stand_in="no pictures of persons at hand; animals against vehicles, enlarged CIFAR-10",
    ),
    _entry(
        "fc_autoencoder",
        "FcAutoencoder",
        "har-as-640",
        input_shape=(640,),
        expected=0.6487,
        macs=264_192,
        paper=_TINY,
        metric="explained variance",
        stand_in="no machine sounds at hand; motion sensor windows",
    ),
)
"""All entries; the first of a name is its default."""


def models_folder() -> Path:
    """The folder ``models/``: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parent
    installed = package / "_data" / "models"
    return installed if installed.is_dir() else package.parent / "models"


def names() -> tuple[str, ...]:
    """The networks' names, each once, in the registry's order."""
    return tuple(dict.fromkeys(entry.name for entry in ZOO))


def find(name: str, dataset: str | None = None) -> ZooEntry:
    """The entry of a network, by default for the first data set that it lists.

    Args:
        name: the network's name.
        dataset: choose among its checkpoints the one trained on this data set.

    Raises:
        InputError: there is no such network, or no checkpoint of it for that data set.
    """
    entries = [entry for entry in ZOO if entry.name == name]
    if not entries:
        raise InputError(
            f"there is no network {name!r} in the zoo",
            hint=f"choose one of {', '.join(names())}, or give file.py:Class",
        )
    if dataset is None:
        return entries[0]
    for entry in entries:
        if entry.dataset == dataset:
            return entry
    known = ", ".join(entry.dataset for entry in entries)
    raise InputError(
        f"the zoo has no checkpoint of {name!r} for {dataset!r}",
        hint=f"it has one for {known}; or give your own with --weights",
    )


def network(entry: ZooEntry, *, trained: bool = True) -> Any:
    """The entry's ``nn.Module`` in evaluation mode, with its checkpoint unless not ``trained``.

    Raises:
        InputError: the checkpoint is missing or belongs to another network.
    """
    import torch

    from bridge.data import attribute_of

    module = attribute_of(entry.source_path, entry.class_name)().eval()
    if trained:
        path = entry.checkpoint_path
        try:
            module.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
        except (OSError, RuntimeError) as error:
            raise InputError(
                f"the checkpoint {path} can't be loaded: {error}",
                hint=f"train it again with: scripts/train_zoo.py {entry.name}/{entry.dataset}",
            ) from None
    return module


def measure(module: Any, dataset: Dataset, *, batch: int = 250) -> float:
    """The metric of a float network on a data set's test part (see ``ZooEntry.metric``)."""
    import numpy as np
    import torch

    inputs = dataset.test_inputs[0]
    if inputs.ndim > 2:  # channels first, as PyTorch has them
        inputs = np.ascontiguousarray(np.moveaxis(inputs, -1, 1))
    with torch.no_grad():
        parts = [
            module(torch.from_numpy(inputs[start : start + batch])).numpy()
            for start in range(0, len(inputs), batch)
        ]
    outputs = np.concatenate(parts)
    if dataset.task == "classification":
        return float(np.mean(outputs.argmax(1) == dataset.y_test))
    wanted = dataset.y_test
    return float(1 - np.mean((outputs - wanted) ** 2) / np.mean((wanted - wanted.mean(0)) ** 2))
