"""What a conversion is asked for and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.bundle import digest
from bridge.cores import core
from bridge.data import LAYOUTS
from bridge.errors import InputError

PATTERNS = ("unstructured", "2:4", "1x4", "4x1", "filter")
SCHEDULES = ("polynomial", "constant")
QUANTIZATIONS = ("ptq", "qat")


@dataclass(frozen=True)
class ConvertOptions:
    """Everything that decides a conversion's result.

    Attributes:
        model: a zoo name, ``file.py:Class`` (or a function that returns a module), an
            ``.onnx``, a ``.pt2`` or an int8 ``.tflite`` (which skips to packaging).
        weights: a state dict for a ``file.py:Class``; a pickled module only with
            ``allow_pickle``. None: the zoo's own, or the weights that the class starts with.
        data: a named data set or ``file.py:function``; None: the zoo's own, or none at all,
            where the network is only proved on random inputs.
        args: constructor arguments of the class, by name (``{"classes": 6}``).
        input_shapes: one shape per input without the batch, as the network takes it
            (``((3, 96, 96),)``); None: from the data.
        layout: of the user's own data arrays, ``channels-last`` or ``channels-first``; None
            where samples are flat, the data says it, or none are the user's own.
        network_layout: what the network's inputs look like, PyTorch's ``channels-first`` or
            ``channels-last``.
        sparsity: share of zeros to reach in every pruned weight tensor, 0 … 0.99; 0 prunes
            nothing. None: 0.9, or the 0.5 that the pattern 2:4 always has.
        layer_sparsity: other shares for single layers, by the layer's name in the network;
            0 leaves a layer dense. A named layer is pruned even if the defaults leave it out.
        prune_all: also prune the first, the last and depthwise layers, which are left out by
            default.
        pattern: ``unstructured``, ``2:4`` (of four neighbouring weights two), ``1x4`` or
            ``4x1`` (blocks along input or output channels), or ``filter`` (whole filters,
            really removed: the tensors shrink).
        schedule: ``polynomial`` (rises to the target) or ``constant`` (from the first step).
        quantize: ``ptq`` or ``qat``.
        clusters: at most so many distinct values in each weight tensor, zero among them, for
            shorter codes in ``tflm-bridge compress``; 0 leaves them free.
        epochs: of fine-tuning while pruning; QAT runs half as many. 0: no fine-tuning.
        learning_rate: of Adam, at the start of fine-tuning.
        batch_size: of fine-tuning.
        max_train: use at most this many training samples to fine-tune; None: all.
        max_accuracy_drop: search for the highest sparsity whose int8 accuracy is at most this
            far below the float network's; ``sparsity`` is then the highest tried.
        seed: of everything that is drawn; the same seed gives the same .tflite bytes.
        samples: how many test samples the bundle carries, at least 200 where there are as many.
        core: whose costs the expected gain per layer is told for.
        allow_pickle: load a pickled module; it can run any code.
        onnx2tf: also bring the network through onnx2tf, as an independent witness.
    """

    model: str
    weights: Path | None = None
    data: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    input_shapes: tuple[tuple[int, ...], ...] | None = None
    layout: str | None = None
    network_layout: str = "channels-first"
    sparsity: float | None = None
    layer_sparsity: Mapping[str, float] = field(default_factory=dict)
    prune_all: bool = False
    pattern: str = "unstructured"
    schedule: str = "polynomial"
    quantize: str = "qat"
    clusters: int = 0
    epochs: int = 6
    learning_rate: float = 1e-3
    batch_size: int = 64
    max_train: int | None = 12000
    max_accuracy_drop: float | None = None
    seed: int = 0
    samples: int = 200
    core: str = "cortex-m4"
    allow_pickle: bool = False
    onnx2tf: bool = True

    def __post_init__(self) -> None:
        shares = {"--sparsity": self.target, **self.layer_sparsity}
        for name, share in shares.items():
            if not isinstance(share, (int, float)) or not 0.0 <= share <= 0.99:
                raise InputError(
                    f"the sparsity of {name} is {share!r}, not within 0 … 0.99",
                    hint="0.9 keeps one weight in ten",
                )
        for name, value, known in (
            ("pattern", self.pattern, PATTERNS),
            ("schedule", self.schedule, SCHEDULES),
            ("quantization", self.quantize, QUANTIZATIONS),
            ("network layout", self.network_layout, LAYOUTS),
            ("layout", self.layout, (None, *LAYOUTS)),
        ):
            if value not in known:
                raise InputError(
                    f"unknown {name} {value!r}", hint=f"one of {', '.join(filter(None, known))}"
                )
        if self.epochs < 0 or self.batch_size < 1 or self.samples < 1:
            raise InputError(
                "epochs, batch size and samples can't be negative", hint="only epochs may be 0"
            )
        if self.clusters and not 3 <= self.clusters <= 256:
            raise InputError(
                f"{self.clusters} clusters are not within 3 … 256",
                hint="16 give codes of about five bits a weight; 0 leaves the values free",
            )
        if self.pattern == "2:4" and self.sparsity not in (None, 0.0, 0.5):
            raise InputError(
                f"the pattern 2:4 always has sparsity 0.5, not {self.sparsity}",
                hint="leave --sparsity out, or choose another pattern",
            )
        core(self.core)
        if self.max_accuracy_drop is not None and not 0 <= self.max_accuracy_drop < 1:
            raise InputError(
                f"--max-accuracy-drop is {self.max_accuracy_drop}, not a share between 0 and 1",
                hint="0.01 allows one percent point less accuracy",
            )

    def file_digests(self) -> list[str]:
        """A hash of each file that the user named: the network's, its weights, the data's."""
        named = (self.model, str(self.weights or ""), self.data or "")
        files = [Path(f"{t.partition('.py:')[0]}.py" if ".py:" in t else t) for t in named if t]
        return [digest(file.read_bytes()) for file in files if file.is_file()]

    @property
    def target(self) -> float:
        """The sparsity to reach: the one asked for, or the pattern's own."""
        if self.sparsity is not None:
            return self.sparsity
        return 0.5 if self.pattern == "2:4" else 0.9


@dataclass(frozen=True)
class Proof:
    """One rung of the ladder: two stages held against each other.

    Attributes:
        rung: its name, for example ``lifted Keras = PyTorch``.
        passed: whether ``statistic`` keeps ``bound``. A witness that disagrees doesn't pass
            either, but stops nothing; its detail says so.
        statistic: the measured value.
        bound: what it had to keep.
        unit: of both, for example ``of output range`` or ``share of zeros``.
        samples: how many inputs were compared.
        layer: where the difference first exceeds its bound, or which layer was judged.
        detail: one sentence more.
    """

    rung: str
    passed: bool
    statistic: float
    bound: float
    unit: str
    samples: int
    layer: str = ""
    detail: str = ""


@dataclass(frozen=True)
class LayerReport:
    """One weighted layer of the finished network.

    Attributes:
        name: the module's path in PyTorch.
        kind: the Keras layer's class.
        weights: how many weights it has.
        target: the sparsity asked for; None where it was left out of pruning.
        sparsity: the share of zeros in its int8 weight tensor.
        reason: why it was left out, or empty.
        macs: multiply-accumulates for one input.
    """

    name: str
    kind: str
    weights: int
    target: float | None
    sparsity: float
    reason: str
    macs: int


@dataclass(frozen=True)
class Fidelity:
    """Float against int8 at one layer's output.

    Attributes:
        name: the layer.
        snr_db: signal-to-noise ratio of the dequantized int8 values, in dB.
        low: lowest float value seen.
        high: highest float value seen.
        saturated: share of int8 values at −128 or 127 (of a ReLU's zero point: not counted).
        constant: whether the int8 values never change.
    """

    name: str
    snr_db: float
    low: float
    high: float
    saturated: float
    constant: bool

    def __str__(self) -> str:
        return (
            f"{self.name!r} has {self.snr_db:.1f} dB signal to noise over {self.low:.3g} … "
            f"{self.high:.3g}, {self.saturated:.1%} of its int8 values at the ends"
        )


@dataclass(frozen=True)
class ConvertResult:
    """What a conversion made.

    Attributes:
        metrics: ``float``, ``pruned`` and ``int8``: the task's metric on the test part (accuracy,
            or mean squared error for a reconstruction), and its name under ``metric``.
        proofs: the whole ladder, in order.
        layers: every weighted layer.
        fidelity: every layer's int8 output against float.
        notes: what the user should know, one sentence each.
        io: inputs and outputs: name, shape, dtype, scale, zero point, layout.
    """

    metrics: Mapping[str, Any]
    proofs: tuple[Proof, ...]
    layers: tuple[LayerReport, ...]
    fidelity: tuple[Fidelity, ...]
    notes: tuple[str, ...]
    io: Mapping[str, Any]
