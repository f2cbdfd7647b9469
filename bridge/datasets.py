"""The named data sets: one ships inside scikit-learn, the others are looked for on this machine.

Nothing is downloaded. Each .npz is looked for in the folder that ``BRIDGE_DATA`` names, in ``data``
of the user's cache folder (``~/.cache/tflm-bridge``), in the Keras cache (``~/.keras/datasets``),
and, in a checkout, in ``shared/data`` beside it.
"""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bridge.data import Array, Dataset
from bridge.errors import DataError
from bridge.paths import cache_folder, checkout

_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def digits() -> Dataset:
    """scikit-learn's 1,797 handwritten digits, 8×8 enlarged bilinearly to 28×28, in [0, 1]."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = _resize(bunch.images.astype(np.float32) / 16.0, 28)[..., None]
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = images[order], bunch.target[order].astype(np.int64)
    return Dataset(
        "digits",
        images[:1400],
        labels[:1400],
        images[1400:],
        labels[1400:],
        note="UCI optical recognition of handwritten digits, inside scikit-learn, "
        "8×8 enlarged to 28×28",
    )


def _resize(images: Array, size: int) -> Array:
    """Bilinear with half-pixel centres; [N, h, w] → [N, size, size]."""
    rows, columns = interpolation(images.shape[1], size), interpolation(images.shape[2], size)
    resized: Array = rows @ images @ columns.T
    return resized


def interpolation(length: int, size: int) -> Array:
    """The float32 matrix [size, length] of linear resampling with half-pixel centres."""
    at = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, length - 1)
    matrix = np.zeros((size, length), np.float32)
    matrix[np.arange(size), low] += 1 - (at - low)
    matrix[np.arange(size), high] += at - low
    return matrix


def _keras_cache() -> Path:
    return Path.home() / ".keras" / "datasets"


def _folders() -> tuple[Path, ...]:
    """Where a data file may lie, in the order in which it is looked for."""
    named, root = os.environ.get("BRIDGE_DATA"), checkout()
    return (
        *((Path(named),) if named else ()),
        cache_folder() / "data",
        _keras_cache(),
        *((root.parent / "shared" / "data",) if root is not None else ()),
    )


def _file(name: str, file: str, sample: str) -> Path:
    """Find a data file; ``sample`` says what one is like, for users who make their own."""
    found = next((f / file for f in _folders() if (f / file).is_file()), None)
    if found is not None:
        return found
    raise DataError(
        f"the data set {name} is not on this machine ({file} was looked for)",
        hint=f"put {file} ({', '.join(_ARRAYS)}; samples {sample}) into {cache_folder() / 'data'}, "
        "or name its folder in BRIDGE_DATA; 'digits' needs no file",
    )


def _read(path: Path) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {k: archive[k] for k in _ARRAYS}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path} can't be read as .npz with {', '.join(_ARRAYS)}: {error}",
            hint="put a whole copy of the file there",
        ) from None


def mnist() -> Dataset:
    """MNIST, 60,000 + 10,000 digits, 28×28×1 in [0, 1]."""
    d = _read(_file("mnist", "mnist.npz", "uint8 28×28, as tf_keras.datasets.mnist has it"))
    return Dataset(
        "mnist",
        d["x_train"].astype(np.float32)[..., None] / 255.0,
        d["y_train"].astype(np.int64),
        d["x_test"].astype(np.float32)[..., None] / 255.0,
        d["y_test"].astype(np.int64),
        note="MNIST, LeCun et al. 1998",
    )


def cifar10_subset() -> Dataset:
    """A class-balanced part of CIFAR-10: 15,000 + 5,000 colour images 32×32×3 in [0, 1]."""
    d = _read(_file("cifar10-subset", "cifar10_subset.npz", "uint8 32×32×3"))
    return Dataset(
        "cifar10-subset",
        d["x_train"].astype(np.float32) / 255.0,
        d["y_train"].astype(np.int64),
        d["x_test"].astype(np.float32) / 255.0,
        d["y_test"].astype(np.int64),
        note="a class-balanced subset of CIFAR-10, Krizhevsky 2009",
    )


def cifar10() -> Dataset:
    """All of CIFAR-10 as Keras keeps it: 50,000 + 10,000 colour images 32×32×3 in [0, 1]."""
    folder = "cifar-10-batches-py"
    cache = _keras_cache()
    places = (cache / folder, cache / f"{folder}-target" / folder, cache / f"{folder}.tar.gz")
    place = next((p for p in places if p.exists()), None)
    if place is None:
        raise DataError(
            f"the full CIFAR-10 is not on this machine ({places[0]} was looked for)",
            hint="tf_keras.datasets.cifar10.load_data() puts it there; 'cifar10-subset' is a part",
        )
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    try:
        batches = [_cifar_batch(place, f"{folder}/{name}") for name in names]
    except (OSError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise DataError(
            f"{place} can't be read as CIFAR-10: {error}",
            hint="delete it and let tf_keras.datasets.cifar10.load_data() bring it again",
        ) from None
    images, labels = (np.concatenate(parts) for parts in zip(*batches[:-1], strict=True))
    return Dataset("cifar10", images, labels, *batches[-1], note="CIFAR-10, Krizhevsky 2009")


class _Arrays(pickle.Unpickler):
    """Reads numbers, names and byte arrays; a pickle that asks for anything else is refused."""

    def find_class(self, module: str, name: str) -> Any:
        known = (
            *(("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")),
            *((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")),
        )
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def _cifar_batch(place: Path, name: str) -> tuple[Array, Array]:
    """One pickled batch, of a folder or an archive: images [N, 32, 32, 3] in [0, 1], labels."""
    if place.is_dir():
        content = (place / Path(name).name).read_bytes()
    else:
        with tarfile.open(place) as archive:
            member = archive.extractfile(name)
            content = member.read() if member is not None else b""
    batch = _Arrays(io.BytesIO(content), encoding="bytes").load()
    images = np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images, np.float32) / 255.0, np.asarray(batch[b"labels"], np.int64)


def har_subset() -> Dataset:
    """A third of UCI HAR: 2,400 + 950 windows of 128 steps × 9 sensor channels, 6 activities."""
    d = _read(_file("har-subset", "uci_har_subset.npz", "float 128×9"))
    return Dataset(
        "har-subset",
        d["x_train"].astype(np.float32),
        d["y_train"].astype(np.int64),
        d["x_test"].astype(np.float32),
        d["y_test"].astype(np.int64),
        note="a class-proportional third of UCI HAR, Anguita et al. 2013",
    )


NAMED: dict[str, Callable[[], Dataset]] = {
    "digits": digits,
    "mnist": mnist,
    "cifar10": cifar10,
    "cifar10-subset": cifar10_subset,
    "har-subset": har_subset,
}
"""Every named data set, by name."""
