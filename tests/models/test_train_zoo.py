"""The training script: every entry has a recipe, and a short training is repeatable."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bridge import zoo
from bridge.data import load_module

SCRIPT = load_module(Path(__file__).parents[2] / "scripts" / "train_zoo.py")


@pytest.fixture(autouse=True)
def torch_settings():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def run(out: Path, *arguments: str) -> bytes:
    assert SCRIPT.main([*arguments, "--epochs", "1", "--out", str(out)]) == 0
    return (out / zoo.find("lenet5").checkpoint).read_bytes()


def test_every_entry_has_a_recipe():
    assert set(SCRIPT.RECIPES) == {f"{entry.name}/{entry.dataset}" for entry in zoo.ZOO}
    for recipe in SCRIPT.RECIPES.values():
        assert not recipe.sizes or sum(n for _, n in recipe.sizes) == recipe.epochs


def test_same_seed_same_bytes(tmp_path, capsys):
    first = run(tmp_path / "a", "lenet5/digits")
    assert run(tmp_path / "b", "lenet5/digits") == first
    assert run(tmp_path / "c", "lenet5/digits", "--seed", "1") != first
    assert "epoch 1/1" in capsys.readouterr().out
    # Nothing but the finished file: it was written beside and renamed.
    assert [p.name for p in (tmp_path / "a" / "checkpoints").iterdir()] == ["lenet5_digits.pt"]


def test_a_training_learns(tmp_path):
    run(tmp_path, "lenet5/digits")
    state = torch.load(tmp_path / zoo.find("lenet5").checkpoint, weights_only=True)
    network = zoo.network(zoo.find("lenet5"), trained=False)
    network.load_state_dict(state)
    from bridge import data

    assert zoo.measure(network, data.load("digits")) > 0.3  # chance is 0.1


def test_unknown_name_is_refused(capsys):
    with pytest.raises(SystemExit) as caught:
        SCRIPT.main(["lenet6"])
    assert caught.value.code == 2
    assert "lenet6" in capsys.readouterr().err


def test_missing_data_folder_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        SCRIPT.main(["har_cnn", "--data", str(tmp_path / "none"), "--out", str(tmp_path)])
    assert caught.value.code == 2
    assert "none" in capsys.readouterr().err
    assert not (tmp_path / "checkpoints").exists()
