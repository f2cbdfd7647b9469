"""Each ecosystem's metadata against its published rules; its own validator where one installs.

The rules that stand here in words come from: Arduino's library specification with the schemas of
arduino-lint (category, name, required fields), PlatformIO's library.json reference, Zephyr's
module-schema.yaml and zephyr_module.py, ESP-IDF's component manifest, Open-CMSIS-Pack's PACK.xsd.
Set PACK_XSD to that file (CMSIS-Toolbox brings it in etc/) to hold a package against all of it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from urllib.parse import urlparse
from xml.etree import ElementTree

import pytest
import yaml

from bridge.package import ENGINES, TARGETS, export
from bridge.paths import licence_text

SEMVER = r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
MODELS = ("c-compact", "c-sparse", "tflm", "tflm-decode", "tflm-sparse")


@pytest.fixture(scope="module")
def package(bundle, tmp_path_factory):
    """One folder for every build system, with a network for every engine."""
    folder = tmp_path_factory.mktemp("all")
    for engine in ENGINES:
        prefix = "net_" + engine.replace("-", "_")
        export(bundle, folder, to="plain", engine=engine, prefix=prefix, name="Net-4")
    for target in TARGETS:
        export(
            bundle, folder, to=target, engine="tflm", prefix="net_tflm",
            version="1.2.0", author="A. Nother", url="https://example.org/net",
        )  # fmt: skip
    return folder


def sources(package):
    return {f"src/{file.name}" for file in (package / "src").glob("*.c*")}


def properties(package):
    lines = (package / "library.properties").read_text().splitlines()
    assert all("=" in line for line in lines), "no empty lines, no comments needed"
    pairs = [line.split("=", 1) for line in lines]
    assert len(pairs) == len({key for key, _ in pairs})
    return dict(pairs)


def test_arduino_library_properties(package):
    found = properties(package)
    needed = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category"}
    assert needed | {"url", "architectures"} <= found.keys()
    assert found.keys() <= needed | {"url", "architectures", "includes", "dot_a_linkage"}
    assert all(found.values())
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_.\-]*", found["name"])
    assert len(found["name"]) <= 63
    assert re.fullmatch(SEMVER, found["version"])
    assert found["category"] in {
        "Display", "Communication", "Signal Input/Output", "Sensors", "Device Control", "Timing",
        "Data Storage", "Data Processing", "Other",
    }  # fmt: skip
    for key in ("name", "maintainer"):
        assert not found[key].lower().startswith("arduino")
    assert urlparse(found["url"]).scheme == "https"
    assert found["architectures"] == "*"
    assert found["dot_a_linkage"] in ("true", "false")
    assert found["sentence"] not in found["paragraph"], "it is shown before the paragraph"
    for header in found["includes"].split(","):
        assert (package / "src" / header).is_file()


def test_arduino_layout(package):
    """Sources in src/ alone, sketches named after their folder, no other folder's sources."""
    sketches = list((package / "examples").rglob("*.ino"))
    assert sketches
    for sketch in sketches:
        assert sketch.stem == sketch.parent.name
        others = {file.suffix for file in sketch.parent.iterdir()} - {".ino"}
        assert not others, "the IDE would compile them into the sketch"
    assert not list(package.glob("*.c*"))
    # arduino-builder takes only these; .cc is left out by older ones.
    assert {file.suffix for file in (package / "src").iterdir()} == {".c", ".cpp", ".h"}


def test_platformio_library_json(package):
    found = json.loads((package / "library.json").read_text())
    assert re.fullmatch(r"[^:;/,@<>]{1,100}", found["name"])
    assert re.fullmatch(SEMVER, found["version"])
    assert 1 <= len(found["description"]) <= 255
    assert all(re.fullmatch(r"[a-z\d\-_+. ]{1,50}", word) for word in found["keywords"])
    assert found["license"] == "Apache-2.0"
    assert found["authors"] == [{"name": "A. Nother"}]
    for header in found["headers"]:
        assert (package / "src" / header).is_file()
    for example in found["examples"]:
        for file in example["files"]:
            assert (package / example["base"] / file).is_file()
    for key in ("srcDir", "includeDir"):
        assert (package / found["build"][key]).is_dir()


def test_platformios_own_validator(package):
    parser = pytest.importorskip("platformio.package.manifest.parser")
    schema = pytest.importorskip("platformio.package.manifest.schema")
    for name in ("library.json", "library.properties"):
        found = parser.ManifestParserFactory.new_from_file(str(package / name)).as_dict()
        found.pop("license", None)  # looked up in a list on the web
        schema.ManifestSchema().load_manifest(found)
    found["name"] = "a:b"
    with pytest.raises(Exception, match="not allowed"):
        schema.ManifestSchema().load_manifest(found)


def test_esp_idf_component_manifest(package):
    found = yaml.safe_load((package / "idf_component.yml").read_text())
    assert found.keys() <= {"version", "description", "url", "license", "dependencies"}
    assert re.fullmatch(SEMVER, found["version"])
    assert found["license"] == "Apache-2.0"
    assert set(found["dependencies"]) == {"idf", "espressif/esp-tflite-micro"}


def test_espressifs_own_validator(package):
    manager = pytest.importorskip("idf_component_tools.manager")
    found = manager.ManifestManager(package, "net")
    assert found.validation_errors == []
    assert str(found.load().version) == "1.2.0"


def cmake(folder, text):
    """What CMake makes of a project, as a library that is really built."""
    (folder / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.20)\n" + text)
    command = ["cmake", "-S", folder, "-B", folder / "build", "-G", "Ninja"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return set(re.findall(r"^-- source=(.*)$", result.stdout, re.M))


def test_esp_idf_component_registers_every_source(package, tmp_path):
    found = cmake(
        tmp_path,
        """
        project(app C)
        function(idf_component_register)
          cmake_parse_arguments(C "" "" "SRCS;INCLUDE_DIRS" ${ARGN})
          foreach(source ${C_SRCS})
            message(STATUS "source=${source}")
          endforeach()
          if(C_UNPARSED_ARGUMENTS OR NOT IS_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/${C_INCLUDE_DIRS})
            message(FATAL_ERROR "${C_UNPARSED_ARGUMENTS} ${C_INCLUDE_DIRS}")
          endif()
        endfunction()
        set(ESP_PLATFORM 1)
        """
        + f"add_subdirectory({package} package)\n",
    )
    assert found == sources(package)


def test_zephyr_module(package):
    found = yaml.safe_load((package / "zephyr/module.yml").read_text())
    assert found.keys() <= {"name", "build"}
    assert re.fullmatch(r"[a-z0-9_]+", found["name"])
    assert found["build"].keys() <= {"cmake", "kconfig", "depends", "settings"}
    assert (package / found["build"]["cmake"] / "CMakeLists.txt").is_file()
    assert (package / found["build"]["kconfig"]).is_file()


def test_zephyr_kconfig_in_a_real_parser(package, tmp_path):
    kconfiglib = pytest.importorskip("kconfiglib")
    (tmp_path / "Kconfig").write_text(
        f'config TENSORFLOW_LITE_MICRO\n\tbool "TFLM"\n\nrsource "{package}/zephyr/Kconfig"\n'
    )
    parsed = kconfiglib.Kconfig(str(tmp_path / "Kconfig"), warn_to_stderr=False)
    assert parsed.warnings == []
    symbols = {f"NET_4_NET_{engine.upper().replace('-', '_')}" for engine in MODELS}
    assert symbols | {"TENSORFLOW_LITE_MICRO"} == {s.name for s in parsed.unique_defined_syms}
    parsed.syms["NET_4_NET_C_SPARSE"].set_value("y")
    parsed.syms["NET_4_NET_TFLM"].set_value("y")
    assert parsed.syms["NET_4_NET_C_SPARSE"].str_value == "y"
    assert parsed.syms["NET_4_NET_TFLM"].str_value == "n", "it needs the interpreter"
    parsed.syms["TENSORFLOW_LITE_MICRO"].set_value("y")
    assert parsed.syms["NET_4_NET_TFLM"].str_value == "y"


@pytest.mark.parametrize("engines", [MODELS, ("c-sparse",), ("tflm",), ()])
def test_zephyr_builds_what_kconfig_asks_for(package, tmp_path, engines):
    options = "".join(
        f"set(CONFIG_NET_4_NET_{engine.upper().replace('-', '_')} y)\n" for engine in engines
    )
    found = cmake(
        tmp_path,
        options
        + """
        project(app NONE)
        function(zephyr_include_directories folder)
          if(NOT IS_DIRECTORY ${folder})
            message(FATAL_ERROR ${folder})
          endif()
        endfunction()
        function(zephyr_library_named)
        endfunction()
        function(zephyr_library_sources)
          foreach(file ${ARGN})
            if(NOT EXISTS ${file})
              message(FATAL_ERROR ${file})
            endif()
            get_filename_component(name ${file} NAME)
            message(STATUS "source=src/${name}")
          endforeach()
        endfunction()
        """
        + f"add_subdirectory({package}/zephyr module)\n",
    )
    prefixes = {f"src/net_{engine.replace('-', '_')}_" for engine in engines}
    own = {name for name in sources(package) if not name.startswith("src/snn_")}
    runners = {f"{prefix}run" for prefix in prefixes}
    assert {name.rpartition(".")[0] for name in found if "_run." in name} == runners
    if len(engines) == len(MODELS):
        assert found == sources(package)
    elif not engines:
        assert not found
    else:
        others = {f"src/net_{e.replace('-', '_')}_run" for e in set(MODELS) - set(engines)}
        assert not others & {name.rpartition(".")[0] for name in found & own}


def pack(package):
    return next(package.glob("*.pdsc"))


def test_cmsis_pack_description(package):
    root = ElementTree.parse(pack(package)).getroot()
    vendor, name = root.findtext("vendor"), root.findtext("name")
    assert pack(package).name == f"{vendor}.{name}.pdsc"
    assert re.fullmatch(r"[\-_A-Za-z0-9]+", name)
    order = [child.tag for child in root]
    assert order[:5] == ["vendor", "name", "description", "url", "license"]
    assert root.find("releases/release").get("version") == "1.2.0"
    assert (package / root.findtext("license")).is_file()
    conditions = {c.get("id") for c in root.findall("conditions/condition")}
    listed = set()
    for component in root.findall("components/component"):
        assert component.get("Cclass") == "Machine Learning"
        assert re.fullmatch(SEMVER, component.get("Cversion"))
        assert component.get("condition") in conditions | {None}
        for file in component.findall("files/file"):
            place = package / file.get("name")
            wanted = {"doc": "", "header": ".h", "include": "", "source": ".c.cpp"}
            assert file.get("category") in wanted
            assert place.is_dir() if file.get("category") == "include" else place.is_file()
            if file.get("category") in ("source", "header"):
                assert place.suffix in wanted[file.get("category")]
                assert file.get("name") not in listed, "a file of two components"
                listed.add(file.get("name"))
    assert listed == {f"src/{file.name}" for file in (package / "src").iterdir()}


def test_cmsis_pack_schema(package):
    xmlschema = pytest.importorskip("xmlschema")
    if "PACK_XSD" not in os.environ:
        pytest.skip("PACK_XSD names no PACK.xsd")
    xmlschema.XMLSchema(os.environ["PACK_XSD"]).validate(str(pack(package)))


def test_licence_and_readme(package):
    assert (package / "LICENSE").read_text() == licence_text()
    assert "Apache License" in licence_text()
    text = (package / "README.md").read_text()
    for engine in MODELS:
        assert f"## net_{engine.replace('-', '_')}" in text
    for told in ("arena", "found by search", "Licences", "input 0", "output 0", "CMSIS-NN"):
        assert told in text
