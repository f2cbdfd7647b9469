"""Build firmware around a network in TFLM, with the smallest arena that works on the core."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.cores import core as find_core
from bridge.emulate.run import Run, run
from bridge.errors import BuildError, EmulationError, ModelError, TimeLimitError, ToolchainError
from bridge.firmware.arena import host_arena_bytes
from bridge.firmware.arrays import model_data
from bridge.firmware.build import Firmware, build_files
from bridge.firmware.resolver import resolver_header
from bridge.firmware.size import linked_kernels
from bridge.firmware.tflm_library import check_root, library_for, place_of, tflm_version
from bridge.graph import Graph
from bridge.text import environment

if TYPE_CHECKING:
    from bridge.compile.registrations import Registrations

ARENA_STEP = 16
"""TFLM's own alignment, and so the resolution of the search, in bytes."""
PREFIX = "mut"
"""Of every generated name in a firmware that is measured."""


def build_tflm(
    model: bytes,
    graph: Graph,
    core: str,
    out: Path,
    tflm_root: Path,
    *,
    arena: int | None = None,
    timeout: float = 600,
    sparse: Registrations | None = None,
) -> Firmware:
    """Build a network in stock TFLM.

    Args:
        model: the TFLite flatbuffer that goes into flash.
        graph: the same, read; decides which operators are linked.
        core: for example ``cortex-m4``.
        out: a folder to build in; it is made.
        tflm_root: a TFLM tree with a built library, or an installed prefix.
        arena: bytes; the smallest that works is found by running where left out.
        timeout: seconds that one run of that search may take.
        sparse: layers that our kernels run inside the interpreter, under the prefix
            :data:`PREFIX`; ``model`` is then the flatbuffer that came with them, ``graph`` the
            network as it was before.

    Raises:
        ToolchainError: there is no TFLM library for this core, or no compiler.
        BuildError: the compiler or linker refused, or the network or its arena doesn't fit the
            board.
        UnsupportedOperator: TFLM lacks an operator.
        ModelError: TFLM refuses the network on the core even with a large arena.
        TimeLimitError: a run of the search took too long.
    """
    check_root(tflm_root, core)

    def link(size: int) -> Path:
        return _link(_files(model, graph, size, sparse), core, out, tflm_root)

    if arena is None:
        largest = find_core(core).ram // 2
        elf = link(largest)
        _check_arena(model, core, largest)
        arena = smallest_arena(elf, core, _input_bytes(graph), largest, timeout)
    elf = link(-(-arena // ARENA_STEP) * ARENA_STEP)
    library = library_for(tflm_root, core)
    place = f" ({place_of(library, tflm_root)})" if library else ""
    return Firmware(elf, core, f"{tflm_version(tflm_root)}{place}; linked: {linked_kernels(elf)}")


def _check_arena(model: bytes, core: str, largest: int) -> None:
    """Tell a network that is too large for the board from one that TFLM refuses.

    Raises:
        BuildError: the host's interpreter takes more.
    """
    try:
        needed = host_arena_bytes(model)
    except ModelError:
        return  # the core will say why: kernels of its own may run what the host's refuse
    if needed > largest:
        raise BuildError(
            f"the network needs about {needed:,} bytes of arena; the emulated {core} board has "
            f"{largest:,} for it",
            hint="choose a core with a larger board, or a smaller network or input",
        )


def smallest_arena(
    elf: Path, core: str, input_bytes: int, largest: int, timeout: float = 600
) -> int:
    """The smallest arena, in steps of 16 bytes, with which the core allocates and runs a network.

    One linked firmware is run again and again with less of its arena. A size works when the
    outputs for two inputs are those that the whole arena gave.

    Args:
        elf: a TFLM firmware with a large arena.
        core: what it is for.
        input_bytes: of one inference.
        largest: the arena that it was linked with, in bytes.
        timeout: seconds that one run may take.

    Raises:
        ModelError: the network is refused with the whole arena too.
        TimeLimitError: a run took longer: it says nothing about an arena.
    """
    inputs = bytes(i * 7 & 0xFF for i in range(2 * input_bytes))

    def attempt(limit: int) -> Run | None:
        files = {"arena.bin": limit.to_bytes(4, "little")}
        try:
            return run(elf, core, inputs=inputs, files=files, count=False, timeout=timeout)
        except TimeLimitError:
            raise
        except EmulationError:
            return None  # refused, or faulted for want of memory: release builds check little

    try:
        whole = run(elf, core, inputs=inputs, count=False, timeout=timeout)
    except TimeLimitError:
        raise
    except EmulationError as error:
        raise ModelError(
            f"TFLite Micro refuses the network on {core} even with {largest} bytes of arena: "
            f"{error.what}",
            hint="an operator or its version may be missing in this TFLite Micro",
        ) from None

    def works(steps: int) -> bool:
        result = attempt(steps * ARENA_STEP)
        return result is not None and result.outputs == whole.outputs

    # What TFLM says it used is off by its alignment at most, or too low where allocating needs
    # more for a while than it keeps.
    high = -(-int(whole.lines["arena_used"]) // ARENA_STEP)
    if works(high):
        while high > 1 and works(high - 1):
            high -= 1
        return high * ARENA_STEP
    low = high
    while not works(high):
        low, high = high + 1, high + max(high // 16, 1)
        if high * ARENA_STEP > largest:
            return largest
    while low < high:
        middle = (low + high) // 2
        if works(middle):
            high = middle
        else:
            low = middle + 1
    return high * ARENA_STEP


def _input_bytes(graph: Graph) -> int:
    return sum(graph.tensor(index).bytes for index in graph.inputs)


def _files(
    model: bytes, graph: Graph, arena: int, sparse: Registrations | None
) -> Mapping[str, str]:
    template = environment("bridge.firmware").get_template("under_test_tflm.h.j2")
    return {
        **model_data(model, PREFIX),
        **(sparse.files if sparse else {}),
        f"{PREFIX}_resolver.h": resolver_header(graph, PREFIX, sparse=sparse),
        "model_under_test.h": template.render(prefix=PREFIX, arena=arena),
    }


def _link(files: Mapping[str, str], core: str, out: Path, tflm_root: Path) -> Path:
    options = {"TFLM_ROOT": str(tflm_root.resolve())}
    try:
        return build_files(core, "tflm", files, options, out)
    except BuildError as error:
        problem = re.search(r"tflm-problem=(.*)", error.what)
        if problem is None:
            problem = re.search(r"fatal error: (\S+: No such file or directory)", error.what)
        if problem is None:
            raise
        hint = f"build TFLite Micro's static library for {core} under TFLM_ROOT"
        if "header" in problem.group(1) or "No such file" in problem.group(1):
            hint = (
                "TFLM_ROOT is upstream's tree with its downloads, or a prefix whose include/ has "
                "tensorflow/, signal/, flatbuffers/, third_party/gemmlowp and third_party/ruy"
            )
        raise ToolchainError(problem.group(1), hint=hint) from None
