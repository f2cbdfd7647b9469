"""One row of the comparison: one engine on one core, or the reason why it could not run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

_FLASH = ("code", "weights", "kernels", "application")


@dataclass(frozen=True)
class LayerCount:
    """What one layer took of an inference.

    Attributes:
        layer: its name in the network.
        kind: TFLite's operator name.
        instructions: exact, counted in a build that marks where each layer starts.
        kernel: the C function that runs it; empty where the interpreter chooses.
    """

    layer: str
    kind: str
    instructions: int
    kernel: str = ""


@dataclass(frozen=True)
class Row:
    """What was measured of one engine on one core; None where a figure does not apply.

    Attributes:
        model: the bundle's model name.
        engine: one of :data:`bridge.bench.engines.ENGINES`.
        core: the emulated core, or ``host``.
        accuracy: share of correct classes over the bundle's samples, 0 to 1.
        bit_exact: outputs equal to the TFLM interpreter's byte for byte; None for float engines,
            which are not meant to be.
        samples: how many real inputs were run.
        flash_code: linked code bytes minus an empty firmware's.
        flash_kernels: the part of the code in CMSIS-NN or sparse_nn.
        flash_application: the part of the code in generated files.
        flash_weights: linked bytes of weights, biases and per-channel tables.
        ram_arena: activation memory in bytes, inputs and outputs included, without scratch.
        ram_scratch: kernel scratch in bytes; None where it lies in the arena.
        ram_stack: high-water mark of the stack during one inference, bytes.
        ram_static: linked .data and .bss beside the arena, minus an empty firmware's, bytes.
        instructions: of one inference, exact.
        layer_instructions: the same by layer, in execution order, from a second build that marks
            where each layer starts; the marks cost two instructions a layer, and what stands
            between the last layer and the end counts as the last one's.
        cycles_modelled: best, low and high estimate of a timing model; no silicon.
        baseline: the engine that ratios of this row refer to; empty for a row without one.
        kernels: the kernel libraries with their versions, and which of their kernels the linked
            file holds, from its symbols.
        tools: compiler and emulator with their versions, on which every figure depends.
        note: a remark; where the row could not run, the reason and what to do.
    """

    model: str
    engine: str
    core: str
    accuracy: float | None = None
    bit_exact: bool | None = None
    samples: int = 0
    flash_code: int | None = None
    flash_weights: int | None = None
    flash_kernels: int | None = None
    flash_application: int | None = None
    ram_arena: int | None = None
    ram_scratch: int | None = None
    ram_stack: int | None = None
    ram_static: int | None = None
    instructions: int | None = None
    layer_instructions: tuple[LayerCount, ...] = ()
    cycles_modelled: tuple[int, int, int] | None = None
    baseline: str = ""
    kernels: str = ""
    tools: str = ""
    note: str = ""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Row:
        """The inverse of :meth:`as_json`."""
        given = dict(values)
        flash, ram = given.pop("flash_bytes"), given.pop("ram_bytes")
        cycles = given.pop("cycles_modelled")
        given |= {f"flash_{part}": flash[part] for part in _FLASH}
        given |= {f"ram_{part}": ram[part] for part in ("arena", "scratch", "stack", "static")}
        given["layer_instructions"] = tuple(LayerCount(**c) for c in given["layer_instructions"])
        given["cycles_modelled"] = cycles and (cycles["best"], cycles["low"], cycles["high"])
        return cls(**given)

    @property
    def flash_total(self) -> int | None:
        """Code and weights, bytes."""
        if self.flash_code is None or self.flash_weights is None:
            return None
        return self.flash_code + self.flash_weights

    @property
    def flash_runtime(self) -> int | None:
        """The part of the code that is neither kernel nor generated: interpreter, C library."""
        if self.flash_code is None:
            return None
        return self.flash_code - (self.flash_kernels or 0) - (self.flash_application or 0)

    @property
    def ram_total(self) -> int | None:
        """Arena, scratch, stack and static data, bytes."""
        if self.ram_arena is None:
            return None
        parts = (self.ram_arena, self.ram_scratch, self.ram_stack, self.ram_static)
        return sum(part or 0 for part in parts)

    @property
    def ran(self) -> bool:
        """Whether the engine ran to its end."""
        return self.samples > 0

    def as_json(self) -> dict[str, Any]:
        """The row under the names that ``bench --json`` promises."""
        values = asdict(self)
        cycles = values.pop("cycles_modelled")
        flash = {part: values.pop(f"flash_{part}") for part in _FLASH}
        flash["runtime"] = self.flash_runtime
        ram = {part: values.pop(f"ram_{part}") for part in ("arena", "scratch", "stack", "static")}
        return {
            **values,
            "flash_bytes": {**flash, "total": self.flash_total},
            "ram_bytes": {**ram, "total": self.ram_total},
            "cycles_modelled": cycles and dict(zip(("best", "low", "high"), cycles, strict=True)),
        }
