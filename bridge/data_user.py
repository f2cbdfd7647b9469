"""Data of the user's own, as arrays, torch Datasets or DataLoaders, turned into a Dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bridge.data import LAYOUTS, TASKS, Array, Dataset
from bridge.errors import DataError, InputError


def known_layout(layout: str | None) -> None:
    """Refuse a layout that isn't one."""
    if layout is not None and layout not in LAYOUTS:
        raise InputError(f"unknown layout {layout!r}", hint=f"one of {', '.join(LAYOUTS)}")


def from_user(value: Any, *, name: str, layout: str | None) -> Dataset:
    """Turn what a user's function returned into a :class:`Dataset`.

    Args:
        value: a :class:`Dataset` (taken as it is), a mapping with ``x_train``, ``y_train``,
            ``x_test``, ``y_test`` (labels and test part optional) and optionally ``task`` and
            ``layout``; a tuple of those four; a pair ``(train, test)`` of torch Datasets or
            DataLoaders; or one of either, of which every fifth sample becomes the test part.
        name: what to call it.
        layout: of the arrays: ``channels-first`` or ``channels-last``; may be None only where
            samples are flat or the dict says it.
    """
    if isinstance(value, Dataset):
        return value
    task = ""
    if isinstance(value, Mapping):
        unknown = set(value) - {"x_train", "y_train", "x_test", "y_test", "task", "layout", "note"}
        if unknown or "x_train" not in value:
            raise DataError(
                f"{name} returned a dict with {sorted(value)}",
                hint="keys: x_train, y_train, x_test, y_test and optionally task, layout, note",
            )
        task = value.get("task", "")
        layout = value.get("layout", layout)
        known_layout(layout)
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
            raise DataError(
                f"{name}: the {what} part has {sorted(counts)} samples and labels",
                hint="give at least one sample, and one label for each",
            )
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
        raise DataError(f"{name} is empty", hint="it must yield at least one (input, label)")
    columns = tuple(np.concatenate(c) for c in zip(*xs, strict=True))
    return (columns if len(columns) > 1 else columns[0]), (np.concatenate(ys) if ys else None)


def _inputs(value: Any, name: str, layout: str | None) -> tuple[Array, ...]:
    arrays = value if isinstance(value, (tuple, list)) else (value,)
    result = []
    for array in arrays:
        try:
            a = np.asarray(array, dtype=np.float32)
        except (TypeError, ValueError):
            raise DataError(
                f"{name}: the samples are not numbers",
                hint="give one array of numbers per input, all samples of one shape",
            ) from None
        if a.ndim < 2:
            raise DataError(
                f"{name}: samples need a batch axis, got shape {a.shape}",
                hint="stack the samples along a first axis: [N, …]",
            )
        if not np.isfinite(a).all():
            raise DataError(
                f"{name}: the samples hold NaN or infinity",
                hint="leave such samples out, or replace the values, before they are returned",
            )
        if layout is None and a.ndim > 2:
            raise DataError(
                f"{name} gives samples of {'×'.join(map(str, a.shape[1:]))}, and nothing says "
                "where their channels are",
                hint="say --layout channels-first (PyTorch's) or --layout channels-last",
            )
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
