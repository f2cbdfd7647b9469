"""Real studies: trained, built, run on an emulated core; killed, resumed, shared."""

from __future__ import annotations

import dataclasses
import html
import json
import os
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from typer.testing import CliRunner

from bridge.cli import app
from bridge.errors import BridgeError, InputError, ProofError, ToolchainError
from bridge.explore import Limits, Point, Settings, Space, explore
from bridge.explore.networks import Workshop
from bridge.explore.result import build, commands, convert_line, export_line, select, write_result
from bridge.explore.study import open_study, work
from bridge.progress import Silent
from tests.explore.conftest import LOOSE
from tests.explore.postgres import server
from tests.programs import without

pytestmark = [pytest.mark.slow, pytest.mark.emulated]


def settled(study):
    """Trials that count, by their parameters."""
    return [
        t for t in study.trials
        if t.state.name in ("COMPLETE", "PRUNED") and "same_as" not in t.user_attrs
    ]  # fmt: skip


@pytest.fixture(scope="module")
def found(base, small, tmp_path_factory):
    out = tmp_path_factory.mktemp("explored") / "study"
    return explore(Settings(base, small, out, LOOSE, trials=4))


def test_figures_are_those_of_the_networks(found):
    assert len(found.measured) == 4
    assert found.reference > 0.9
    by_point = {(m.point.rough, m.point.coding): m for m in found.measured}
    dense = by_point["none", "dense"]
    assert dense.lost == pytest.approx(found.reference - dense.score)
    assert dense.score > 0.9
    sparse = by_point["unstructured-0.9", "sparse"]
    assert sparse.weights < dense.weights / 2
    assert sparse.cycles < dense.cycles
    assert set(found.front) <= set(found.measured)
    assert found.choice.best in found.measured


def test_a_run_in_two_parts_is_the_same_run(found, base, small, tmp_path):
    settings = Settings(base, small, tmp_path / "again", LOOSE, trials=2)
    first = explore(settings)
    assert len(first.measured) == 2
    second = explore(dataclasses.replace(settings, trials=4))
    assert second.measured == found.measured
    # Shown again under other limits, nothing is run.
    tight = dataclasses.replace(settings, trials=0, limits=Limits(flash=1))
    shown = explore(tight)
    assert shown.measured == found.measured
    assert shown.choice.best is None
    with pytest.raises(InputError, match="no point keeps the limits"):
        select(shown, None)


def test_the_page_says_what_to_do_next(found):
    file = write_result(found)
    page = html.unescape(file.with_suffix(".html").read_text())
    next_steps = commands(found)
    assert len(next_steps) >= 2
    assert json.loads(file.read_text())["commands"] == next_steps
    for line in next_steps.values():
        assert f"<code>{line}</code>" in page


def test_the_built_bundle_is_what_was_measured(found, tmp_path):
    settings, best = found.settings, select(found, None)
    bundle = build(found, settings, best, tmp_path / "best", Silent())
    assert bundle.manifest["files"]["model_int8.tflite"] == best.model
    told = json.loads((bundle.path / "explore.json").read_text())
    assert told["chosen"] == best.number
    assert len(told["measured"]) == 4
    line = convert_line(best.point.options(settings.base), tmp_path / "by hand")
    result = CliRunner().invoke(app, [*shlex.split(line)[1:], "--no-witness"])
    assert result.exit_code == 0, result.output
    by_hand = tmp_path / "by hand" / "model_int8.tflite"
    assert by_hand.read_bytes() == (bundle.path / "model_int8.tflite").read_bytes()


def test_a_points_firmware_is_that_of_its_engine(found, tmp_path):
    best = select(found, None)
    bundle = build(found, found.settings, best, tmp_path / "best", Silent())
    compact = dataclasses.replace(best.point, coding="compact", core="cortex-m7")
    line = export_line(compact, bundle.path)
    result = CliRunner().invoke(app, shlex.split(line)[1:])
    assert result.exit_code == 0, result.output
    package = tmp_path / "best-firmware"
    assert "snn_sparse_direct_s8" in "".join(f.read_text() for f in package.glob("src/*_net.c"))
    assert (package / "src/snn_sparse_direct_s8.c").is_file()
    assert export_line(dataclasses.replace(compact, coding="dense"), bundle.path) == ""


def test_a_missing_program_is_no_finding(settings, tmp_path, monkeypatch):
    point = Point("none", 0.0, "ptq", "dense", "cortex-m4")
    one = Space((point.pattern,), (0.9,), (point.quantize,), (point.coding,), (point.core,))
    asked = dataclasses.replace(settings, space=one, study="missing", trials=1)
    with monkeypatch.context() as here:
        here.setenv("PATH", without("qemu-system-arm", tmp_path / "bin"))
        with pytest.raises(ToolchainError, match="qemu-system-arm is not installed"):
            explore(asked)
        assert not asked.out.exists()
        # It goes missing while trials run: the trial fails, nothing is known of its point.
        with pytest.raises(ToolchainError, match="qemu-system-arm is not installed"):
            work(asked, Workshop(asked), Silent())
        (trial,) = open_study(asked).trials
        assert trial.state.name == "FAIL"
    found = explore(asked)
    assert [m.point for m in found.measured] == [point]
    assert found.given_up == ()


def test_outputs_that_differ_stop_the_run(settings):
    """The interpreter's answers of one network are changed on disk: a proof must notice."""
    one = dataclasses.replace(settings.space, patterns=("none",), quantizations=("ptq",))
    asked = dataclasses.replace(settings, space=one, study="differ", trials=1)
    explore(asked)
    file = asked.networks / "none-ptq.npz"
    with np.load(file) as stored:
        arrays = dict(stored)
    arrays["expected"] = arrays["expected"] ^ 1
    np.savez(file, **arrays)
    with pytest.raises(ProofError, match="outputs differ"):
        explore(dataclasses.replace(asked, trials=2))


def test_tflms_codings_are_refused_before_training(settings, tmp_path):
    space = dataclasses.replace(settings.space, codings=("sparse", "tflm"))
    asked = dataclasses.replace(settings, space=space)
    with pytest.raises(InputError, match="TFLM_ROOT is not set"):
        explore(asked)
    library = tmp_path / "tflm/gen/cortex_m_generic_cortex-m0_release_gcc/lib"
    library.mkdir(parents=True)
    (library / "libtensorflow-microlite.a").write_bytes(b"!<arch>\n")
    with pytest.raises(ToolchainError, match="library for cortex-m4"):
        explore(dataclasses.replace(asked, tflm_root=tmp_path / "tflm"))
    assert not asked.out.exists()


def test_a_study_that_is_not_there_is_not_made_by_looking(found, settings):
    nowhere = dataclasses.replace(settings, trials=0)
    with pytest.raises(InputError, match="holds no study"):
        explore(nowhere)
    assert not settings.out.exists()
    other = dataclasses.replace(
        found.settings, study=None, trials=0,
        base=dataclasses.replace(found.settings.base, epochs=7),
    )  # fmt: skip
    with pytest.raises(InputError, match="no study") as told:
        explore(other)
    assert found.settings.name in told.value.hint


def test_points_beyond_a_limit_are_given_up_before_training(settings):
    tight = dataclasses.replace(settings, limits=Limits(flash=2_000, max_accuracy_drop=0.9))
    space = dataclasses.replace(
        tight.space, patterns=("unstructured",), quantizations=("qat",), codings=("sparse",)
    )
    tight = dataclasses.replace(tight, space=space, trials=1)
    with pytest.raises(BridgeError, match="B of flash, the limit is 2,000 B"):
        explore(tight)
    assert not list(tight.networks.glob("*qat*"))
    # Under another limit that it breaks, the reason is that limit.
    other = dataclasses.replace(tight, trials=0, limits=Limits(flash=2_100, max_accuracy_drop=0.9))
    with pytest.raises(BridgeError, match="the limit is 2,100 B"):
        explore(other)
    # The same study under a limit that it keeps: what was given up is tried now.
    loose = dataclasses.replace(tight, limits=Limits(flash=50_000, max_accuracy_drop=0.9))
    assert len(explore(loose).measured) == 1


def test_a_killed_run_goes_on_without_repeating(settings, user):
    command = [
        sys.executable, "-m", "bridge.cli", "explore", settings.base.model,
        "--weights", str(settings.base.weights), "--data", settings.base.data,
        "--layout", "channels-last", "--prune-all",
        "--epochs", "1", "--out", str(settings.out), "--pattern", "none",
        "--pattern", "unstructured", "--sparsity", "0.9", "--core", "cortex-m4",
        "--coding", "dense", "--coding", "sparse", "--max-accuracy-drop", "0.9",
        "--trials", "3", "--study", "killed",
    ]  # fmt: skip
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    study = open_study(dataclasses.replace(settings, study="killed"))
    try:
        while not (settled(study) and _under_way(study)):
            assert running.poll() is None, running.stderr.read()
            time.sleep(0.1)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    before = {t.number: (t.params, t.values, t.datetime_complete) for t in settled(study)}
    (cut,) = _under_way(study)
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert f"trial {cut.number} was interrupted: it is taken up again" in again.stderr
    trials = settled(study)
    after = {t.number: (t.params, t.values, t.datetime_complete) for t in trials}
    assert {number: after[number] for number in before} == before
    assert len(trials) == 3
    params = [json.dumps(t.params, sort_keys=True) for t in trials]
    assert len(set(params)) == 3
    assert json.dumps(cut.params, sort_keys=True) in params
    assert study.trials[cut.number].state.name == "FAIL"


def _under_way(study):
    return [t for t in study.trials if t.state.name == "RUNNING" and len(t.params) >= 4]


def shared(settings, **changes):
    """Two processes on one database, every point once."""
    space = dataclasses.replace(settings.space, quantizations=("ptq",))
    asked = dataclasses.replace(
        settings, space=space, sampler="all", trials=4, workers=2, study="shared", **changes
    )
    found = explore(asked)
    assert {m.point for m in found.measured} == set(space.points())
    trials = settled(open_study(asked))
    assert len(trials) == len(found.measured) == 4
    return {(t.user_attrs["process"]["host"], t.user_attrs["process"]["pid"]) for t in trials}


def test_two_processes_share_a_study_in_sqlite(settings):
    assert len(shared(settings)) == 2


def test_two_processes_share_a_study_in_postgresql(settings):
    with server() as url:
        processes = shared(settings, storage=url)
        assert len(processes) == 2
        assert not (settings.out / "study.db").exists()


def test_what_cannot_be_explored_says_so(settings, user, tmp_path):
    missing = dataclasses.replace(settings, storage="sqlite:////nowhere/at/all.db")
    with pytest.raises(InputError, match="can't be opened"):
        explore(missing)
    blind = dataclasses.replace(
        settings, base=dataclasses.replace(settings.base, data=None, input_shapes=((3, 6, 9),))
    )
    with pytest.raises(InputError, match="needs data"):
        explore(blind)
    open_study(settings)
    with pytest.raises(BridgeError, match="no point could be measured"):
        explore(dataclasses.replace(settings, trials=0))
