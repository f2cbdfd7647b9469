"""One network of a bundle into a package for somebody's build system."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bridge.bundle import Bundle
from bridge.errors import InputError
from bridge.package.content import ENGINES, model_files
from bridge.package.kernels import kernel_text
from bridge.package.metadata import TARGETS, Package, PackagedModel, shared_files
from bridge.package.place import Placed, place, read_manifest


@dataclass(frozen=True)
class Exported:
    """A package on disk.

    Attributes:
        path: its folder.
        package: what it holds, with models of earlier exports.
        placed: what became of each file.
    """

    path: Path
    package: Package
    placed: Placed


def export(
    source: Path,
    into: Path,
    *,
    to: str,
    engine: str | None = None,
    prefix: str | None = None,
    name: str | None = None,
    core: str = "cortex-m4",
    version: str | None = None,
    author: str | None = None,
    url: str | None = None,
) -> Exported:
    """Write a network as a package, or add it to the package that stands there.

    Args:
        source: a bundle.
        into: the package's folder. Networks of other prefixes and build systems of earlier exports
            stay in it; files that the user changed stay too.
        to: one of :data:`TARGETS`.
        engine: one of :data:`ENGINES`; ``c-sparse`` for ``plain``, ``tflm`` for all others.
        prefix: what the network's names start with; its own name where left out.
        name: the package's; that of the earlier export, or the prefix.
        core: whose formats the sparse kernels take.
        version: the package's, like 1.0.0.
        author: told in the package's metadata, as ``version`` and ``url`` are.
        url: the package's home page.

    Raises:
        InputError: an option can't be met.
        BundleError: the bundle is damaged or holds no compressed network.
        UnsupportedOperator: the runtime lacks an operator of the network.
    """
    if to not in TARGETS:
        raise InputError(f"{to!r} is no build system", hint=f"choose from {', '.join(TARGETS)}")
    engine = engine or ("c-sparse" if to == "plain" else "tflm")
    if engine not in ENGINES:
        raise InputError(f"{engine!r} can't be exported", hint=f"choose from {', '.join(ENGINES)}")
    bundle = Bundle.open(source)
    prefix = prefix or str(bundle.manifest["model"])
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,31}", prefix):
        raise InputError(
            f"{prefix!r} can't start C names",
            hint="give --prefix: 2 to 32 small letters, digits and underscores, a letter first",
        )
    before = read_manifest(into)
    models: dict[str, Any] = dict(before.get("models", {}))
    made = model_files(bundle, prefix, engine, core=core)
    models[prefix] = {
        "engine": engine,
        "title": made.title,
        "files": sorted(made.files),
        "kernels": list(made.kernels),
        "facts": dict(made.facts),
    }
    package = _package(before, models, to, prefix, name, version, author, url)
    kernels = sorted({kernel for model in models.values() for kernel in model["kernels"]})
    files: dict[str, str] = {f"src/{kernel}": kernel_text(kernel) for kernel in kernels}
    files |= made.files
    files |= shared_files(package, kernels)
    other = {f for p, model in models.items() if p != prefix for f in model["files"]}
    entries = {key: value for key, value in asdict(package).items() if key != "models"}
    placed = place(into, files, {**entries, "models": models}, other)
    return Exported(into, package, placed)


def _package(
    before: Mapping[str, Any], models: Mapping[str, Any], to: str, prefix: str,
    name: str | None, version: str | None, author: str | None, url: str | None,
) -> Package:  # fmt: skip
    chosen = name or before.get("name") or prefix
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{1,31}", chosen) or chosen.lower().startswith(
        "arduino"
    ):
        raise InputError(
            f"{chosen!r} can't name a package for every build system",
            hint="2 to 32 letters, digits, _ and -, a letter first; Arduino's own name is reserved",
        )
    number = version or before.get("version") or "1.0.0"
    if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", number):
        raise InputError(f"{number!r} is no version", hint="give three numbers, for example 1.2.0")
    targets: Sequence[str] = sorted({*before.get("targets", ()), to})
    return Package(
        chosen,
        number,
        author or before.get("author") or "made with tflm-bridge",
        url or before.get("url") or "https://ai.google.dev/edge/litert/microcontrollers/overview",
        tuple(targets),
        tuple(
            PackagedModel(p, m["engine"], m["title"], tuple(m["files"]), m["facts"])
            for p, m in sorted(models.items())
        ),
    )
