"""The bundle: whole or not there, and never somebody else's folder."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bridge.bundle import MODEL, Bundle, BundleWriter, write_atomic
from bridge.errors import BundleError


def test_an_interrupted_run_leaves_the_previous_bundle(tmp_path):
    target = tmp_path / "out"
    writer = BundleWriter(target, "a")
    writer.write("model.bin", b"first")
    writer.commit()
    broken = BundleWriter(target, "b")
    broken.write("model.bin", b"second")
    broken.finish_stage("one", result=1)
    assert (Bundle.open(target).path / "model.bin").read_bytes() == b"first"
    again = BundleWriter(target, "b")
    assert again.finished("one") == {"result": 1}
    assert again.path("model.bin").read_bytes() == b"second"
    again.commit()
    assert (Bundle.open(target).path / "model.bin").read_bytes() == b"second"
    assert not again.work.exists()


def test_a_run_cut_between_the_two_renames_loses_nothing(tmp_path, monkeypatch):
    target = tmp_path / "out"
    writer = BundleWriter(target, "a")
    writer.write("model.bin", b"first")
    writer.commit()
    kept = tmp_path / "out.old"
    kept.mkdir()
    (kept / "mine.txt").write_text("a folder of the user's")
    second = BundleWriter(target, "b")
    second.write("model.bin", b"second")
    moves = []

    def cut(source, destination):
        moves.append(source)
        if len(moves) == 3:  # the manifest, the previous bundle away, and then the new one
            raise KeyboardInterrupt
        rename(source, destination)

    rename = os.replace
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", cut)
        with pytest.raises(KeyboardInterrupt):
            second.commit()
    assert not target.exists()
    assert (Bundle.open(target).path / "model.bin").read_bytes() == b"first"
    third = BundleWriter(target, "b")
    third.write("model.bin", b"third")
    assert (third.commit().path / "model.bin").read_bytes() == b"third"
    assert (kept / "mine.txt").is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "out.old"]


def test_another_key_or_a_changed_file_starts_anew(tmp_path):
    target = tmp_path / "out"
    writer = BundleWriter(target, "a")
    writer.write("x", b"1")
    writer.finish_stage("one")
    assert BundleWriter(target, "b").finished("one") is None
    writer = BundleWriter(target, "c")
    writer.write("x", b"1")
    writer.finish_stage("one")
    writer.path("x").write_bytes(b"changed")
    assert BundleWriter(target, "c").finished("one") is None


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"precious")
    with pytest.raises(BundleError, match="no bundle of ours"):
        BundleWriter(tmp_path, "a")
    assert (tmp_path / "photo.jpg").read_bytes() == b"precious"


def test_missing_damaged_and_changed_bundles_are_refused(tmp_path):
    with pytest.raises(BundleError, match="is not a bundle"):
        Bundle.open(tmp_path)
    writer = BundleWriter(tmp_path / "out", "a")
    writer.write("x", b"1")
    bundle = writer.commit()
    (bundle.path / "x").write_bytes(b"2")
    with pytest.raises(BundleError, match="was changed"):
        Bundle.open(bundle.path)
    (bundle.path / "bridge.json").write_text("{")
    with pytest.raises(BundleError, match="damaged"):
        Bundle.open(bundle.path)


def test_atomic_write_leaves_nothing_behind(tmp_path):
    write_atomic(tmp_path / "a" / "b.txt", "text")
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b.txt"]


RECORD = """
import sys
from pathlib import Path
from bridge.bundle import Bundle
for turn in range(60):
    bundle = Bundle.open(Path(sys.argv[1]))
    with bundle.turn():
        again = bundle.add({"both.txt": sys.argv[2] * 50_000})
        again.add({"copy.txt": (again.path / "both.txt").read_text()})
    bundle.add({f"{sys.argv[2]}.txt": str(turn)})
"""


def test_processes_that_record_at_the_same_time_take_turns(tmp_path):
    """Each opens the bundle while the other writes, and loses nothing that the other wrote."""
    target = tmp_path / "out"
    writer = BundleWriter(target, "a")
    writer.write("model.bin", b"first")
    writer.commit()
    command = [sys.executable, "-c", RECORD, str(target)]
    both = [subprocess.Popen([*command, name], stderr=subprocess.PIPE) for name in "ab"]
    for process in both:
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told.decode()
    found = Bundle.open(target)
    assert set(found.manifest["files"]) == {
        "model.bin", "both.txt", "copy.txt", "a.txt", "b.txt",
    }  # fmt: skip
    assert (target / "both.txt").read_text() == (target / "copy.txt").read_text()
    assert (target / "a.txt").read_text() == (target / "b.txt").read_text() == "59"


def test_nothing_is_recorded_in_another_conversions_bundle(tmp_path):
    target = tmp_path / "out"
    for key in "ab":
        writer = BundleWriter(target, key)
        writer.write("model.bin", key)
        made = writer.commit()
        if key == "a":
            opened = made
    with pytest.raises(BundleError, match="not the bundle any more"):
        opened.add({"bench.json": "[]"})
    assert not (target / "bench.json").exists()
    Bundle.open(target)


@pytest.mark.parametrize(("left", "words"), [("{", "is damaged"), (None, "it has no bridge.json")])
def test_a_manifest_that_cannot_be_read_is_called_so(tmp_path, left, words):
    writer = BundleWriter(tmp_path / "out", "a")
    writer.write("model.bin", b"1")
    bundle = writer.commit()
    manifest = bundle.path / "bridge.json"
    manifest.unlink() if left is None else manifest.write_text(left)
    with pytest.raises(BundleError, match=words) as caught:
        bundle.add({"bench.json": "[]"})
    assert caught.value.hint
    assert not (bundle.path / "bench.json").exists()


def test_the_network_of_a_bundle(tmp_path):
    writer = BundleWriter(tmp_path / "out", "a")
    writer.write(MODEL, b"TFL3")
    bundle = writer.commit()
    assert bundle.model() == b"TFL3"
    (bundle.path / MODEL).unlink()
    with pytest.raises(BundleError, match="holds no model_int8") as caught:
        bundle.model()
    assert str(bundle.path) in caught.value.hint


def test_a_place_that_cannot_be_written_is_the_users_to_change(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("where a folder should be")
    for write in (
        lambda: write_atomic(blocked / "a.txt", "text"),
        lambda: BundleWriter(blocked / "out", "key"),
    ):
        with pytest.raises(
            BundleError, match=r"can't write .*(File exists|Not a directory)"
        ) as caught:
            write()
        assert "permissions" in caught.value.hint
