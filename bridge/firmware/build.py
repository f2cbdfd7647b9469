"""Build firmware around a network, with CMake, for one emulated core."""

from __future__ import annotations

import atexit
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bridge.bundle import write_atomic
from bridge.compile.program import CProgram
from bridge.cores import core as find_core
from bridge.errors import BuildError
from bridge.firmware.cmsis_nn import CmsisNN, find_cmsis_nn
from bridge.firmware.kept import keep
from bridge.firmware.size import linked_kernels
from bridge.paths import tflm_project
from bridge.text import environment
from bridge.toolchain import require, version


@dataclass(frozen=True)
class Firmware:
    """A linked firmware.

    Attributes:
        elf: the linked file, with symbols.
        core: what it was compiled for.
        kernels: the kernel libraries with their versions, and which of their kernels the file
            holds.
    """

    elf: Path
    core: str
    kernels: str = ""


def build_c(program: CProgram, core: str, out: Path, cmsis: CmsisNN | None = None) -> Firmware:
    """Build a network in plain C.

    Args:
        program: the generated sources.
        core: for example ``cortex-m4``.
        out: a folder to build in; it is made.
        cmsis: what programs that call CMSIS-NN are linked with; found where left out.

    Raises:
        ToolchainError: compiler, CMake or CMSIS-NN is not there.
        BuildError: the compiler or linker refused, or the network doesn't fit the board.
    """
    options = {"BRIDGE_LIBRARIES": ";".join(program.library)}
    libraries = ["sparse_nn"] if "sparse_nn" in program.library else []
    if "cmsis_nn" in program.library:
        cmsis = cmsis or find_cmsis_nn()
        options |= cmsis.options
        libraries.append(cmsis.label)
    options["BRIDGE_DEFINES"] = ";".join(program.defines)
    files = {**program.files, "model_under_test.h": under_test_header(program)}
    elf = build_files(core, "c", files, options, out)
    return Firmware(elf, core, f"{', '.join(libraries)}; linked: {linked_kernels(elf)}")


def build_traced(firmware: Firmware) -> Path:
    """Link a firmware once more, with a mark at each layer's start, for counts per layer.

    Args:
        firmware: as built; its folder is still there.

    Returns:
        The ELF file that marks.
    """
    folder = firmware.elf.parent
    _run([str(require("cmake")), "--build", str(folder), "--target", "traced"], firmware.core)
    return folder / "traced.elf"


@cache
def build_empty(core: str) -> Firmware:
    """The runner without a network: the zero point of every flash and RAM figure.

    It is built once a process, and stands until the process ends.

    Raises:
        ToolchainError: compiler or CMake is not there.
        BuildError: the compiler or linker refused.
    """
    folder = Path(tempfile.mkdtemp(prefix="tflm-bridge-empty-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    header = environment("bridge.firmware").get_template("under_test_empty.h.j2").render()
    files, options = {"model_under_test.h": header}, {"BRIDGE_LIBRARIES": ""}
    return Firmware(build_files(core, "c", files, options, folder), core)


def build_runner(core: str, files: Mapping[str, str], out: Path) -> Path:
    """Build the plain C runner around hand-written sources; model_under_test.h is one of them."""
    return build_files(core, "c", files, {}, out)


def under_test_header(program: CProgram) -> str:
    """The small header that joins a generated network to the runner's single buffers."""
    template = environment("bridge.firmware").get_template("under_test_c.h.j2")
    return template.render(
        prefix=program.prefix,
        name=program.prefix.upper(),
        inputs=program.input_count,
        outputs=program.output_count,
    )


def build_files(
    core: str, app: str, files: Mapping[str, str], options: Mapping[str, str], out: Path
) -> Path:
    """Configure and build a runner around generated files.

    Args:
        core: for example ``cortex-m4``.
        app: which runner: ``c`` or ``tflm``.
        files: name → text of the generated sources.
        options: further CMake definitions.
        out: a folder to build in; it is made.

    Returns:
        The linked ELF file.
    """
    generated = out / "generated"
    for name, content in files.items():
        write_atomic(generated / name, content)
    given = {"BRIDGE_APP": app, "BRIDGE_GENERATED": str(generated.resolve()), **options}
    linked = options.get("BRIDGE_LIBRARIES", "sparse_nn").split(";")
    defines = options.get("BRIDGE_DEFINES", "")
    if app == "tflm" or "sparse_nn" in linked:
        given["SPARSE_NN_LIBRARY"] = str(_library("sparse_nn", core, defines))
    if "cmsis_nn" in linked and not options.get("CMSIS_NN_LIBRARY"):
        source, headers = (options.get(n, "") for n in ("CMSIS_NN_SOURCE", "CMSIS_CORE"))
        given["CMSIS_NN_LIBRARY"] = str(_library("cmsis_nn", core, defines, source, headers))
    return _make(core, "firmware", given, out / "build") / "firmware.elf"


@cache
def _library(name: str, core: str, defines: str, source: str = "", headers: str = "") -> Path:
    """A kernel library for a core, kept in the user's cache.

    Args:
        name: ``sparse_nn`` or ``cmsis_nn``.
        core: for example ``cortex-m4``.
        defines: compile definitions, separated by semicolons.
        source: CMSIS-NN's folder with ``Include`` and ``Source``.
        headers: CMSIS core's.
    """
    project = tflm_project()
    flags = (version("arm-none-eabi-gcc"), core, defines, source, headers)
    recipe = [project / "CMakeLists.txt", project / "cmake" / "arm-none-eabi.cmake"]
    root = Path(source) if source else project / "sparse_nn"
    files = [*recipe, *sorted(root.rglob("*.[ch]"))]
    files += sorted(Path(headers).glob("*.h")) if headers else []
    options = {
        "BRIDGE_APP": "none", "BRIDGE_LIBRARIES": name, "BRIDGE_DEFINES": defines,
        "CMSIS_NN_SOURCE": source, "CMSIS_CORE": headers,
    }  # fmt: skip
    return keep(
        "firmware", name, flags, files, lambda out: _make(core, name, options, out) / f"lib{name}.a"
    )


def _make(core: str, target: str, options: Mapping[str, str], out: Path) -> Path:
    """Configure the project and build one of its targets; returns the folder."""
    for program in ("arm-none-eabi-gcc", "ninja"):
        require(program)
    cmake, project = str(require("cmake")), tflm_project()
    given = {"BRIDGE_CORE": core, "BRIDGE_MACHINE": find_core(core).machine, **options}
    _run(
        [
            cmake, "-S", str(project), "-B", str(out), "-G", "Ninja",
            "--toolchain", str(project / "cmake" / "arm-none-eabi.cmake"),
            *(f"-D{name}={value}" for name, value in given.items()),
        ],
        core,
    )  # fmt: skip
    _run([cmake, "--build", str(out), "--target", target], core)
    return out


def _run(command: list[str], core: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return
    output = result.stderr + result.stdout
    if "does not fit into" in output or "will not fit in region" in output:
        over = re.search(r"region `(\w+)' overflowed by (\d+) bytes", output)
        which = f": {over.group(1)} is short of {int(over.group(2)):,} bytes" if over else ""
        raise BuildError(
            f"the network does not fit into the memory of the emulated {core} board{which}",
            hint="choose a core with a larger board, or a smaller network",
        )
    raise BuildError(
        f"building for {core} failed:\n" + "\n".join(f"    {line}" for line in _told(output)[:12]),
        hint="tflm-bridge doctor shows which tools were found",
    )


def _told(output: str) -> list[str]:
    """The lines that say what is wrong; CMake has its reason indented below a line of its own."""
    found, below = [], False
    for line in output.splitlines():
        if re.search("[Ee]rror|undefined|tflm-problem", line) or (below and line.startswith("  ")):
            found.append(line)
        below = line.startswith("CMake Error") or (below and line.startswith("  "))
    return found
