"""What an exploration leaves: ``explore.json``, the line that converts a point, its bundle."""

from __future__ import annotations

import dataclasses
import json
import shlex
from pathlib import Path
from typing import Any

from bridge.bundle import MODEL, Bundle, write_atomic
from bridge.convert.options import ConvertOptions
from bridge.errors import InputError, ProofError
from bridge.explore.front import Measured
from bridge.explore.settings import Settings
from bridge.explore.space import Point
from bridge.explore.study import Exploration
from bridge.progress import Progress

RESULT = "explore.json"

_FLAGS = {"prune_all": "--prune-all", "allow_pickle": "--allow-pickle"}
_NAMED = ("weights", "data", "layout", "network_layout", "pattern", "quantize", "sparsity",
          "epochs", "learning_rate", "seed", "core")  # fmt: skip
_PAIRS = {"args": "--arg", "layer_sparsity": "--layer-sparsity"}


def as_json(found: Exploration) -> dict[str, Any]:
    """The result for files and for the report."""
    best, nearest = found.choice.best, found.choice.nearest
    return {
        "metric": found.metric,
        "reference": found.reference,
        "limits": dataclasses.asdict(found.settings.limits),
        "space": dataclasses.asdict(found.settings.space),
        "seed": found.settings.base.seed,
        "sampler": found.settings.sampler,
        "study": found.settings.name,
        "measured": [m.as_json() for m in found.measured],
        "given_up": [
            {"point": dataclasses.asdict(point), "reason": reason}
            for point, reason in found.given_up
        ],
        "front": [m.number for m in found.front],
        "recommended": None if best is None else best.number,
        "nearest": None if nearest is None else nearest.number,
        "over": {} if nearest is None else found.settings.limits.broken(nearest),
        "by_core": {m.point.core: m.number for m in found.choice.by_core},
    }


def write_result(found: Exploration) -> Path:
    """Write :data:`RESULT` into the exploration's folder, and the same as a page."""
    from bridge.bench.report import render_study
    from bridge.pipeline import model_name

    file = found.settings.out / RESULT
    values = as_json(found) | {"commands": commands(found)}
    write_atomic(file, json.dumps(values, indent=2) + "\n")
    page = render_study(values, model_name(found.settings.base.model))
    write_atomic(file.with_suffix(".html"), page)
    return file


def select(found: Exploration, number: int | None) -> Measured:
    """The point to build: the recommended one, or a trial by its number.

    Raises:
        InputError: there is no such point, or none keeps the limits.
    """
    if number is not None:
        for measured in found.measured:
            if measured.number == number:
                return measured
        raise InputError(f"trial {number} was not measured", hint="the table names the trials")
    if found.choice.best is None:
        raise InputError(
            f"no point keeps the limits ({found.settings.limits})",
            hint="name one with --point, allow more, or search on with more --trials",
        )
    return found.choice.best


def commands(found: Exploration) -> dict[str, str]:
    """What to do next, in words → the command; empty where no point keeps the limits."""
    best, target = found.choice.best, found.settings.out / "best"
    if best is None:
        return {}
    lines = {
        "its network alone": convert_line(best.point.options(found.settings.base), target),
        "the same, with the study in its report": build_line(found.settings, target),
        "then its firmware, plain sources (--to names other build systems)": export_line(
            best.point, target
        ),
    }
    return {words: line for words, line in lines.items() if line}


def convert_line(options: ConvertOptions, out: Path) -> str:
    """The ``tflm-bridge convert`` command that makes a point's bundle."""
    words = ["tflm-bridge", "convert", options.model]
    default = ConvertOptions(model=options.model)
    for name in _NAMED:
        value = getattr(options, name)
        if value != getattr(default, name):
            words += [f"--{name.replace('_', '-')}", str(value)]
    for name, flag in _FLAGS.items():
        words += [flag] if getattr(options, name) else []
    for name, flag in _PAIRS.items():
        for key, value in getattr(options, name).items():
            words += [flag, f"{key}={json.dumps(value)}"]
    for shape in options.input_shapes or ():
        words += ["--input-shape", "x".join(str(size) for size in shape)]
    return shlex.join([*words, "--out", str(out)])


def build_line(settings: Settings, out: Path) -> str:
    """The ``tflm-bridge explore`` command that builds the recommended point's bundle."""
    line = convert_line(settings.base, settings.out)
    limits = settings.limits
    words = ["--trials", "0", "--study", settings.name]
    words += [] if settings.storage is None else ["--storage", settings.storage]
    words += [] if limits.flash is None else ["--flash", str(limits.flash)]
    words += [] if limits.ram is None else ["--ram", str(limits.ram)]
    words += ["--max-accuracy-drop", f"{limits.max_accuracy_drop:g}", "--prefer", limits.prefer]
    line = line.replace("tflm-bridge convert", "tflm-bridge explore", 1)
    return f"{line} {shlex.join([*words, '--build', str(out)])}"


def export_line(point: Point, bundle: Path) -> str:
    """The ``tflm-bridge export`` command for a point's own engine and core; empty where none is."""
    from bridge.package import ENGINES

    if point.engine not in ENGINES:
        return ""
    into = bundle.with_name(f"{bundle.name}-firmware")
    words = ["--to", "plain", "--engine", point.engine, "--core", point.core, "--into", str(into)]
    return shlex.join(["tflm-bridge", "export", str(bundle), *words])


def build(
    found: Exploration, settings: Settings, measured: Measured, out: Path, progress: Progress
) -> Bundle:
    """Convert a point's network into a bundle, with every proof, and the study beside it.

    A point that TFLM decodes gets its compressed network too.

    Raises:
        ProofError: the network is not the one that was measured.
        BridgeError: as ``convert``.
    """
    from bridge.pipeline import convert, record_exploration

    point = measured.point
    bundle = convert(point.options(settings.base), out, progress=progress)
    made = bundle.manifest["files"][MODEL]
    if made != measured.model:
        raise ProofError(
            "built = measured",
            f"trial {measured.number} measured the network {measured.model[:12]}, this one is "
            f"{made[:12]}",
            hint="the versions or the machine are not those of the trial; explore again",
        )
    if point.encodings:
        from bridge.compress.bundle import compress_file

        compress_file(out, encodings=point.encodings, progress=progress)
        bundle = Bundle.open(out)
    return record_exploration(bundle, {**as_json(found), "chosen": measured.number})
