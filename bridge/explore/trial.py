"""One trial: a proposed point, measured once, with what came out of it kept in the study."""

from __future__ import annotations

import logging
import warnings
from typing import Any

from bridge.errors import BridgeError, ProofError, ToolchainError
from bridge.explore.objective import Bench, Hopeless, verdict
from bridge.explore.process import this_process
from bridge.explore.settings import Settings
from bridge.explore.space import Point
from bridge.progress import Progress

WHOLE = {"pattern", "quantize", "coding", "core"}
"""Parameters that every point has; the last of them is settled last."""


def run_trial(
    trial: Any, settings: Settings, bench: Bench, progress: Progress
) -> tuple[float, ...]:
    """Optuna's objective: the four figures of the point that a trial proposes.

    Raises:
        ToolchainError: a program or library is missing; that says nothing about the point, so
            the trial fails, and the next run takes it up again.
        ProofError: two stages that must agree don't.
    """
    optuna = load_optuna()
    trial.set_user_attr("process", this_process())
    point = settings.space.suggest(trial)
    known = finished(trial.study, settings)
    earlier = known.get(point) or _under_way(trial, point, settings)
    if earlier is not None:
        trial.set_user_attr("same_as", earlier.number)
        if earlier.values is None:
            raise optuna.TrialPruned()
        return tuple(earlier.values)
    try:
        place = f"trial {trial.number} ({len(known) + 1} of {settings.trials})"
        with progress.stage(f"{place}: {point}"):
            network, row = bench.evaluate(point)
    except Hopeless as found:
        progress.note(f"given up: {found.reason}")
        trial.set_user_attr("reason", found.reason)
        trial.set_user_attr("estimate", found.estimate)
        raise optuna.TrialPruned() from None
    except (ProofError, ToolchainError):
        raise
    except BridgeError as error:
        progress.note(f"can't be measured: {error.what}")
        trial.set_user_attr("reason", error.what)
        raise optuna.TrialPruned() from None
    figures = {
        "score": network.score,
        "instructions": row.instructions,
        "weights": row.flash_weights,
        "model": network.digest,
    }
    for name, value in figures.items():
        trial.set_user_attr(name, value)
    assert row.flash_total is not None
    assert row.ram_total is not None
    assert row.cycles_modelled is not None
    excess = settings.limits.excess(lost=network.lost, flash=row.flash_total, ram=row.ram_total)
    for name, share in excess.items():
        trial.set_constraint(name, share)
    progress.note(
        f"{bench.workshop.metric} {network.score:.4f}, {row.flash_total:,} B flash, "
        f"{row.ram_total:,} B RAM, {row.cycles_modelled[0]:,} cycles"
    )
    return network.lost, row.flash_total, row.ram_total, row.cycles_modelled[0]


def _under_way(trial: Any, point: Point, settings: Settings) -> Any:
    """Another process's running trial of the same point, or None.

    Both may see each other and give way; the point is then proposed again.
    """
    running = (load_optuna().trial.TrialState.RUNNING,)
    for other in trial.study.get_trials(deepcopy=False, states=running):
        named = other.number != trial.number and set(other.params) >= WHOLE
        if named and settings.space.point(other.params) == point:
            return other
    return None


def finished(study: Any, settings: Settings) -> dict[Point, Any]:
    """Point → the trial that settled it: measured, or given up for a reason that still holds."""
    found: dict[Point, Any] = {}
    for trial in study.get_trials(deepcopy=False):
        if "same_as" in trial.user_attrs or trial.state.name not in ("COMPLETE", "PRUNED"):
            continue
        estimate = trial.user_attrs.get("estimate")
        if estimate is not None and not verdict(settings.limits, estimate):
            continue
        found.setdefault(settings.space.point(trial.params), trial)
    return found


def load_optuna() -> Any:
    """Optuna, without its remarks."""
    import optuna

    logging.getLogger("optuna").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna
