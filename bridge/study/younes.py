"""Younes et al.: pruning, quantization and coding of an activity network, alone and together.

Each technique is on or off; coding has three kinds. What a combination would give if techniques
simply multiplied is the product of their single ratios; the quotient of what came out and that
product says whether they add up (1 or more) or cancel each other (below 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.bundle import Bundle, BundleWriter, digest
from bridge.study.chain import weighted
from bridge.study.coding import CODINGS, clustered_network, clustered_tflite, float_bytes
from bridge.study.measure import Converted, convert_network, judged, measure, needed, row_of
from bridge.study.networks import Pruned, Subject, Trainer
from bridge.study.page import Line, Page, Plot, write_page
from bridge.study.setup import Setup
from bridge.study.sparsify import accuracy
from bridge.study.subjects import HAR, quick

CORE = "cortex-m4"
OURS = ("c-sparse", "c-compact")
SHARES = (0.1, 0.047, 0.025)
CORNER = 0.047
"""The share of weights that the corner "pruned" keeps."""
POINT = 0.01


@dataclass(frozen=True)
class Corner:
    """One combination.

    Attributes:
        share: of the weights left; 1 is unpruned.
        int8: quantized.
        coding: one of :data:`CODINGS`.
        error: share of wrong classes.
        stored: bytes of weights as stored (int8: the .tflite file).
        flash, ram: linked on the Cortex-M4, where a program exists; else None.
        how: what flash and RAM are of.
    """

    share: float
    int8: bool
    coding: str
    error: float
    stored: int
    flash: int | None
    ram: int | None
    instructions: int | None
    how: str

    @property
    def name(self) -> str:
        """In words."""
        parts = [
            "pruned" if self.share < 1 else "",
            "int8" if self.int8 else "",
            "" if self.coding == "none" else self.coding,
        ]
        return " + ".join(p for p in parts if p) or "float32 as it is"


def study(
    setup: Setup, subject: Subject = HAR, shares: Sequence[float] = SHARES, corner: float = CORNER
) -> Path:
    """Run or take up the study; returns the page."""
    if setup.quick and subject is HAR:
        subject, shares = quick(HAR, epochs=4), (CORNER,)
    trainer = Trainer(subject, setup)
    chain = [trainer.float_network()]
    for share in shares:
        chain.append(trainer.by_weights(share, chain[-1]))
    corners: list[Corner] = []
    for share, pruned in zip((1.0, *shares), chain, strict=True):
        converted = convert_network(setup, subject, pruned, tuple(trainer.data.x.shape[1:]), "ptq")
        full = share in (1.0, corner)
        if full:
            corners += _float_corners(setup, trainer, pruned, share, converted)
        corners += _int8_corners(setup, subject, share, converted, full)
    return show(setup, trainer, corners, corner, subject)


def _float_corners(
    setup: Setup, trainer: Trainer, pruned: Pruned, share: float, converted: Converted
) -> list[Corner]:
    """The four float32 codings of a network."""
    row = needed(measure(setup, converted, ("c-float",), CORE), "c-float")

    def make() -> dict[str, Any]:
        data = trainer.data
        clustered = clustered_network(pruned.network, setup.seed)
        result: dict[str, Any] = {}
        for coding in CODINGS:
            network = clustered if coding in ("huffman", "lut") else pruned.network
            layers = weighted(network).values()
            biases = sum(int(m.bias.numel()) for m in layers)
            tensors = [m.weight.detach().numpy() for m in layers]
            result[coding] = {
                "error": 1 - accuracy(network, data.x_test, data.y_test),
                "stored": float_bytes(tensors, coding) + 4 * biases,
            }
        return result

    made = setup.store.point(
        f"float-codings-{pruned.key}",
        make,
        decides=(pruned.facts["decides"], setup.seed),
        progress=setup.progress,
    )
    corners = []
    for coding in CODINGS:
        plain = coding == "none"
        corners.append(
            Corner(
                share, False, coding, made[coding]["error"], made[coding]["stored"],
                row["flash_bytes"]["total"] if plain else None,
                row["ram_bytes"]["total"] if plain else None,
                row["instructions"] if plain else None,
                "float32 C" if plain else "computed: nothing here runs coded float32",
            )
        )  # fmt: skip
    return corners


def _int8_corners(
    setup: Setup, subject: Subject, share: float, converted: Converted, full: bool
) -> list[Corner]:
    """The four codings of an int8 network in TFLM, and our own sparse C."""
    corners = []
    for coding in CODINGS:
        coded = _coded(setup, subject, converted, coding)
        rows = measure(setup, coded, ("tflm",), CORE) if full else []
        row = row_of(rows, "tflm")
        corners.append(
            Corner(
                share, True, coding, 1 - coded.accuracy, coded.facts["bytes"],
                row["flash_bytes"]["total"] if row else None,
                row["ram_bytes"]["total"] if row else coded.facts["arena"],
                row["instructions"] if row else None,
                "TFLM" if row else "host: arena of the TFLM interpreter",
            )
        )  # fmt: skip
    rows = measure(setup, converted, OURS, CORE)
    for engine in OURS:
        ours = needed(rows, engine)
        corners.append(
            Corner(
                share, True, engine, 1 - converted.accuracy, ours["flash_bytes"]["weights"],
                ours["flash_bytes"]["total"], ours["ram_bytes"]["total"], ours["instructions"],
                "sparse C",
            )
        )  # fmt: skip
    return corners


def _coded(setup: Setup, subject: Subject, converted: Converted, coding: str) -> Converted:
    """A bundle whose .tflite holds its weights in a coding, proved equal to the plain file."""
    key = f"{converted.key}-{coding}"
    folder = setup.bundle(key)

    def make() -> dict[str, Any]:
        import numpy as np

        from bridge.compress import compress_model, prove_equal
        from bridge.convert.tflm import run
        from bridge.firmware.arena import host_arena_bytes

        model = (converted.bundle / "model_int8.tflite").read_bytes()
        with np.load(converted.bundle / "samples.npz") as stored:
            arrays = {name: stored[name] for name in stored.files}
        if coding == "lut":
            model = clustered_tflite(model, setup.seed)
            arrays["expected"] = run(model, [arrays["inputs"]])[0].reshape(arrays["expected"].shape)
        result = compress_model(model, encodings=() if coding == "none" else (coding,))
        prove_equal(model, result.model, [arrays["inputs"][:50]], count=50)
        name = Bundle.open(converted.bundle).manifest["model"]
        facts = {"accuracy": converted.accuracy, "samples": converted.samples}
        if coding == "lut":  # the others lose nothing
            plain = _write(folder, model, arrays, name)
            facts = judged(plain, subject)
        file = model if coding == "none" else result.model
        _write(folder, file, arrays, name)
        return facts | {
            "bytes": len(file),
            "arena": host_arena_bytes(file),
            "tensors": {t.name: [t.encoding, t.bytes_before, t.bytes_after]
                        for t in result.tensors},
        }  # fmt: skip

    facts = setup.store.point(
        f"coded-{key}",
        make,
        decides=(dict(converted.facts), coding, setup.seed),
        progress=setup.progress,
        needs=(folder / "bridge.json",),
    )
    return Converted(
        key, folder, facts["accuracy"], converted.float_accuracy, facts["samples"], facts
    )


def _write(folder: Path, model: bytes, arrays: dict[str, Any], name: str) -> Bundle:
    from bridge.convert.judge import npz

    writer = BundleWriter(folder, digest(model))
    writer.manifest["model"] = name
    writer.write("model_int8.tflite", model)
    writer.write("samples.npz", npz(arrays))
    return writer.commit()


def _additions(corners: Sequence[Corner], share: float) -> list[dict[str, Any]]:
    """For each combination of two or more techniques: its ratio, and that of a mere product."""
    table = {(c.share < 1, c.int8, c.coding): c for c in corners if c.share in (1.0, share)}
    base = table[False, False, "none"]

    def ratio(key: tuple[bool, bool, str]) -> float:
        return base.stored / table[key].stored

    single = {"pruned": ratio((True, False, "none")), "int8": ratio((False, True, "none"))}
    result = []
    for coding in CODINGS:
        single[coding] = ratio((False, False, coding))
        for pruned, int8 in ((True, False), (False, True), (True, True)):
            if coding == "none" and not (pruned and int8):
                continue
            names = [n for n, on in (("pruned", pruned), ("int8", int8)) if on]
            names += [] if coding == "none" else [coding]
            product = 1.0
            for name in names:
                product *= single[name]
            corner = table[pruned, int8, coding]
            together = ratio((pruned, int8, coding))
            result.append(
                {
                    "name": " + ".join(names),
                    "ratio": together,
                    "product": product,
                    "gain": together / product,
                    "lost": corner.error - base.error,
                }
            )
    return result


def _best(corners: Sequence[Corner]) -> Corner:
    """The least linked flash within one point of the float network's error."""
    base = next(c for c in corners if c.share == 1 and not c.int8 and c.coding == "none")
    good = [c for c in corners if c.flash is not None and c.error <= base.error + POINT + 1e-9]
    return min(good, key=lambda c: c.flash or 0)


def show(
    setup: Setup, trainer: Trainer, corners: list[Corner], share: float, subject: Subject
) -> Path:
    """Write the page."""
    listed = [c for c in corners if c.share in (1.0, share)]
    swept = [c for c in corners if c.int8]
    names = (*CODINGS, *OURS)

    def curve(coding: str, figure: Any) -> tuple[tuple[float, float], ...]:
        return tuple((100 * c.share, figure(c)) for c in swept if c.coding == coding and figure(c))

    plots = [
        Plot("stored weights, int8", "weights left, %", "kB",
             tuple(Line(n, curve(n, lambda c: c.stored / 1000), n == "none") for n in names),
             log_x=True, log_y=True),
        Plot("error", "weights left, %", "error, %",
             tuple(Line(n, curve(n, lambda c: 100 * c.error)) for n in ("none", "lut")),
             log_x=True),
    ]  # fmt: skip
    best = _best(corners)
    base = listed[0]
    facts = {
        "subject": subject,
        "listed": listed,
        "swept": swept,
        "names": names,
        "shares": sorted({c.share for c in swept}, reverse=True),
        "corner": share,
        "additions": _additions(corners, share),
        "best": best,
        "base": base,
        "samples": len(trainer.data.y_test),
        "measured": any(c.how == "TFLM" for c in corners),
        "parameters": trainer.float_network().facts["parameters"],
    }
    results: Mapping[str, Any] = {
        "corners": [vars(c) | {"name": c.name} for c in corners],
        "additions": facts["additions"],
        "best": vars(best) | {"name": best.name},
    }
    return write_page(setup, Page("younes.md.j2", facts, {"younes": plots}, results))
