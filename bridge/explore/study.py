"""The study: Optuna proposes points, a database remembers them, processes share the work.

A run may be killed at any time. What it had finished stays; the trial it was in is given back
when the next run starts on the same machine, or, where the trial ran elsewhere, once its
heartbeat has been missing for :data:`GRACE` seconds.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from bridge.errors import BridgeError, InputError
from bridge.explore.front import Measured, pareto_front
from bridge.explore.networks import Workshop
from bridge.explore.objective import Bench, verdict
from bridge.explore.process import alive
from bridge.explore.recommend import Recommendation, recommend
from bridge.explore.settings import Settings
from bridge.explore.space import UNPRUNED, Point, Space
from bridge.explore.trial import WHOLE, finished, load_optuna, run_trial
from bridge.progress import Progress, Silent

HEARTBEAT, GRACE = 20, 180
_START = "--trials 0 only shows a study; give --trials to start one"
MOST_REPEATS = 3
"""Proposals of known points in a row before an unknown one is drawn instead."""


@dataclass(frozen=True)
class Exploration:
    """What a study knows.

    Attributes:
        settings: what was asked for, with the space as it was searched.
        measured: every point that was measured, by trial.
        given_up: points that were given up, with the reason.
        front: the points that nothing beats.
        choice: under the limits.
        metric: the task's metric.
        reference: its value for the float network, on held-out samples.
    """

    settings: Settings
    measured: tuple[Measured, ...]
    given_up: tuple[tuple[Point, str], ...]
    front: tuple[Measured, ...]
    choice: Recommendation
    metric: str
    reference: float


def explore(settings: Settings, *, progress: Progress | None = None) -> Exploration:
    """Search until the study holds as many points as asked for, then choose.

    Raises:
        InputError: bad options, no data, a database that can't be reached, or, where no trials
            are asked for, a study that is not there.
        ToolchainError: something that trials need is not installed.
        ProofError: an engine's outputs are not the interpreter's.
        BridgeError: no point at all could be measured.
    """
    watch: Progress = progress or Silent()
    workshop = Workshop(settings, watch)
    if settings.trials:
        settings.require_tools()
    study = open_study(settings, make=settings.trials > 0)
    if "space" in study.user_attrs:
        settings = _stored_space(settings, study)
    if settings.trials:
        settings.require_tools()  # a study named with --study has a space of its own
        # Which patterns fit any layer is part of the space, so it is settled before the study.
        settings = _settled(settings, workshop, study)
        _give_back(study, watch)
        start = time.monotonic()
        if settings.workers > 1:
            from bridge.explore.process import run_workers

            run_workers(settings, watch)
        work(settings, workshop, watch, start=start)
    result = read_study(settings, study)
    if not result.measured:
        reasons = list(dict.fromkeys(reason for _, reason in result.given_up))
        raise BridgeError(
            "no point could be measured" + (f": {reasons[0]}" if reasons else ""),
            hint="allow more (--max-accuracy-drop, --flash, --ram), train longer (--epochs), or "
            "give --trials",
        )
    return result


def _settled(settings: Settings, workshop: Workshop, study: Any) -> Settings:
    if "space" not in study.user_attrs:
        space = settings.space
        fitting = tuple(p for p in space.patterns if p == UNPRUNED or workshop.prunable(p))
        study.set_user_attr("metric", workshop.metric)
        study.set_user_attr("reference", workshop.reference)
        study.set_user_attr("space", asdict(replace(space, patterns=fitting)))
    return _stored_space(settings, study)


def _stored_space(settings: Settings, study: Any) -> Settings:
    """The space as the study began: what its trials' parameters refer to."""
    stored = {name: tuple(values) for name, values in study.user_attrs["space"].items()}
    return replace(settings, study=study.study_name, space=Space(**stored))


def open_study(settings: Settings, *, make: bool = True) -> Any:
    """The study.

    Args:
        settings: name it, and say where it is kept.
        make: make it if it is not there yet.

    Raises:
        InputError: the database can't be reached, its driver is not installed, or the study is
            not there and is not to be made.
    """
    optuna = load_optuna()
    if make:
        settings.out.mkdir(parents=True, exist_ok=True)
    elif settings.storage is None and not (settings.out / "study.db").is_file():
        raise InputError(f"{settings.out} holds no study", hint=_START)
    connect = {"timeout": 120} if settings.url.startswith("sqlite") else {}
    try:
        storage = optuna.storages.RDBStorage(
            settings.url,
            engine_kwargs={"connect_args": connect, "pool_pre_ping": True},
            heartbeat_interval=HEARTBEAT,
            grace_period=GRACE,
            heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(3),
        )
        present = optuna.get_all_study_names(storage)
        if make or settings.name in present:
            return optuna.create_study(
                study_name=settings.name,
                storage=storage,
                directions=["minimize"] * 4,
                load_if_exists=True,
            )
    except ImportError as error:
        raise InputError(
            f"the driver for {settings.storage} is not installed: {error}",
            hint="for PostgreSQL: pip install 'psycopg[binary]'",
        ) from error
    except Exception as error:
        if isinstance(error, (KeyboardInterrupt, MemoryError)):
            raise
        text = str(error).strip().splitlines()
        raise InputError(
            f"the study in {settings.storage or settings.url} can't be opened: "
            f"{text[0][:200] if text else type(error).__name__}",
            hint="--storage takes an SQLAlchemy URL, for example postgresql://user@host/name",
        ) from error
    listed = ", ".join(sorted(present))
    made = "" if settings.study else ", which is the name that model and options make"
    raise InputError(
        f"there is no study {settings.name!r}{made}",
        hint=f"give one with --study: {listed}" if listed else _START,
    )


def work(
    settings: Settings,
    workshop: Workshop,
    progress: Progress,
    *,
    worker: int = 0,
    start: float | None = None,
) -> None:
    """Run trials in this process until the study holds enough of them."""
    study = open_study(settings)
    space, points = settings.space, settings.space.points()
    start = time.monotonic() if start is None else start
    if not study.trials:
        for point in space.first():
            study.enqueue_trial(space.params(point), skip_if_exists=True)
    bench, folder = Bench.temporary(workshop)
    repeats = 0
    with folder:
        while True:
            known = finished(study, settings)
            running = [t for t in study.trials if t.state.name == "RUNNING"]
            wanted = min(settings.trials, len(points))
            late = settings.timeout is not None and time.monotonic() - start > settings.timeout
            if len(known) + len(running) >= wanted or late:
                return
            if repeats >= MOST_REPEATS:
                draw = np.random.default_rng([settings.base.seed, worker, len(study.trials)])
                unknown = [p for p in points if p not in known]
                study.enqueue_trial(space.params(unknown[int(draw.integers(len(unknown)))]))
            # A fresh sampler for each trial: what it proposes depends on the seed and on what
            # the study holds, so that an interrupted run goes on as if it never stopped.
            study.sampler = sampler(settings, worker, study)
            before = len(known)
            try:
                study.optimize(
                    lambda trial: run_trial(trial, settings, bench, progress), n_trials=1
                )
            except load_optuna().exceptions.UpdateFinishedTrialError:
                progress.note("a trial was held for lost meanwhile, and given to another process")
            repeats = repeats + 1 if len(finished(study, settings)) == before else 0


def sampler(settings: Settings, worker: int, study: Any) -> Any:
    """What proposes a process's next point."""
    optuna = load_optuna()
    done = sum(t.state.name in ("COMPLETE", "PRUNED") for t in study.get_trials(deepcopy=False))
    draw = np.random.SeedSequence([settings.base.seed, worker, done])
    seed = int(draw.generate_state(1)[0])
    if settings.sampler == "tpe":
        return optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=10, multivariate=True, group=True
        )
    if settings.sampler == "nsga2":
        return optuna.samplers.NSGAIISampler(seed=seed, population_size=12)
    if settings.sampler == "all":
        return optuna.samplers.BruteForceSampler(seed=seed)
    return optuna.samplers.RandomSampler(seed=seed)


def _give_back(study: Any, progress: Progress) -> None:
    """Fail trials whose process is gone, and queue what no trial has finished since."""
    optuna = load_optuna()
    optuna.storages.fail_stale_trials(study)
    for trial in study.get_trials(deepcopy=False):
        process = trial.user_attrs.get("process")
        if trial.state.name == "RUNNING" and process is not None and alive(process) is False:
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    trials = study.get_trials(deepcopy=False)
    settled = [t.params for t in trials if t.state.name != "FAIL"]
    settled += [t.system_attrs.get("fixed_params", {}) for t in trials if t.state.name == "WAITING"]
    for trial in trials:
        whole = set(trial.params) >= WHOLE
        if trial.state.name == "FAIL" and whole and trial.params not in settled:
            progress.note(f"trial {trial.number} was interrupted: it is taken up again")
            study.enqueue_trial(trial.params)
            settled.append(trial.params)


def read_study(settings: Settings, study: Any) -> Exploration:
    """Everything a study holds, in plain records."""
    measured: list[Measured] = []
    given_up: list[tuple[Point, str]] = []
    for point, trial in finished(study, settings).items():
        if trial.state.name == "PRUNED":
            # The limits may have changed since: what it was judged by is judged again.
            told = trial.user_attrs
            reason = verdict(settings.limits, told.get("estimate") or {}) or told.get("reason", "")
            given_up.append((point, reason))
            continue
        lost, flash, ram, cycles = trial.values
        told = trial.user_attrs
        measured.append(
            Measured(
                trial.number, point, lost, told["score"], int(flash), int(ram), int(cycles),
                told["instructions"], told["weights"], told["model"],
            )
        )  # fmt: skip
    measured.sort(key=lambda m: m.number)
    return Exploration(
        settings,
        tuple(measured),
        tuple(given_up),
        tuple(pareto_front(measured)),
        recommend(measured, settings.limits),
        str(study.user_attrs.get("metric", "")),
        float(study.user_attrs.get("reference", 0.0)),
    )
