"""``tflm-bridge compress``: the same network in a smaller file, for unmodified TFLite Micro."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer
from rich.console import Console

from bridge.cli.choices import choice
from bridge.compress import ENCODINGS
from bridge.compress.choose import NONE

if TYPE_CHECKING:
    from bridge.compress.bundle import CompressedFile


def compress(
    source: Annotated[
        Path, typer.Argument(metavar="MODEL.tflite|BUNDLE", help="An int8 .tflite, or a bundle.")
    ],
    out: Annotated[
        Optional[Path], typer.Option(help="Where to write; left out: beside it, or in the bundle.")
    ] = None,
    encodings: Annotated[
        Optional[list[str]],
        choice((*ENCODINGS, NONE), "--encoding", help="Allow only this encoding; repeat for more."),
    ] = None,
    ram: Annotated[
        Optional[int],
        typer.Option(min=1, help="Bytes that the arena may take with decoded weights in it."),
    ] = None,
    json_file: Annotated[
        Optional[Path], typer.Option("--json", help="Write the figures as JSON.")
    ] = None,
) -> None:
    """Store weights through TFLM's DECODE operator: the smallest encoding for each tensor."""
    from bridge.bundle import write_atomic
    from bridge.compress.bundle import compress_file
    from bridge.console import Terminal

    chosen = ENCODINGS if not encodings else tuple(e for e in encodings if e != NONE)
    done = compress_file(source, out, encodings=chosen, ram=ram, progress=Terminal())
    _print(done)
    if json_file is not None:
        write_atomic(json_file, json.dumps(_figures(done), indent=2) + "\n")


def _figures(done: CompressedFile) -> dict[str, Any]:
    result = done.result
    return {
        "file": str(done.path),
        "bytes_before": result.bytes_before,
        "rewritten_bytes": result.rewritten_bytes,
        "bytes_after": len(result.model),
        "decompression_bytes": result.decompression_bytes,
        "arena_before": done.arena_before,
        "arena_after": done.arena_after,
        "arena_alternate": done.arena_alternate,
        "proved_samples": done.proved,
        "tensors": [asdict(tensor) for tensor in result.tensors],
    }


def _print(done: CompressedFile) -> None:
    from rich.table import Table

    result = done.result
    table = Table(header_style="bold")
    for name in ("tensor", "encoding", "bytes before", "after", "why"):
        table.add_column(name, justify="right" if name in ("bytes before", "after") else "left")
    for tensor in result.tensors:
        table.add_row(
            tensor.name, tensor.encoding, f"{tensor.bytes_before:,}", f"{tensor.bytes_after:,}",
            tensor.reason,
        )  # fmt: skip
    console = Console(width=None if Console().is_terminal else 160, highlight=False)
    console.print(table)
    after, before = len(result.model), result.bytes_before
    if not result.encoded:
        console.print(f"left whole: no tensor gets smaller; {done.path} holds the model as it was")
        return
    for line in (
        f"file   {before:,} → {after:,} bytes ({after / before:.3f}); "
        f"written anew without encoding it would be {result.rewritten_bytes:,}",
        f"arena  {done.arena_before:,} → {done.arena_after:,} bytes on the host, decoded weights "
        f"in it; or {done.arena_alternate:,} and {result.decompression_bytes:,} lent beside it",
        f"proof  every output byte is the plain model's on {done.proved} inputs in TFLM",
        f"\n{done.path}    needs AddDecode() in the resolver",
    ):
        console.print(line, soft_wrap=True)
