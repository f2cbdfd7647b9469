"""Kernel libraries that are compiled once: the same firmware, and never one of other origin."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.compile import compile_graph
from bridge.elf import sections
from bridge.firmware.build import _library, _make, build_c, under_test_header
from bridge.firmware.kept import keep
from bridge.graph import read_tflite
from tests.compile.networks import int8_model, lenet


def test_other_sources_or_flags_make_another_library(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    source = tmp_path / "a.c"
    made = []

    def make(folder: Path) -> Path:
        made.append(folder)
        (folder / "lib.a").write_text(source.read_text())
        return folder / "lib.a"

    def kept(flags: str) -> Path:
        return keep("firmware", "name", flags, [source], make)

    source.write_text("one")
    first = kept("-O3")
    assert kept("-O3") == first
    assert first.read_text() == "one"
    assert len(made) == 1
    assert kept("-Os") != first
    source.write_text("two")
    assert kept("-O3").read_text() == "two"
    assert len(made) == 3
    assert sorted(p.suffix for p in first.parent.iterdir()) == [".a"] * 3, "nothing half is left"


@pytest.mark.emulated
def test_a_firmware_is_the_same_with_a_kept_library_as_from_sources(tmp_path):
    graph = read_tflite(int8_model(lenet, (12, 14, 1), sparsity=0.9))
    program = compile_graph(graph, engine="c-sparse", core="cortex-m7")
    kept = build_c(program, "cortex-m7", tmp_path / "kept").elf
    files = {**program.files, "model_under_test.h": under_test_header(program)}
    generated = tmp_path / "sources" / "generated"
    generated.mkdir(parents=True)
    for name, content in files.items():
        (generated / name).write_text(content)
    options = {
        "BRIDGE_APP": "c", "BRIDGE_GENERATED": str(generated), "BRIDGE_LIBRARIES": "sparse_nn",
        "BRIDGE_DEFINES": ";".join(program.defines),
    }  # fmt: skip
    fresh = _make("cortex-m7", "firmware", options, tmp_path / "sources" / "build")
    assert sections(kept) == sections(fresh / "firmware.elf")


@pytest.mark.emulated
def test_cores_and_definitions_have_libraries_of_their_own():
    libraries = {
        _library("sparse_nn", core, defines)
        for core in ("cortex-m4", "cortex-m7")
        for defines in ("", "SNN_CHECKED")
    }
    assert len(libraries) == 4
