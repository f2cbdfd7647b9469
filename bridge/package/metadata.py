"""What each build system wants to read beside the sources: manifests, build files, licences."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bridge.paths import licence_text
from bridge.text import environment

SENTENCE = "An int8 neural network for microcontrollers, with a self-test."


@dataclass(frozen=True)
class PackagedModel:
    """One network of a package, as its metadata tells it.

    Attributes:
        prefix: what its names start with.
        engine: one of ``bridge.package.ENGINES``.
        title: one line.
        files: paths in the package.
        facts: name → text, for the README.
    """

    prefix: str
    engine: str
    title: str
    files: tuple[str, ...]
    facts: Mapping[str, str]

    @property
    def on_tflm(self) -> bool:
        """Whether it runs on TFLite Micro."""
        return self.engine.startswith("tflm")

    @property
    def uses_kernels(self) -> bool:
        """Whether it calls our kernels."""
        return self.engine not in {"tflm", "tflm-decode"}

    @property
    def sources(self) -> tuple[str, ...]:
        """What is compiled."""
        return tuple(f for f in self.files if re.match(r"src/.*\.(c|cpp)$", f))

    @property
    def headers(self) -> tuple[str, ...]:
        """What is included."""
        return tuple(f for f in self.files if re.match(r"src/.*\.h$", f))


@dataclass(frozen=True)
class Package:
    """A package for one or more build systems, with one or more networks.

    Attributes:
        name: letters, digits, ``_`` and ``-``.
        version: three numbers.
        author: one line.
        url: a home page.
        targets: the build systems it is for.
        models: by prefix.
    """

    name: str
    version: str
    author: str
    url: str
    targets: tuple[str, ...]
    models: tuple[PackagedModel, ...]

    @property
    def identifier(self) -> str:
        """The name as a C identifier in small letters."""
        return re.sub(r"[^a-z0-9]+", "_", self.name.lower())

    @property
    def slug(self) -> str:
        """The name in small letters, digits and single dashes."""
        return self.identifier.strip("_").replace("_", "-")

    @property
    def sentence(self) -> str:
        """What it is, in one line."""
        return "; ".join(model.title for model in self.models)

    @property
    def needs_tflm(self) -> bool:
        """Whether a network runs on TFLite Micro."""
        return any(model.on_tflm for model in self.models)


def shared_files(package: Package, kernels: Sequence[str]) -> dict[str, str]:
    """The files that belong to the whole package.

    Args:
        package: with all networks that stand in it.
        kernels: files of sparse_nn in its ``src``.

    Returns:
        path in the package → text.
    """
    files = {"README.md": _render("README.md", package, kernels), "LICENSE": licence_text()}
    for target in package.targets:
        files |= _WRITERS[target](package, kernels)
    return files


def _render(template: str, package: Package, kernels: Sequence[str], **more: object) -> str:
    values = {
        "package": package,
        "models": package.models,
        "kernels": [f"src/{name}" for name in kernels],
        "kernel_sources": [f"src/{name}" for name in kernels if name.endswith(".c")],
        "kernel_headers": [f"src/{name}" for name in kernels if name.endswith(".h")],
        "sentence": SENTENCE,
        **more,
    }
    return environment("bridge.package").get_template(f"{template}.j2").render(values)


def _plain(package: Package, kernels: Sequence[str]) -> dict[str, str]:
    return {"CMakeLists.txt": _render("CMakeLists.txt", package, kernels)}


def _esp_idf(package: Package, kernels: Sequence[str]) -> dict[str, str]:
    files = _plain(package, kernels)
    files["idf_component.yml"] = _render("idf_component.yml", package, kernels)
    return files


def _arduino(package: Package, kernels: Sequence[str]) -> dict[str, str]:
    files = {"library.properties": _render("library.properties", package, kernels)}
    for model in package.models:
        name = f"examples/{model.prefix}_sketch/{model.prefix}_sketch.ino"
        files[name] = _render("sketch.ino", package, kernels, prefix=model.prefix)
    return files


def _platformio(package: Package, kernels: Sequence[str]) -> dict[str, str]:
    manifest = {
        "name": package.slug,
        "version": package.version,
        "description": f"{SENTENCE} {package.sentence}."[:255],
        "keywords": ["neural-network", "int8", "tflite-micro"],
        "authors": [{"name": package.author}],
        "license": "Apache-2.0",
        "homepage": package.url,
        "frameworks": "*",
        "platforms": "*",
        "headers": [f"{model.prefix}_run.h" for model in package.models],
        "build": {"srcDir": "src", "includeDir": "src"},
        "examples": [
            {
                "name": model.prefix,
                "base": f"examples/{model.prefix}",
                "files": [f"{model.prefix}.c"],
            }
            for model in package.models
        ],
    }
    return {"library.json": json.dumps(manifest, indent=2) + "\n"}


def _zephyr(package: Package, kernels: Sequence[str]) -> dict[str, str]:
    names = ("module.yml", "Kconfig", "CMakeLists.txt")
    return {
        f"zephyr/{name}": _render(f"zephyr_{name}", package, kernels, tab="\t") for name in names
    }


def _cmsis_pack(package: Package, kernels: Sequence[str]) -> dict[str, str]:
    return {f"tflm-bridge.{package.name}.pdsc": _render("package.pdsc", package, kernels)}


_WRITERS: Mapping[str, Callable[[Package, Sequence[str]], dict[str, str]]] = {
    "plain": _plain,
    "arduino": _arduino,
    "platformio": _platformio,
    "zephyr": _zephyr,
    "esp-idf": _esp_idf,
    "cmsis-pack": _cmsis_pack,
}
TARGETS = tuple(_WRITERS)
"""Build systems that packages are written for."""
