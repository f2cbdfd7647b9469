"""``tflm-bridge export``: a network as a package for somebody's build system."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer


class Target(str, Enum):
    """Build systems."""

    plain = "plain"
    arduino = "arduino"
    platformio = "platformio"
    zephyr = "zephyr"
    esp_idf = "esp-idf"
    cmsis_pack = "cmsis-pack"


class Engine(str, Enum):
    """What runs the network, as bench names it."""

    tflm = "tflm"
    tflm_decode = "tflm-decode"
    tflm_sparse = "tflm-sparse"
    c_sparse = "c-sparse"
    c_compact = "c-compact"


def export(
    bundle: Annotated[Path, typer.Argument(metavar="DIR", help="A bundle made by convert.")],
    to: Annotated[Target, typer.Option(help="The build system.")],
    into: Annotated[Path, typer.Option(help="The package's folder; yours stays yours in it.")],
    engine: Annotated[
        Optional[Engine],
        typer.Option(
            help="TFLite Micro with the plain file, the compressed one, or our sparse kernels; "
            "or plain C: c-sparse (the choice for plain; tflm for all others), or c-compact."
        ),
    ] = None,
    prefix: Annotated[
        Optional[str], typer.Option(help="What C names start with; the network's name.")
    ] = None,
    name: Annotated[Optional[str], typer.Option(help="The package's name; the prefix.")] = None,
    core: Annotated[str, typer.Option(help="Whose formats the sparse kernels take.")] = "cortex-m4",
    package_version: Annotated[
        Optional[str], typer.Option(help="The package's version; 1.0.0.")
    ] = None,
    author: Annotated[Optional[str], typer.Option(help="The package's author.")] = None,
    url: Annotated[Optional[str], typer.Option(help="The package's home page.")] = None,
) -> None:
    """Write a package: arrays or C, resolver, arena, self-test, example, metadata, licences."""
    from bridge.package import export as run

    done = run(
        bundle,
        into,
        to=to.value,
        engine=None if engine is None else engine.value,
        prefix=prefix,
        name=name,
        core=core,
        version=package_version,
        author=author,
        url=url,
    )
    placed = done.placed
    typer.echo(
        f"{done.path}: {done.package.name} {done.package.version} "
        f"for {', '.join(done.package.targets)}"
    )
    for model in done.package.models:
        typer.echo(
            f"  {model.prefix}: {model.title}; arena {model.facts['arena'].partition(':')[0]}"
        )
    typer.echo(
        f"  {len(placed.written)} files written, {len(placed.unchanged)} unchanged, "
        f"{len(placed.removed)} removed"
    )
    for file in placed.beside:
        typer.echo(f"  {file} was changed by you and stays; the new version is {file}.new")
    for file in placed.kept:
        typer.echo(f"  {file} is no longer needed, but was changed by you and stays")
