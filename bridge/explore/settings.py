"""What an exploration is asked for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import bridge
from bridge.bundle import digest
from bridge.convert.options import ConvertOptions
from bridge.errors import InputError, ToolchainError
from bridge.explore.recommend import Limits
from bridge.explore.space import PLAIN, Space
from bridge.firmware.tflm_library import check_root, libraries, library_for, tflm_version
from bridge.toolchain import require

SAMPLERS = ("tpe", "nsga2", "random", "all")


@dataclass(frozen=True)
class Settings:
    """Everything that decides how an exploration goes.

    Attributes:
        base: what every trial's conversion has in common; sparsity, pattern, quantization and
            core are the point's own.
        space: what is searched.
        out: folder of the study, its networks and its result.
        limits: what the recommendation keeps; trials that can't keep them are given up early.
        trials: distinct points that the study holds in the end, earlier runs included.
        sampler: ``tpe``, ``nsga2``, ``random`` or ``all`` (every point in turn).
        storage: an Optuna (SQLAlchemy) URL; None for ``study.db`` in ``out``.
        study: its name there; None for one made of the model and all that decides the results.
        workers: processes that run trials.
        tflm_root: a built TFLM tree, for codings that need TFLM.
        timeout: seconds after which no new trial starts; None for no bound.
    """

    base: ConvertOptions
    space: Space
    out: Path
    limits: Limits = field(default_factory=Limits)
    trials: int = 40
    sampler: str = "tpe"
    storage: str | None = None
    study: str | None = None
    workers: int = 1
    tflm_root: Path | None = None
    timeout: float | None = None

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise InputError(
                f"unknown sampler {self.sampler!r}", hint=f"one of {', '.join(SAMPLERS)}"
            )
        if self.trials < 0 or self.workers < 1:
            raise InputError("--trials can't be negative, and --workers is at least 1")
        if self.base.max_accuracy_drop is not None:
            raise InputError("an exploration has its own limit of accuracy")

    def require_tools(self) -> None:
        """Look for everything that trials need, before anything is trained.

        Raises:
            InputError: a coding needs a TFLM tree, and none is given.
            ToolchainError: compiler or emulator is missing, or the library for a core.
        """
        for program in ("arm-none-eabi-gcc", "qemu-system-arm"):
            require(program)
        needing = [c for c in self.space.codings if c not in PLAIN]
        if not needing:
            return
        plain = " ".join(f"--coding {c}" for c in PLAIN)
        if self.tflm_root is None:
            raise InputError(
                f"coding {needing[0]} needs TFLM, and TFLM_ROOT is not set",
                hint=f"set TFLM_ROOT to a tree with a built library, or search {plain}",
            )
        for core in self.space.cores:
            check_root(self.tflm_root, core)
            if library_for(self.tflm_root, core) is None:
                raise ToolchainError(
                    f"coding {needing[0]} needs TFLM's library for {core}: TFLM_ROOT has none",
                    hint=f"build it, search other cores with --core, or search {plain}",
                )

    @property
    def url(self) -> str:
        """Where the study is kept."""
        if self.storage is None:
            return f"sqlite:///{(self.out / 'study.db').resolve()}"
        # SQLAlchemy would take psycopg2 for the bare scheme; psycopg is its successor.
        for scheme in ("postgres://", "postgresql://"):
            if self.storage.startswith(scheme):
                return "postgresql+psycopg://" + self.storage.removeprefix(scheme)
        return self.storage

    @property
    def name(self) -> str:
        """The study's name: the same only where the same point gives the same result."""
        if self.study is not None:
            return self.study
        from bridge.pipeline import model_name

        base = dataclasses.replace(self.base, samples=1)
        parts = [repr(base), repr(self.space), bridge.__version__, *base.file_digests()]
        if self.tflm_root is not None:
            # With a library for the core, c-dense calls other kernels than without.
            built = [str(lib.relative_to(self.tflm_root)) for lib in libraries(self.tflm_root)]
            parts += [tflm_version(self.tflm_root), *built]
        return f"{model_name(base.model)}-{digest(chr(10).join(parts).encode())[:10]}"

    @property
    def networks(self) -> Path:
        """Where trained networks are kept."""
        return self.out / "networks" / self.name
