"""What is searched: points of five choices, and how a sampler proposes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bridge.convert.options import PATTERNS, ConvertOptions
from bridge.cores import CORES
from bridge.errors import InputError

UNPRUNED = "none"
"""The pattern of a network that is not pruned at all."""

CODINGS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "dense": ("c-dense", ()),
    "sparse": ("c-sparse", ()),
    "compact": ("c-compact", ()),
    "tflm": ("tflm", ()),
    "tflm-sparse": ("tflm-sparse", ()),
    "tflm-bitmask": ("tflm-decode", ("bitmask",)),
    "tflm-huffman": ("tflm-decode", ("huffman",)),
    "tflm-lut": ("tflm-decode", ("lut",)),
    "tflm-smallest": ("tflm-decode", ("bitmask", "huffman", "lut")),
}
"""How weights are stored: the engine that runs them, and TFLM's encodings where it decodes."""

PLAIN = ("dense", "sparse", "compact")
"""Those without TFLM."""

SPARSITIES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98)


@dataclass(frozen=True)
class Point:
    """One choice of everything that is searched.

    Attributes:
        pattern: of pruning, or :data:`UNPRUNED`.
        sparsity: share of zeros in every pruned tensor.
        quantize: ``ptq`` or ``qat``.
        coding: one of :data:`CODINGS`.
        core: the emulated core.
    """

    pattern: str
    sparsity: float
    quantize: str
    coding: str
    core: str

    @property
    def engine(self) -> str:
        """The bench engine that runs this coding."""
        return CODINGS[self.coding][0]

    @property
    def encodings(self) -> tuple[str, ...]:
        """TFLM's encodings that may be used; empty where nothing is decoded."""
        return CODINGS[self.coding][1]

    @property
    def network(self) -> str:
        """Names the int8 network: what is trained once for all codings and cores."""
        return f"{self.rough}-{self.quantize}"

    @property
    def rough(self) -> str:
        """Names the pruned network, whichever way it is quantized."""
        pattern = self.pattern.replace(":", "of")
        return pattern if self.pattern == UNPRUNED else f"{pattern}-{self.sparsity:g}"

    def options(self, base: ConvertOptions) -> ConvertOptions:
        """What to convert with to get this point's network."""
        pruned = self.pattern != UNPRUNED
        return replace(
            base,
            pattern=self.pattern if pruned else "unstructured",
            sparsity=self.sparsity if pruned else 0.0,
            quantize=self.quantize,
            core=self.core,
        )

    def __str__(self) -> str:
        share = "" if self.pattern == UNPRUNED else f" {self.sparsity:g}"
        pattern = "unpruned" if self.pattern == UNPRUNED else self.pattern
        return f"{pattern}{share} {self.quantize}, {self.coding} on {self.core}"


@dataclass(frozen=True)
class Space:
    """All points that may be tried.

    Attributes:
        patterns: of pruning; :data:`UNPRUNED` among them compares with no pruning.
        sparsities: shares of zeros, for the patterns that leave them free.
        quantizations: ``ptq``, ``qat``.
        codings: names out of :data:`CODINGS`.
        cores: the emulated cores.
    """

    patterns: tuple[str, ...] = (UNPRUNED, *PATTERNS)
    sparsities: tuple[float, ...] = SPARSITIES
    quantizations: tuple[str, ...] = ("ptq", "qat")
    codings: tuple[str, ...] = PLAIN
    cores: tuple[str, ...] = ("cortex-m4", "cortex-m7", "cortex-m55")

    def __post_init__(self) -> None:
        for what, given, known in (
            ("pattern", self.patterns, (UNPRUNED, *PATTERNS)),
            ("quantization", self.quantizations, ("ptq", "qat")),
            ("coding", self.codings, tuple(CODINGS)),
            ("core", self.cores, CORES),
        ):
            if not given:
                raise InputError(f"no {what} to search")
            for name in given:
                if name not in known:
                    raise InputError(f"unknown {what} {name!r}", hint=f"one of {', '.join(known)}")
        if not self.sparsities or not all(0 < share <= 0.99 for share in self.sparsities):
            raise InputError("sparsities to search are shares above 0, up to 0.99")

    def points(self) -> list[Point]:
        """Every point, in a fixed order."""
        return [
            Point(pattern, share, quantize, coding, core)
            for pattern in self.patterns
            for share in self._shares(pattern)
            for quantize in self.quantizations
            for coding in self.codings
            for core in self.cores
        ]

    def _shares(self, pattern: str) -> tuple[float, ...]:
        return {UNPRUNED: (0.0,), "2:4": (0.5,)}.get(pattern, self.sparsities)

    def suggest(self, trial: Any) -> Point:
        """The point that an Optuna trial proposes."""
        pattern = trial.suggest_categorical("pattern", self.patterns)
        shares = self._shares(pattern)
        share = shares[0]
        if pattern not in (UNPRUNED, "2:4"):
            # An index, since a sampler should know that neighbouring shares are alike.
            share = shares[trial.suggest_int("sparsity", 0, len(shares) - 1)]
        return Point(
            pattern,
            share,
            trial.suggest_categorical("quantize", self.quantizations),
            trial.suggest_categorical("coding", self.codings),
            trial.suggest_categorical("core", self.cores),
        )

    def params(self, point: Point) -> dict[str, Any]:
        """A point as the parameters of an Optuna trial."""
        values: dict[str, Any] = {"pattern": point.pattern}
        if point.pattern not in (UNPRUNED, "2:4"):
            values["sparsity"] = self.sparsities.index(point.sparsity)
        return {**values, "quantize": point.quantize, "coding": point.coding, "core": point.core}

    def point(self, params: Mapping[str, Any]) -> Point:
        """The inverse of :meth:`params`."""
        pattern = params["pattern"]
        index = params.get("sparsity", 0)
        share = self._shares(pattern)[index]
        return Point(pattern, share, params["quantize"], params["coding"], params["core"])

    def first(self) -> list[Point]:
        """Points to begin with: dense and unpruned, and what ``convert`` does by default."""
        points = self.points()
        wishes = (
            {"pattern": UNPRUNED, "quantize": "ptq", "coding": "dense"},
            {"pattern": "unstructured", "sparsity": 0.9, "quantize": "qat", "coding": "sparse"},
        )
        return [
            found[0]
            for wish in wishes
            if (found := [p for p in points if all(getattr(p, k) == v for k, v in wish.items())])
        ]


def default_codings(tflm_root: Path | None) -> tuple[str, ...]:
    """Plain C's codings; with a TFLM tree the interpreter's too."""
    return (*PLAIN, "tflm", "tflm-sparse", "tflm-smallest") if tflm_root else PLAIN
