"""``tflm-bridge convert``: from a PyTorch network to a bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from rich.console import Console

from bridge.cli.choices import choice
from bridge.convert.options import PATTERNS, QUANTIZATIONS, SCHEDULES
from bridge.cores import CORES
from bridge.data import LAYOUTS
from bridge.errors import InputError

_EXAMPLES = {"--arg": "classes=6", "--layer-sparsity": "fc1=0.8"}
_NETWORK, _DATA, _COMPRESSION = "Network", "Data", "Compression"


def convert(
    model: Annotated[
        str,
        typer.Argument(
            help="A zoo name (lenet5 …), file.py:Class, an .onnx, a .pt2, or an int8 .tflite."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the bundle; made or replaced whole.")],
    weights: Annotated[
        Optional[Path],
        typer.Option(rich_help_panel=_NETWORK, help="State dict for file.py:Class (torch.save)."),
    ] = None,
    data: Annotated[
        Optional[str],
        typer.Option(
            rich_help_panel=_DATA,
            help="Named data (digits, mnist …) or file.py:function giving arrays.",
        ),
    ] = None,
    arg: Annotated[
        Optional[list[str]],
        typer.Option(
            rich_help_panel=_NETWORK,
            help="Constructor argument, name=value (JSON); repeat for more.",
        ),
    ] = None,
    input_shape: Annotated[
        Optional[list[str]],
        typer.Option(
            rich_help_panel=_NETWORK,
            help="Input without the batch, for example 3x96x96; repeat for more.",
        ),
    ] = None,
    layout: Annotated[
        Optional[str],
        choice(LAYOUTS, rich_help_panel=_DATA, help="Layout of your own data, never guessed."),
    ] = None,
    network_layout: Annotated[
        str,
        choice(LAYOUTS, rich_help_panel=_NETWORK, help="Layout that the network takes."),
    ] = "channels-first",
    sparsity: Annotated[
        Optional[float],
        typer.Option(
            rich_help_panel=_COMPRESSION,
            help="Share of zeros in every pruned weight tensor; 0 prunes nothing. "
            "0.9 where left out, and always 0.5 in the pattern 2:4.",
        ),
    ] = None,
    layer_sparsity: Annotated[
        Optional[list[str]],
        typer.Option(
            rich_help_panel=_COMPRESSION, help="Another share for one layer, name=0.8; repeat."
        ),
    ] = None,
    prune_all: Annotated[
        bool,
        typer.Option(
            "--prune-all",
            rich_help_panel=_COMPRESSION,
            help="Prune first, last and depthwise layers too.",
        ),
    ] = False,
    pattern: Annotated[
        str, choice(PATTERNS, rich_help_panel=_COMPRESSION, help="Which weights go together.")
    ] = "unstructured",
    schedule: Annotated[
        str,
        choice(
            SCHEDULES,
            rich_help_panel=_COMPRESSION,
            help="Sparsity rises to its target, or is there from the start.",
        ),
    ] = "polynomial",
    quantize: Annotated[
        str,
        choice(
            QUANTIZATIONS,
            rich_help_panel=_COMPRESSION,
            help="Quantize after training, or train quantized.",
        ),
    ] = "qat",
    clusters: Annotated[
        int,
        typer.Option(
            rich_help_panel=_COMPRESSION,
            help="Distinct values a weight tensor, for tflm-bridge compress; 0 for free.",
        ),
    ] = 0,
    epochs: Annotated[
        int, typer.Option(rich_help_panel=_COMPRESSION, help="Epochs of fine-tuning; 0 for none.")
    ] = 6,
    learning_rate: Annotated[
        float, typer.Option(rich_help_panel=_COMPRESSION, help="Of fine-tuning, at its start.")
    ] = 1e-3,
    max_accuracy_drop: Annotated[
        Optional[float],
        typer.Option(
            rich_help_panel=_COMPRESSION,
            help="Find the highest sparsity that loses at most this share, e.g. 0.01.",
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option(rich_help_panel=_DATA, help="Test inputs that the bundle carries.")
    ] = 200,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    core: Annotated[
        str,
        choice(
            CORES,
            rich_help_panel=_COMPRESSION,
            help="Core whose costs are told before fine-tuning.",
        ),
    ] = "cortex-m4",
    allow_pickle: Annotated[
        bool,
        typer.Option(
            "--allow-pickle",
            rich_help_panel=_NETWORK,
            help="Load a pickled module; it can run any code.",
        ),
    ] = False,
    witness: Annotated[
        bool,
        typer.Option(
            rich_help_panel=_NETWORK, help="Also bring the network through onnx2tf and compare."
        ),
    ] = True,
) -> None:
    """Convert a network: PyTorch → ONNX → Keras → pruned → int8 → C, each step proved."""
    from bridge.console import Terminal
    from bridge.convert.options import ConvertOptions
    from bridge.pipeline import convert as run

    options = ConvertOptions(
        model=model,
        weights=weights,
        data=data,
        args=pairs(arg or [], "--arg"),
        input_shapes=shapes(input_shape),
        layout=layout,
        network_layout=network_layout,
        sparsity=sparsity,
        layer_sparsity=pairs(layer_sparsity or [], "--layer-sparsity"),
        prune_all=prune_all,
        pattern=pattern,
        schedule=schedule,
        quantize=quantize,
        clusters=clusters,
        epochs=epochs,
        learning_rate=learning_rate,
        max_accuracy_drop=max_accuracy_drop,
        samples=samples,
        seed=seed,
        core=core,
        allow_pickle=allow_pickle,
        onnx2tf=witness,
    )
    bundle = run(options, out, progress=Terminal())
    _print_conversion(bundle.manifest)
    typer.echo(f"\nbundle: {bundle.path}    next: tflm-bridge bench {bundle.path}")


def pairs(given: list[str], option: str) -> dict[str, Any]:
    """Options of the form name=value; the value as JSON, or as it stands."""
    pairs = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise InputError(
                f"{option} {text!r} is not name=value",
                hint=f"for example {option} {_EXAMPLES[option]}",
            )
        try:
            pairs[name] = json.loads(value)
        except ValueError:
            pairs[name] = value
    return pairs


def shapes(given: list[str] | None) -> tuple[tuple[int, ...], ...] | None:
    """Options of the form 3x96x96."""
    if not given:
        return None
    try:
        return tuple(tuple(int(part) for part in text.split("x")) for text in given)
    except ValueError:
        raise InputError(
            f"--input-shape {' '.join(given)!r} is not like 3x96x96",
            hint="give sizes joined by x, without the batch; repeat the option for more inputs",
        ) from None


def _fidelity(layers: Any) -> Any:
    from rich.table import Table

    table = Table(title="int8 against float", title_justify="left", header_style="bold")
    for name in ("layer", "signal to noise dB", "range", "at the ends of int8", "remark"):
        table.add_column(name)
    for layer in layers:
        table.add_row(
            layer["name"], f"{layer['snr_db']:.1f}", f"{layer['low']:.3g} … {layer['high']:.3g}",
            f"{layer['saturated']:.1%}", "constant" if layer["constant"] else "",
        )  # fmt: skip
    return table


def _print_conversion(manifest: Any) -> None:
    from rich.table import Table

    console = Console(width=None if Console().is_terminal else 140)
    proofs = Table(title="proofs", title_justify="left", header_style="bold")
    for name in ("rung", "holds", "statistic", "bound", "unit", "samples", "layer", "detail"):
        proofs.add_column(name)
    for proof in manifest["proofs"]:
        proofs.add_row(
            proof["rung"], "yes" if proof["passed"] else "no", f"{proof['statistic']:.3g}",
            f"{proof['bound']:.3g}", proof["unit"], str(proof["samples"]), proof["layer"],
            proof["detail"],
        )  # fmt: skip
    console.print(proofs)
    layers = Table(title="weights", title_justify="left", header_style="bold")
    for name in ("layer", "kind", "weights", "target", "zeros in int8", "remark"):
        layers.add_column(name)
    for layer in manifest["layers"]:
        target = layer["target"]
        layers.add_row(
            layer["name"], layer["kind"], f"{layer['weights']:,}",
            "dense" if target is None else f"{target:.2f}", f"{layer['sparsity']:.3f}",
            layer["reason"],
        )  # fmt: skip
    console.print(layers)
    if manifest["fidelity"]:
        console.print(_fidelity(manifest["fidelity"]))
    metrics = manifest["metrics"]
    shown = "   ".join(
        f"{stage} {metrics[stage]:.4f}"
        for stage in ("float", "pruned", "int8")
        if isinstance(metrics.get(stage), float)
    )
    console.print(f"{metrics.get('metric', 'metric')}: {shown}", style="bold", highlight=False)
    for note in manifest["notes"]:
        console.print(f"· {note}", style="dim", markup=False, highlight=False)
