"""Doctor: every part by its name, and what brings a missing one."""

from __future__ import annotations

from bridge.doctor import _distribution, checks
from bridge.toolchain import PACKAGES


def by_name():
    return {check.name: check for check in checks()}


def test_everything_is_here(monkeypatch):
    monkeypatch.delenv("TFLM_ROOT", raising=False)
    found = by_name()
    assert [name for name, check in found.items() if check.needed and not check.ok] == []
    assert not found["TFLM_ROOT"].ok
    assert "static library" in found["TFLM_ROOT"].remedy
    assert {"Python", "torch", "tensorflow", "bakenn", "counting plugin", "CMSIS-NN"} <= set(found)


def test_each_missing_part_has_a_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CMSIS_NN_ROOT", str(tmp_path))
    monkeypatch.setenv("TFLM_ROOT", str(tmp_path / "nowhere"))
    found = by_name()
    gone = {*PACKAGES, "newlib for Arm", "libstdc++ for Arm", "counting plugin", "CMSIS-NN"}
    for name in gone | {"TFLM_ROOT"}:
        assert not found[name].ok, name
        assert found[name].remedy, name
    assert "libnewlib" in found["newlib for Arm"].remedy
    assert "no folder" in found["TFLM_ROOT"].detail
    assert "CMSIS_NN_ROOT" in found["CMSIS-NN"].remedy


def test_a_version_that_does_not_work_is_told(monkeypatch):
    assert _distribution("numpy>=1.26,<2").ok
    wrong = _distribution("numpy>=99")
    assert not wrong.ok
    assert "pip install 'numpy>=99'" in wrong.remedy
    assert not _distribution("no-such-package>=1").ok
