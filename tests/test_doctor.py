"""Doctor: every part by its name, and what brings a missing one."""

from __future__ import annotations

import shutil

from bridge.compile.cmsis import BASIC
from bridge.doctor import _distribution, checks
from bridge.emulate import plugin
from bridge.firmware.tflm_library import LIBRARY
from bridge.paths import tflm_project
from bridge.toolchain import PACKAGES
from tests.firmware.test_cmsis_nn import archive, fake_tflm


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


def test_each_library_is_told_with_the_cores_it_serves(monkeypatch, tmp_path):
    monkeypatch.delenv("CMSIS_NN_ROOT", raising=False)
    root = fake_tflm(tmp_path / "root", "cortex-m4", BASIC)
    archive(root / "lib/m55", "cortex-m55", {"f0"}, LIBRARY)
    archive(root / "lib/spare", "cortex-m55", {"f0"}, LIBRARY)
    (root / "lib/text").mkdir()
    (root / "lib/text" / LIBRARY).write_text("no archive")
    monkeypatch.setenv("TFLM_ROOT", str(root))
    found = by_name()
    assert found["TFLM_ROOT"].ok
    for part in ("lib: cortex-m4", "lib/m55: cortex-m55", "lib/spare: for no core here",
                 "lib/text: for no core here"):  # fmt: skip
        assert part in found["TFLM_ROOT"].detail
    kernels = found["CMSIS-NN"].detail
    assert "(inside the library of TFLM (commit unknown), lib) for cortex-m4" in kernels
    assert "(bakenn wheel) for cortex-m0, cortex-m3, cortex-m7, cortex-m33, cortex-m55" in kernels


def test_a_root_that_serves_no_core_is_not_ticked(monkeypatch, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / LIBRARY).write_text("no archive")
    monkeypatch.setenv("TFLM_ROOT", str(tmp_path))
    found = by_name()["TFLM_ROOT"]
    assert not found.ok
    assert "lib: for no core here" in found.detail
    assert "cortex-m4+fp" in found.remedy


def test_a_plugin_that_qemu_refuses_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(plugin, "tflm_project", lambda: tmp_path)
    source = (tflm_project() / "plugin" / "count.c").read_text()
    version = "qemu_plugin_version = 1;"
    assert version in source
    (tmp_path / "plugin").mkdir()
    (tmp_path / "plugin" / "count.c").write_text(
        source.replace(version, version.replace("1", "99"))
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = by_name()["counting plugin"]
    assert not found.ok
    assert "plugin requires API version 99" in found.detail
    assert "--enable-plugins" in found.remedy


def test_without_git_doctor_still_answers(monkeypatch, tmp_path):
    root = fake_tflm(tmp_path / "root", "cortex-m4", BASIC)
    for tool in ("cmake", "arm-none-eabi-readelf", "arm-none-eabi-nm"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    monkeypatch.setenv("TFLM_ROOT", str(root))
    monkeypatch.setenv("PATH", str(tmp_path))
    found = by_name()
    assert "lib: cortex-m4" in found["TFLM_ROOT"].detail
    assert "TFLM (commit unknown)" in found["CMSIS-NN"].detail
