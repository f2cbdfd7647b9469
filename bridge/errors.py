"""Every error that the bridge raises on purpose.

    BridgeError
    ├── InputError        what the user gave can't be used: a file, an option, a shape
    │   └── DataError     no data, or data that doesn't fit the network
    ├── ModelError        a network that can't be brought over as it is
    │   └── UnsupportedOperator
    ├── ProofError        two stages disagree; names the layer
    ├── ToolchainError    something is not installed: compiler, emulator, TFLM library
    ├── BuildError        the compiler or linker refused
    ├── EmulationError    the emulated core timed out, faulted or ran out of memory
    │   └── TimeLimitError
    └── BundleError       an output folder is missing, damaged or not ours

Each says what is wrong and, in ``hint``, what to do next. The command line prints both and
exits with status 2 (bad input) or 1 (everything else).
"""

from __future__ import annotations

DEFECT = "a defect of tflm-bridge or of a tool underneath, not of your input; use no result of it"
"""The hint where the user did nothing wrong."""


class BridgeError(Exception):
    """Base of all errors of the bridge.

    Args:
        what: one sentence that says what is wrong, naming the file, layer or option.
        hint: what the user can do about it.
    """

    exit_status = 1

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}\n  → {self.hint}" if self.hint else self.what


class InputError(BridgeError):
    """What the user gave can't be used."""

    exit_status = 2


class DataError(InputError):
    """There is no data, or it doesn't fit the network."""


class ModelError(BridgeError):
    """A network that can't be brought over as it is."""

    exit_status = 2


class UnsupportedOperator(ModelError):  # noqa: N818 - reads as the condition it names
    """An operator without a counterpart on the other side.

    Args:
        operator: its name, as its own format spells it.
        layer: where it stands in the network.
        hint: what to use instead.
    """

    def __init__(
        self,
        operator: str,
        layer: str,
        *,
        hint: str = "put another operator there, or run the network on an engine that has it: "
        "TFLM's have more than plain C",
    ) -> None:
        super().__init__(f"operator {operator} at {layer!r} is not supported", hint=hint)
        self.operator = operator
        self.layer = layer


class ProofError(BridgeError):
    """Two stages that must agree don't.

    Args:
        rung: the name of the proof.
        what: the statistic that failed, with its bound.
        layer: where the difference first exceeds its bound, when known.
    """

    def __init__(self, rung: str, what: str, *, layer: str = "", hint: str = DEFECT) -> None:
        place = f", first at layer {layer!r}" if layer else ""
        super().__init__(f"proof {rung!r} failed{place}: {what}", hint=hint)
        self.rung = rung
        self.layer = layer


class ToolchainError(BridgeError):
    """Something that the work needs is not installed."""


class BuildError(BridgeError):
    """The compiler or linker refused."""


class EmulationError(BridgeError):
    """The emulated core timed out, faulted or ran out of memory."""


class TimeLimitError(EmulationError):
    """The emulated core did not finish in the time that it was given."""


class BundleError(InputError):
    """An output folder is missing, damaged or not ours."""
