"""``tflm-bridge explore``: search for the best trade, recommend a point, build it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer
from rich.console import Console

from bridge.cli.convert import pairs, shapes
from bridge.cores import CORES

if TYPE_CHECKING:
    from bridge.explore import Exploration, Measured

_PATTERNS = "none, unstructured, 2:4, 1x4, 4x1, filter"
_CODINGS = (
    "dense, sparse, compact, tflm, tflm-sparse, tflm-bitmask, tflm-huffman, tflm-lut, tflm-smallest"
)


def explore(
    model: Annotated[
        str, typer.Argument(help="A zoo name, file.py:Class, an .onnx or a .pt2, as for convert.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the study; a run there goes on.")],
    weights: Annotated[Optional[Path], typer.Option(help="State dict for file.py:Class.")] = None,
    data: Annotated[
        Optional[str], typer.Option(help="Named data or file.py:function, as for convert.")
    ] = None,
    arg: Annotated[
        Optional[list[str]], typer.Option(help="Constructor argument, name=value; repeat.")
    ] = None,
    input_shape: Annotated[
        Optional[list[str]], typer.Option(help="Input without the batch; repeat for more.")
    ] = None,
    layout: Annotated[
        Optional[str], typer.Option(help="Layout of your own data: channels-first, channels-last.")
    ] = None,
    network_layout: Annotated[
        str, typer.Option(help="Layout the network takes.")
    ] = "channels-first",
    prune_all: Annotated[
        bool, typer.Option(help="Prune first, last and depthwise layers too.")
    ] = False,
    epochs: Annotated[int, typer.Option(help="Epochs of fine-tuning; 0 for none.")] = 6,
    learning_rate: Annotated[float, typer.Option(help="Of fine-tuning, at its start.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="One worker with the same seed repeats itself.")] = 0,
    allow_pickle: Annotated[
        bool, typer.Option(help="Load a pickled module; it can run any code.")
    ] = False,
    pattern: Annotated[
        Optional[list[str]], typer.Option(help=f"To search, repeat: {_PATTERNS}.")
    ] = None,
    sparsity: Annotated[
        Optional[list[float]], typer.Option(help="Shares to search, repeat; 0.5 … 0.98.")
    ] = None,
    quantize: Annotated[
        Optional[list[str]], typer.Option(help="To search, repeat: ptq, qat.")
    ] = None,
    coding: Annotated[
        Optional[list[str]], typer.Option(help=f"To search, repeat: {_CODINGS}.")
    ] = None,
    core: Annotated[
        Optional[list[str]], typer.Option(help=f"To search, repeat: {', '.join(CORES)}.")
    ] = None,
    flash: Annotated[
        Optional[int], typer.Option(min=1, help="Bytes of code and weights at most.")
    ] = None,
    ram: Annotated[Optional[int], typer.Option(min=1, help="Bytes of RAM at most.")] = None,
    max_accuracy_drop: Annotated[
        float, typer.Option(help="Share of accuracy that may be lost against float.")
    ] = 0.01,
    prefer: Annotated[
        str, typer.Option(help="Among points within limits: cycles, flash, ram or accuracy.")
    ] = "cycles",
    trials: Annotated[
        int, typer.Option(min=0, help="Points in the study at the end; 0 only shows it.")
    ] = 40,
    sampler: Annotated[
        str, typer.Option(help="tpe, nsga2, random, or all (every point in turn).")
    ] = "tpe",
    workers: Annotated[int, typer.Option(min=1, help="Processes that run trials.")] = 1,
    storage: Annotated[
        Optional[str],
        typer.Option(help="Database URL that workers on several machines share."),
    ] = None,
    study: Annotated[
        Optional[str], typer.Option(help="Name of the study; made of model and options.")
    ] = None,
    timeout: Annotated[
        Optional[float], typer.Option(help="Minutes after which no new trial starts.")
    ] = None,
    tflm_root: Annotated[
        Optional[Path],
        typer.Option(envvar="TFLM_ROOT", help="A TFLM tree with a built library."),
    ] = None,
    point: Annotated[
        Optional[int], typer.Option(help="Build this trial, not the recommended one.")
    ] = None,
    build: Annotated[
        Optional[Path], typer.Option(help="Build the chosen point's bundle in this folder.")
    ] = None,
) -> None:
    """Search sparsity × pattern × quantization × coding × core for the best trade."""
    from bridge.console import Terminal
    from bridge.convert.options import ConvertOptions
    from bridge.explore import Limits, Settings
    from bridge.explore import explore as run
    from bridge.explore.result import build as build_point
    from bridge.explore.result import select, write_result
    from bridge.explore.space import Space, default_codings

    default = Space()
    settings = Settings(
        base=ConvertOptions(
            model=model,
            weights=weights,
            data=data,
            args=pairs(arg or [], "--arg"),
            input_shapes=shapes(input_shape),
            layout=layout,
            network_layout=network_layout,
            prune_all=prune_all,
            epochs=epochs,
            learning_rate=learning_rate,
            seed=seed,
            allow_pickle=allow_pickle,
        ),
        space=Space(
            tuple(pattern or default.patterns),
            tuple(sorted(set(sparsity or default.sparsities))),
            tuple(quantize or default.quantizations),
            tuple(coding or default_codings(tflm_root)),
            tuple(core or default.cores),
        ),
        out=out,
        limits=Limits(flash, ram, max_accuracy_drop, prefer),
        trials=trials,
        sampler=sampler,
        storage=storage,
        study=study,
        workers=workers,
        tflm_root=tflm_root,
        timeout=None if timeout is None else timeout * 60,
    )
    progress = Terminal()
    found = run(settings, progress=progress)
    file = write_result(found)
    _print(found)
    typer.echo(f"\nresult: {file}    page: {file.with_suffix('.html')}")
    if build is not None:
        bundle = build_point(found, settings, select(found, point), build, progress)
        on = select(found, point).point.core
        typer.echo(f"bundle: {bundle.path}    next: tflm-bridge bench {bundle.path} --core {on}")


def _print(found: Exploration) -> None:
    from rich.table import Table

    from bridge.explore.result import commands

    console = Console(width=None if Console().is_terminal else 140, highlight=False)
    table = Table(
        title=f"Pareto front: {len(found.front)} of {len(found.measured)} measured points, "
        f"{len(found.given_up)} given up; float {found.metric} {found.reference:.4f}",
        title_justify="left",
        header_style="bold",
    )
    for name in ("trial", "pattern", "sparsity", "int8", "coding", "core", found.metric, "lost",
                 "flash B", "RAM B", "cycles*", "limits"):  # fmt: skip
        table.add_column(name, justify="left" if name in _TEXT else "right")
    for measured in found.front:
        table.add_row(*_cells(found, measured))
    console.print(table)
    console.print("*modelled from counted instructions, no silicon; accuracy on held-out training "
                  "samples", style="dim")  # fmt: skip
    limits = found.settings.limits
    best, nearest = found.choice.best, found.choice.nearest
    if best is None:
        console.print(f"\nnothing keeps the limits: {limits}", style="bold")
        if nearest is not None:
            over = ", ".join(f"{k} by {v:.0%}" for k, v in limits.broken(nearest).items())
            console.print(f"nearest: trial {nearest.number}, {nearest.point}; over: {over}")
        return
    console.print(f"\nrecommended ({limits}; least {limits.prefer}):", style="bold")
    for measured in found.choice.by_core:
        mark = "→" if measured is best else " "
        console.print(
            f" {mark} trial {measured.number}: {measured.point}: {measured.flash:,} B flash, "
            f"{measured.ram:,} B RAM, {measured.cycles:,} cycles, {found.metric} "
            f"{measured.score:.4f}"
        )
    # Plain output: a line to copy must not be wrapped.
    typer.echo()
    for words, line in commands(found).items():
        typer.echo(f"{words}:\n  {line}")


_TEXT = {"pattern", "int8", "coding", "core", "limits"}


def _cells(found: Exploration, measured: Measured) -> list[Any]:
    point, broken = measured.point, found.settings.limits.broken(measured)
    unpruned = point.pattern == "none"
    return [
        str(measured.number), point.pattern, "" if unpruned else f"{point.sparsity:g}",
        point.quantize, point.coding, point.core, f"{measured.score:.4f}",
        f"{100 * measured.lost:.2f} %", f"{measured.flash:,}", f"{measured.ram:,}",
        f"{measured.cycles:,}", "kept" if not broken else "over: " + ", ".join(broken),
    ]  # fmt: skip
