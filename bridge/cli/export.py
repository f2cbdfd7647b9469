"""``tflm-bridge export``: a network as a package for somebody's build system."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from bridge.cli.choices import choice
from bridge.cores import CORES
from bridge.package import ENGINES, TARGETS


def export(
    bundle: Annotated[Path, typer.Argument(metavar="DIR", help="A bundle made by convert.")],
    to: Annotated[str, choice(TARGETS, help="The build system.")],
    into: Annotated[Path, typer.Option(help="The package's folder; yours stays yours in it.")],
    engine: Annotated[
        Optional[str],
        choice(
            ENGINES,
            help="TFLite Micro with the plain file, the compressed one, or our sparse kernels; "
            "or plain C. Left out: c-sparse for plain, tflm for all others.",
        ),
    ] = None,
    prefix: Annotated[
        Optional[str], typer.Option(help="What C names start with; the network's name.")
    ] = None,
    name: Annotated[Optional[str], typer.Option(help="The package's name; the prefix.")] = None,
    core: Annotated[
        str, choice(CORES, help="Whose formats the sparse kernels take.")
    ] = "cortex-m4",
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
        to=to,
        engine=engine,
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
