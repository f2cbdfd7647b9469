"""Data in all the forms that a user's function may return."""

from __future__ import annotations

import pickle
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from bridge import data, datasets
from bridge.data_user import from_user
from bridge.errors import DataError, InputError

X = np.arange(20 * 3 * 4 * 5, dtype=np.float32).reshape(20, 3, 4, 5)
Y = np.arange(20) % 4


def user(value: Any, layout: str | None = "channels-first") -> data.Dataset:
    return from_user(value, name="mine", layout=layout)


def test_arrays_channels_first_become_last() -> None:
    d = user((X, Y, X[:5], Y[:5]))
    assert d.train_inputs[0].shape == (20, 4, 5, 3)
    assert np.array_equal(d.train_inputs[0][2, 1, 3], X[2, :, 1, 3])
    assert d.task == "classification"


def test_channels_last_stay() -> None:
    d = user((X, Y, X[:5], Y[:5]), layout="channels-last")
    assert np.array_equal(d.train_inputs[0], X)


def test_layout_is_stated_never_guessed() -> None:
    with pytest.raises(DataError, match="samples of 3×4×5, and nothing says") as caught:
        user((X, Y, X, Y), layout=None)
    assert "--layout channels-first" in caught.value.hint
    stated = user({"x_train": X, "y_train": Y, "layout": "channels-first"}, layout=None)
    assert stated.train_inputs[0].shape == (16, 4, 5, 3)
    assert user((X.reshape(20, 60), Y, X[:5].reshape(5, 60), Y[:5]), layout=None).task
    with pytest.raises(InputError, match="NHWC"):
        user({"x_train": X, "layout": "NHWC"})


def test_dataset_and_loader_agree() -> None:
    pairs = TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    whole = user((pairs, pairs))
    loaded = user((DataLoader(pairs, batch_size=3), DataLoader(pairs, batch_size=7)))
    assert np.array_equal(whole.train_inputs[0], loaded.train_inputs[0])
    assert np.array_equal(whole.y_train, loaded.y_test)


def test_one_part_is_split() -> None:
    d = user({"x_train": X, "y_train": Y})
    assert len(d.train_inputs[0]) == 16
    assert len(d.test_inputs[0]) == len(d.y_test) == 4


def test_without_labels() -> None:
    assert user({"x_train": X}).task == "none"
    assert user((X[:, 0, 0], X[:, 0, 0], X[:2, 0, 0], X[:2, 0, 0])).task == "reconstruction"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "NoneType"),
        ({"images": X}, "dict with"),
        ((X, Y[:7], X, Y), "training part"),
        ((X * np.nan, Y, X, Y), "NaN"),
        ((["a"], [1], ["b"], [2]), "not numbers"),
        ({"x_train": X, "y_train": Y, "task": "segmentation"}, "unknown task"),
    ],
)
def test_what_cannot_be_used(value: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        user(value)


def test_digits_are_what_they_say() -> None:
    d = data.load("digits")
    assert d.train_inputs[0].shape == (1400, 28, 28, 1)
    assert d.test_inputs[0].shape == (397, 28, 28, 1)
    assert 0 <= d.train_inputs[0].min() < d.train_inputs[0].max() <= 1
    assert set(d.y_test) == set(range(10))


def cifar_in_keras_cache(home: Any, *, archive: bool) -> np.ndarray:
    """Twelve made-up pictures, as Keras keeps CIFAR-10: pickled batches of planes."""
    folder = home / ".keras" / "datasets" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 2, 3072), np.uint8)
    for pair, name in zip(
        pixels, [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"], strict=True
    ):
        batch = {b"data": pair, b"labels": [3, 7]}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    if archive:
        with tarfile.open(folder.with_name(f"{folder.name}.tar.gz"), "w:gz") as out:
            out.add(folder, folder.name)
        shutil.rmtree(folder)
    return pixels


@pytest.mark.parametrize("archive", [False, True])
def test_the_full_cifar10_comes_from_the_keras_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: bool
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DataError, match="full CIFAR-10 is not on this machine"):
        data.load("cifar10")
    pixels = cifar_in_keras_cache(tmp_path, archive=archive)
    d = data.load("cifar10")
    assert d.train_inputs[0].shape == (10, 32, 32, 3)
    assert d.test_inputs[0].shape == (2, 32, 32, 3)
    pixel = pixels[1, 1, 2 * 1024 + 4 * 32 + 5] / 255
    assert d.train_inputs[0][3, 4, 5, 2] == pytest.approx(pixel, rel=1e-6)
    assert list(d.y_test) == [3, 7]


def test_a_pickle_that_wants_more_than_arrays_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    cifar_in_keras_cache(tmp_path, archive=False)
    batch = tmp_path / ".keras" / "datasets" / "cifar-10-batches-py" / "data_batch_1"
    batch.write_bytes(pickle.dumps(pickle.Unpickler, protocol=2))
    with pytest.raises(DataError, match=r"asks for pickle\.Unpickler"):
        data.load("cifar10")


@pytest.mark.parametrize("place", ["named", "cache/tflm-bridge/data", ".keras/datasets"])
def test_a_data_file_is_found_where_the_error_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("BRIDGE_DATA", str(tmp_path / "named"))
    monkeypatch.setattr(datasets, "checkout", lambda: None)  # as installed from a wheel
    with pytest.raises(DataError, match=r"uci_har_subset\.npz was looked for") as caught:
        data.load("har-subset")
    for word in ("x_train", "float 128×9", str(tmp_path / "cache"), "BRIDGE_DATA", "digits"):
        assert word in caught.value.hint
    (tmp_path / place).mkdir(parents=True)
    windows, labels = np.zeros((6, 128, 9), np.float32), np.arange(6)
    file = tmp_path / place / "uci_har_subset.npz"
    np.savez(file, x_train=windows, y_train=labels, x_test=windows, y_test=labels)
    assert data.load("har-subset").train_inputs[0].shape == (6, 128, 9)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DataError, match="can't be read") as caught:
        data.load("har-subset")
    assert caught.value.hint
