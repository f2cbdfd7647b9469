"""What every study script takes from its command line, and where it keeps things."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from bridge.errors import BridgeError, InputError
from bridge.progress import Progress
from bridge.study.store import Store


@dataclass(frozen=True)
class Setup:
    """One run of a study.

    Attributes:
        name: of the study, and of its page.
        work: folder for networks, bundles and points; a run goes on with what is there.
        pages: folder that the page, its pictures and its JSON are written to.
        quick: few epochs and points, to see that everything works.
        seed: of all that is drawn.
        measure_again: repeat what runs on the emulated core, keep the trained networks.
        tflm_root: a built TFLM tree, or None.
        progress: told what runs.
        origins: what its points were made with, one entry a point.
    """

    name: str
    work: Path
    pages: Path
    quick: bool
    seed: int
    measure_again: bool
    tflm_root: Path | None
    progress: Progress
    origins: list[dict[str, str]] = field(default_factory=list)

    @property
    def store(self) -> Store:
        """This study's points."""
        return self.store_in(self.work / self.name / "points")

    def store_in(self, folder: Path) -> Store:
        """Points that studies share."""
        return Store(folder, self.origins)

    def versions(self) -> dict[str, str]:
        """What the points were made with; all versions where not all had the same."""
        found: dict[str, dict[str, None]] = {}
        for origin in self.origins:
            for name, version in origin.items():
                found.setdefault(name, {})[version] = None
        return {name: " and ".join(several) for name, several in found.items()}

    def bundle(self, key: str) -> Path:
        """Where a point's bundle stands."""
        return self.work / self.name / "bundles" / key

    @property
    def command(self) -> str:
        """What makes this page again; the TFLM tree lies elsewhere for everybody."""
        parts = [] if self.tflm_root is None else ["TFLM_ROOT=…"]
        parts += [f"python scripts/reproduce_{self.name}.py"]
        parts += ["--quick"] if self.quick else []
        parts += [f"--seed {self.seed}"] if self.seed else []
        return " ".join(parts)


def run(study: ModuleType, about: str, argv: Sequence[str]) -> int:
    """Parse a script's command line and run its study; returns the exit status.

    A user's mistake or a missing part is told in words, never as a stack trace.

    Args:
        study: a module of this package with ``NAME``, ``study(setup)``, which runs it and returns
            the page, and ``page(results)``.
        about: the script's help.
        argv: its arguments.
    """
    from bridge.console import Terminal
    from bridge.study.page import draw_page

    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few epochs and points: minutes")
    parser.add_argument("--seed", type=int, default=0, help="of everything that is drawn")
    parser.add_argument(
        "--work", type=Path, default=Path("out/studies"), help="networks, bundles, points"
    )
    parser.add_argument(
        "--pages", type=Path, help="where the page goes; docs/results, with --quick the work folder"
    )
    parser.add_argument(
        "--measure-again", action="store_true", help="keep the networks, measure all anew"
    )
    parser.add_argument(
        "--redraw", action="store_true", help="run nothing: draw the page again from its .json"
    )
    given = parser.parse_args(argv)
    root = os.environ.get("TFLM_ROOT")
    work = given.work / "quick" if given.quick else given.work
    setup = Setup(
        name=study.NAME,
        work=work,
        pages=given.pages or (work / "pages" if given.quick else Path("docs/results")),
        quick=given.quick,
        seed=given.seed,
        measure_again=given.measure_again,
        tflm_root=Path(root) if root else None,
        progress=Terminal(),
    )
    try:
        if given.redraw:
            print(draw_page(_results(setup), study.page))
        else:
            print(study.study(setup))
    except BridgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _results(setup: Setup) -> Path:
    file = setup.pages / f"{setup.name}.json"
    if not file.is_file():
        raise InputError(f"{file} is not there", hint="run the study first, or name its --pages")
    return file
