"""The networks that ship with the bridge, by name.

Each is one readable file under ``models/`` with an ordinary ``nn.Module`` that takes no
arguments, and a state dict trained by ``scripts/train_zoo.py``. This module imports neither
PyTorch nor any data.

The values that a network expects are the ones that its data set's loader gives: images in 0..1,
sensor windows in their own units.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bridge.errors import InputError


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


_LENET = (
    "LeCun, Bottou, Bengio, Haffner 1998, Gradient-Based Learning Applied to Document Recognition"
)

ZOO: tuple[ZooEntry, ...] = (
    ZooEntry(
        name="lenet5",
        file="lenet5.py",
        class_name="LeNet5",
        checkpoint="checkpoints/lenet5_digits.pt",
        dataset="digits",
        input_shape=(1, 28, 28),
        expected=0.0,
        macs=416_520,
        paper=_LENET,
    ),
    ZooEntry(
        name="lenet5",
        file="lenet5.py",
        class_name="LeNet5",
        checkpoint="checkpoints/lenet5_mnist.pt",
        dataset="mnist",
        input_shape=(1, 28, 28),
        expected=0.0,
        macs=416_520,
        paper=_LENET,
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
