"""Data sets: the named ones, and the user's own from ``file.py:function``.

A :class:`Dataset` holds float32 arrays with the channels last, whatever the source: layouts are
stated by the source and turned here, once.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.errors import DataError, InputError

Array = npt.NDArray[Any]

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


def load(name: str, *, layout: str = "channels-last") -> Dataset:
    """Load a data set.

    Args:
        name: ``digits``, ``mnist``, ``cifar10-subset``, ``har-subset``, or
            ``file.py:function`` where the function takes nothing and returns a
            :class:`Dataset`, a dict, or ``(x_train, y_train, x_test, y_test)`` with arrays,
            torch Datasets or DataLoaders (see :func:`from_user`).
        layout: how the user's own arrays are laid out, ``channels-first`` (torch) or
            ``channels-last``; never guessed. Named data sets know their own.

    Raises:
        DataError: unknown name, missing file, or data of a form that isn't understood.
    """
    if layout not in LAYOUTS:
        raise InputError(f"unknown layout {layout!r}", hint=f"one of {', '.join(LAYOUTS)}")
    from bridge.data_standin import STAND_INS
    from bridge.datasets import NAMED

    named = {**NAMED, **STAND_INS}
    if name in named:
        return named[name]()
    if ":" in name:
        file, _, attribute = name.rpartition(":")
        function = attribute_of(Path(file), attribute)
        if not callable(function):
            raise DataError(f"{name} is not a function")
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
    name = f"_bridge_user_{path.stem}_{abs(hash(str(path.resolve())))}"
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


def from_user(value: Any, *, name: str, layout: str) -> Dataset:
    """Turn what a user's function returned into a :class:`Dataset`.

    Args:
        value: a :class:`Dataset` (taken as it is), a mapping with ``x_train``, ``y_train``,
            ``x_test``, ``y_test`` (labels and test part optional) and optionally ``task``; a
            tuple of those four; a pair ``(train, test)`` of torch Datasets or DataLoaders; or
            one of either, of which every fifth sample becomes the test part.
        name: what to call it.
        layout: of the arrays: ``channels-first`` or ``channels-last``.
    """
    if isinstance(value, Dataset):
        return value
    task = ""
    if isinstance(value, Mapping):
        unknown = set(value) - {"x_train", "y_train", "x_test", "y_test", "task", "note"}
        if unknown or "x_train" not in value:
            raise DataError(
                f"{name} returned a dict with {sorted(value)}",
                hint="keys: x_train, y_train, x_test, y_test and optionally task, note",
            )
        task = value.get("task", "")
        parts = [value.get(k) for k in ("x_train", "y_train", "x_test", "y_test")]
    elif isinstance(value, (tuple, list)) and len(value) == 4:
        parts = list(value)
    elif isinstance(value, (tuple, list)) and len(value) == 2 and _iterable(value[0]):
        parts = [*_collect(value[0], name), *_collect(value[1], name)]
    elif _iterable(value):
        parts = [*_collect(value, name), None, None]
    elif hasattr(value, "shape"):
        parts = [value, None, None, None]
    else:
        raise DataError(
            f"{name} returned a {type(value).__name__}",
            hint="return (x_train, y_train, x_test, y_test), a dict of these, "
            "torch Datasets or DataLoaders",
        )
    x_train, y_train, x_test, y_test = parts
    x = _inputs(x_train, name, layout)
    y = _labels(y_train)
    if x_test is None:
        x, y, xt, yt = _split(x, y)
    else:
        xt, yt = _inputs(x_test, name, layout), _labels(y_test)
    for what, a, b in (("training", x, y), ("test", xt, yt)):
        counts = {len(i) for i in a} | ({len(b)} if len(b) else set())
        if len(counts) != 1 or 0 in counts:
            raise DataError(f"{name}: the {what} part has {sorted(counts)} samples and labels")
    if not task:
        task = _task(x, y)
    if task not in TASKS:
        raise DataError(f"{name}: unknown task {task!r}", hint=f"one of {', '.join(TASKS)}")
    return Dataset(
        name, x if len(x) > 1 else x[0], y, xt if len(xt) > 1 else xt[0], yt, task, "user's own"
    )


def _task(x: tuple[Array, ...], y: Array) -> str:
    if not len(y):
        return "none"
    if np.issubdtype(y.dtype, np.integer) and y.ndim == 1:
        return "classification"
    return "reconstruction" if y.shape == x[0].shape and np.array_equal(y, x[0]) else "regression"


def _iterable(value: Any) -> bool:
    """Whether a value is a torch Dataset or DataLoader (without importing torch)."""
    return any(
        c.__name__ in ("Dataset", "DataLoader") and c.__module__.startswith("torch")
        for c in type(value).__mro__
    )


def _collect(source: Any, name: str) -> tuple[Any, Any]:
    """All samples of a torch Dataset or DataLoader as two arrays (or tuples of arrays)."""
    from torch.utils.data import DataLoader

    loader = source if isinstance(source, DataLoader) else DataLoader(source, batch_size=256)
    xs: list[tuple[Array, ...]] = []
    ys: list[Array] = []
    for batch in loader:
        if isinstance(batch, (tuple, list)) and len(batch) >= 2:
            *inputs, label = batch
            if len(inputs) == 1 and isinstance(inputs[0], (tuple, list)):
                inputs = list(inputs[0])
            ys.append(np.asarray(label))
        elif hasattr(batch, "shape"):
            inputs = [batch]
        else:
            raise DataError(
                f"{name} yields {type(batch).__name__}", hint="samples are (input, label)"
            )
        xs.append(tuple(np.asarray(i) for i in inputs))
    if not xs:
        raise DataError(f"{name} is empty")
    columns = tuple(np.concatenate(c) for c in zip(*xs, strict=True))
    return (columns if len(columns) > 1 else columns[0]), (np.concatenate(ys) if ys else None)


def _inputs(value: Any, name: str, layout: str) -> tuple[Array, ...]:
    arrays = value if isinstance(value, (tuple, list)) else (value,)
    result = []
    for array in arrays:
        try:
            a = np.asarray(array, dtype=np.float32)
        except (TypeError, ValueError):
            raise DataError(f"{name}: the samples are not numbers") from None
        if a.ndim < 2:
            raise DataError(f"{name}: samples need a batch axis, got shape {a.shape}")
        if not np.isfinite(a).all():
            raise DataError(f"{name}: the samples hold NaN or infinity")
        if layout == "channels-first" and a.ndim > 2:
            a = np.moveaxis(a, 1, -1)
        result.append(np.ascontiguousarray(a))
    return tuple(result)


def _labels(value: Any) -> Array:
    if value is None:
        return np.zeros((0,), np.int64)
    y = np.asarray(value)
    return y.astype(np.int64 if np.issubdtype(y.dtype, np.integer) else np.float32)


def _split(x: tuple[Array, ...], y: Array) -> tuple[tuple[Array, ...], Array, Any, Array]:
    test = np.arange(len(x[0])) % 5 == 4
    if not test.any():
        return x, y, x, y
    xt = tuple(a[test] for a in x)
    x = tuple(a[~test] for a in x)
    return (x, y[~test], xt, y[test]) if len(y) else (x, y, xt, y)
