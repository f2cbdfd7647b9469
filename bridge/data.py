"""Data sets: the named ones, and the user's own from ``file.py:function``.

A :class:`Dataset` holds float32 arrays with the channels last, whatever the source: layouts are
stated by the source and turned here, once.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy.typing as npt

from bridge.errors import DataError, InputError

Array = npt.NDArray[Any]

USER = "_bridge_user_"
"""What the names of modules that the user gave as files start with."""

LAYOUTS = ("channels-first", "channels-last")
TASKS = ("classification", "reconstruction", "regression", "none")


@dataclass(frozen=True)
class Dataset:
    """Samples to train, calibrate and judge with.

    Attributes:
        name: what it is called in reports.
        x_train: float32 [N, …, channels], or one such array per input of the network.
        y_train: int64 [N] class labels, or float32 targets; empty for task ``none``.
        x_test: like ``x_train``, never trained on.
        y_test: like ``y_train``.
        task: ``classification``, ``reconstruction`` (the target is the input), ``regression``
            or ``none`` (no labels: the float network is the reference).
        note: where it comes from, one line.
    """

    name: str
    x_train: Array | tuple[Array, ...]
    y_train: Array
    x_test: Array | tuple[Array, ...]
    y_test: Array
    task: str = "classification"
    note: str = ""

    @property
    def train_inputs(self) -> tuple[Array, ...]:
        """The training inputs as one array per network input."""
        return self.x_train if isinstance(self.x_train, tuple) else (self.x_train,)

    @property
    def test_inputs(self) -> tuple[Array, ...]:
        """The test inputs as one array per network input."""
        return self.x_test if isinstance(self.x_test, tuple) else (self.x_test,)

    def limited(self, train: int | None) -> Dataset:
        """The same with at most ``train`` training samples (the first ones)."""
        if train is None or len(self.train_inputs[0]) <= train:
            return self
        x = tuple(a[:train] for a in self.train_inputs)
        return replace(
            self,
            x_train=x if isinstance(self.x_train, tuple) else x[0],
            y_train=self.y_train[:train],
        )


def load(name: str, *, layout: str | None = None) -> Dataset:
    """Load a data set.

    Args:
        name: ``digits``, ``mnist``, ``cifar10-subset``, ``har-subset``, or
            ``file.py:function`` where the function takes nothing and returns a
            :class:`Dataset`, a dict, or ``(x_train, y_train, x_test, y_test)`` with arrays,
            torch Datasets or DataLoaders (see :mod:`bridge.data_user`).
        layout: how the user's own arrays are laid out, ``channels-first`` (torch) or
            ``channels-last``; never guessed. Named data sets know their own, and a user's dict
            may state it itself.

    Raises:
        DataError: unknown name, missing file, or data of a form that isn't understood.
    """
    from bridge.data_standin import STAND_INS
    from bridge.data_user import from_user, known_layout
    from bridge.datasets import NAMED

    known_layout(layout)
    named = {**NAMED, **STAND_INS}
    if name in named:
        return named[name]()
    if ":" in name:
        file, _, attribute = name.rpartition(":")
        function = attribute_of(Path(file), attribute)
        if not callable(function):
            raise DataError(
                f"{name} is not a function",
                hint="name one that takes nothing and returns (x_train, y_train, x_test, y_test)",
            )
        try:
            value = function()
        except Exception as error:
            raise DataError(
                f"{name} failed: {type(error).__name__}: {error}",
                hint="call it by itself to see where",
            ) from error
        return from_user(value, name=attribute, layout=layout)
    raise DataError(
        f"unknown data set {name!r}",
        hint=f"one of {', '.join(sorted(named))}, or your own as file.py:function",
    )


def load_module(path: Path) -> ModuleType:
    """Import a Python file that the user named.

    Raises:
        InputError: it is missing or fails while it is imported.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}", hint="check the path before the colon")
    name = f"{USER}{path.stem}_{abs(hash(str(path.resolve())))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is not a Python file", hint="give file.py:Name")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise InputError(
            f"{path} can't be imported: {type(error).__name__}: {error}",
            hint=f"python {path} shows where",
        ) from error
    finally:
        sys.path.pop(0)
    return module


def attribute_of(path: Path, attribute: str) -> Any:
    """What a Python file defines under a name; an :class:`InputError` lists what it has."""
    module = load_module(path)
    try:
        return getattr(module, attribute)
    except AttributeError:
        own = [
            n
            for n, v in vars(module).items()
            if callable(v) and getattr(v, "__module__", None) == module.__name__
        ]
        raise InputError(
            f"{path} has no {attribute!r}", hint=f"it has: {', '.join(own) or 'nothing callable'}"
        ) from None
