"""The command line: parses, calls, prints; nothing else. One file a command."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

import bridge
from bridge.cli.bench import bench
from bridge.cli.bench_kernels import bench_kernels
from bridge.cli.compress import compress
from bridge.cli.convert import convert
from bridge.cli.doctor import doctor
from bridge.cli.explore import explore
from bridge.cli.export import export
from bridge.errors import BridgeError


class _Commands(TyperGroup):
    """Commands whose name may be two words, as in ``bench kernels``."""

    # Typer carries a click of its own from some version on, so click's types are not named here.
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        two = " ".join(args[:2])
        if len(args) > 1 and two in self.commands:
            return two, self.commands[two], args[2:]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Commands,
    name="tflm-bridge",
    help="Bring a PyTorch network onto a Cortex-M: pruned, int8, proved byte for byte, measured.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tflm-bridge {bridge.__version__}")
        raise typer.Exit()


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command()(convert)
app.command()(compress)
app.command()(export)
app.command()(bench)
app.command("bench kernels")(bench_kernels)
app.command()(explore)
app.command()(doctor)


def main() -> None:
    """Entry point of ``tflm-bridge``: our own errors end with one message and a status."""
    try:
        app(standalone_mode=True)
    except BridgeError as error:
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        console.print("[red]error:[/red]", end=" ")
        console.print(str(error), markup=False)
        raise SystemExit(error.exit_status) from None
    except Exception as error:
        if os.environ.get("TFLM_BRIDGE_DEBUG"):
            raise
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        console.print("[red]error:[/red]", end=" ")
        console.print(f"unexpected {type(error).__name__}: {error}", markup=False)
        console.print("  → a defect of tflm-bridge; TFLM_BRIDGE_DEBUG=1 shows where it happened")
        raise SystemExit(70) from None  # EX_SOFTWARE of sysexits.h
