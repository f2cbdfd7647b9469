"""A second export: ours is replaced, the user's stays, and both are said."""

from __future__ import annotations

import hashlib
import json

import pytest
from typer.testing import CliRunner

from bridge.cli import app
from bridge.errors import BundleError, InputError, ModelError
from bridge.package import ENGINES, TARGETS, export
from bridge.package.place import MANIFEST, place


def contents(folder):
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@pytest.mark.parametrize("target", TARGETS)
def test_the_same_input_gives_the_same_files(bundle, tmp_path, target):
    engine = "c-sparse" if target == "plain" else "tflm"
    for name in ("one", "two"):
        export(bundle, tmp_path / name, to=target, engine=engine)
    one = contents(tmp_path / "one")
    assert one == contents(tmp_path / "two")
    assert {"README.md", "LICENSE", "src/net_settings.h", "examples/net/net.c"} <= one.keys()
    again = export(bundle, tmp_path / "one", to=target, engine=engine)
    assert again.placed.written == again.placed.removed == again.placed.beside == ()
    assert contents(tmp_path / "one") == one


def test_the_manifest_knows_every_file(bundle, tmp_path):
    export(bundle, tmp_path, to="esp-idf", engine="tflm-sparse")
    found = contents(tmp_path)
    told = json.loads(found.pop(MANIFEST))["files"]
    assert told == {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}


def test_a_users_edit_stays_and_is_said(bundle, tmp_path):
    call = ["export", str(bundle), "--to", "plain", "--into", str(tmp_path)]
    assert CliRunner().invoke(app, call).exit_code == 0
    (tmp_path / "mine.c").write_text("int mine;\n")
    example = tmp_path / "examples/net/net.c"
    edited = example.read_text() + "/* my sensor */\n"
    example.write_text(edited)
    (tmp_path / "src/net_settings.h").unlink()
    result = CliRunner().invoke(app, [*call, "--engine", "tflm"])
    assert result.exit_code == 0, result.output
    assert example.read_text() == edited
    assert "examples/net/net.c was changed by you and stays" in result.output
    assert (tmp_path / "mine.c").read_text() == "int mine;\n"
    assert (tmp_path / "src/net_settings.h").is_file()
    assert (tmp_path / "src/net_run.cpp").is_file()
    assert not (tmp_path / "src/net_run.c").exists(), "ours, of the other engine"
    assert not list(tmp_path.glob("src/snn_*"))


def test_files_of_the_users_under_our_names_are_not_taken(bundle, tmp_path):
    (tmp_path / "README.md").write_text("my firmware\n")
    done = export(bundle, tmp_path, to="plain")
    assert (tmp_path / "README.md").read_text() == "my firmware\n"
    assert "tflm-bridge" in (tmp_path / "README.md.new").read_text()
    assert done.placed.beside == ("README.md",)


def first(tmp_path):
    place(tmp_path, {"a.c": "one"}, {}, set())
    (tmp_path / "a.c").write_text("one, mine")
    return place(tmp_path, {"a.c": "two"}, {}, set())


def test_the_new_version_moved_into_place_is_ours_again(tmp_path):
    assert first(tmp_path).beside == ("a.c",)
    (tmp_path / "a.c.new").replace(tmp_path / "a.c")
    assert place(tmp_path, {"a.c": "three"}, {}, set()).written == ("a.c",)
    assert contents(tmp_path).keys() == {"a.c", MANIFEST}


def test_a_merged_file_stays_the_users_and_the_offer_goes(tmp_path):
    first(tmp_path)
    (tmp_path / "a.c").write_text("two")
    assert place(tmp_path, {"a.c": "two"}, {}, set()).removed == ("a.c.new",)


def test_nothing_is_written_where_an_offer_would_hit_the_users_file(tmp_path):
    first(tmp_path)
    (tmp_path / "a.c.new").write_text("two, mine")
    before = contents(tmp_path)
    with pytest.raises(InputError, match="changes of yours"):
        place(tmp_path, {"a.c": "three", "b.c": "new"}, {}, set())
    assert contents(tmp_path) == before


def test_what_is_no_longer_needed_goes_unless_edited(tmp_path):
    place(tmp_path, {"a.c": "one", "b.c": "one"}, {}, set())
    (tmp_path / "b.c").write_text("mine")
    done = place(tmp_path, {}, {}, set())
    assert (done.removed, done.kept) == (("a.c",), ("b.c",))


def test_two_networks_and_two_build_systems_share_a_package(bundle, tmp_path):
    export(bundle, tmp_path, to="plain", prefix="first", name="both")
    before = contents(tmp_path)
    done = export(bundle, tmp_path, to="zephyr", engine="c-sparse", prefix="second")
    after = contents(tmp_path)
    assert done.package.targets == ("plain", "zephyr")
    assert {"first", "second"} == {model.prefix for model in done.package.models}
    ours = [name for name in before if "first" in name]
    assert all(after[name] == before[name] for name in ours)
    for name in ("README.md", "CMakeLists.txt", "zephyr/Kconfig", "zephyr/CMakeLists.txt"):
        assert all(prefix in after[name].decode().lower() for prefix in ("first", "second"))


def test_bad_options(bundle, tmp_path):
    for options, told in (
        ({"to": "yocto"}, "no build system"),
        ({"to": "plain", "engine": "c-float"}, "can't be exported"),
        ({"to": "plain", "prefix": "2nd"}, "C names"),
        ({"to": "plain", "name": "Arduino_net"}, "can't name"),
        ({"to": "plain", "version": "1.0"}, "no version"),
    ):
        with pytest.raises(InputError, match=told):
            export(bundle, tmp_path / "out", **options)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="no folder"):
        export(bundle, tmp_path / "file", to="plain")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / MANIFEST).write_text("{")
    with pytest.raises(BundleError, match="damaged"):
        export(bundle, tmp_path / "damaged", to="plain")
    assert not (tmp_path / "out").exists()


def test_a_network_that_was_not_compressed(tmp_path):
    from bridge.convert.options import ConvertOptions
    from bridge.pipeline import convert
    from tests.compile.networks import int8_model

    def flat(layers, x):
        return layers.ReLU()(layers.MaxPooling2D()(x))

    (tmp_path / "flat.tflite").write_bytes(int8_model(flat, (8, 8, 2)))
    convert(ConvertOptions(str(tmp_path / "flat.tflite"), samples=5), tmp_path / "bundle")
    with pytest.raises(BundleError, match="compressed"):
        export(tmp_path / "bundle", tmp_path / "out", to="plain", engine="tflm-decode")
    with pytest.raises(ModelError, match="no layer"):
        export(tmp_path / "bundle", tmp_path / "out", to="plain", engine="tflm-sparse")
    assert set(ENGINES) == {"tflm", "tflm-decode", "tflm-sparse", "c-sparse", "c-compact"}
