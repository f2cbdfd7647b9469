"""The space, the front and the choice: pure, without training."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.convert.options import PATTERNS, ConvertOptions
from bridge.errors import InputError
from bridge.explore import Limits, Measured, Point, Settings, Space, pareto_front, recommend
from bridge.explore.front import dominates
from bridge.explore.objective import verdict
from bridge.explore.result import convert_line
from bridge.explore.settings import SAMPLERS
from bridge.explore.space import UNPRUNED
from bridge.explore.study import sampler
from bridge.explore.trial import load_optuna


def measured(number, lost, flash, ram, cycles, core="cortex-m4"):
    point = Point("unstructured", 0.9, "ptq", "sparse", core)
    return Measured(number, point, lost, 1 - lost, flash, ram, cycles, cycles, flash // 2, "00")


def test_every_point_comes_back_from_its_parameters():
    space = Space()
    points = space.points()
    # Two patterns have one sparsity each; the other four have all of them.
    shares = 2 + 4 * len(space.sparsities)
    assert len(points) == len(set(points)) == shares * 2 * 3 * 3
    assert [space.point(space.params(point)) for point in points] == points
    assert {point.pattern for point in points} == {UNPRUNED, *PATTERNS}
    assert all(point in points for point in space.first())


def test_a_point_is_what_convert_is_told():
    base = ConvertOptions(model="lenet5", data="digits", epochs=3, seed=7)
    point = Point("1x4", 0.8, "ptq", "sparse", "cortex-m7")
    options = point.options(base)
    assert (options.pattern, options.sparsity, options.quantize) == ("1x4", 0.8, "ptq")
    line = convert_line(options, __import__("pathlib").Path("out dir"))
    assert line == (
        "tflm-bridge convert lenet5 --data digits --pattern 1x4 --quantize ptq --sparsity 0.8 "
        "--epochs 3 --seed 7 --core cortex-m7 --out 'out dir'"
    )
    assert Point(UNPRUNED, 0.0, "qat", "dense", "cortex-m4").options(base).sparsity == 0


figures = st.tuples(*[st.integers(0, 3)] * 4)


@given(st.lists(figures, max_size=12))
def test_the_front_is_what_nothing_beats(values):
    points = [measured(i, *v) for i, v in enumerate(values)]
    front = pareto_front(points)
    assert not any(dominates(a, b) for a in front for b in front)
    on_it = {m.values for m in front}
    assert len(on_it) == len(front)
    for point in points:
        assert point.values in on_it or any(dominates(m, point) for m in front)


def test_the_choice_keeps_every_limit():
    points = [
        measured(0, 0.0, 90_000, 9_000, 300),
        measured(1, 0.005, 30_000, 9_500, 200),
        measured(2, 0.02, 10_000, 9_000, 100),
        measured(3, 0.005, 31_000, 5_000, 250, core="cortex-m7"),
    ]
    assert recommend(points, Limits()).best is points[1]
    assert recommend(points, Limits(max_accuracy_drop=0.02)).best is points[2]
    assert recommend(points, Limits(ram=6_000)).best is points[3]
    assert recommend(points, Limits(prefer="accuracy")).best is points[0]
    assert [m.number for m in recommend(points, Limits()).by_core] == [1, 3]
    none = recommend(points, Limits(flash=9_000))
    assert none.best is None
    assert none.nearest is points[2]
    assert set(Limits(flash=9_000).broken(points[2])) == {"accuracy", "flash"}


def test_what_is_hopeless_depends_on_the_limits():
    assert verdict(Limits(flash=1000), {"flash": 5000.0})
    assert not verdict(Limits(flash=1000), {"flash": 1050.0})
    assert not verdict(Limits(), {"flash": 5000.0})
    assert verdict(Limits(), {"lost": 0.2})
    assert not verdict(Limits(max_accuracy_drop=0.3), {"lost": 0.2})


@pytest.mark.parametrize(
    ("what", "values"),
    [
        ("pattern", {"patterns": ("8:9",)}),
        ("coding", {"codings": ("zip",)}),
        ("core", {"cores": ("cortex-a53",)}),
        ("sparsities", {"sparsities": (1.5,)}),
    ],
)
def test_unknown_choices_are_named(what, values):
    with pytest.raises(InputError, match=what):
        Space(**values)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_proposes_points_and_repeats_itself(name, tmp_path):
    optuna = load_optuna()
    space = Space(("none", "unstructured"), (0.5, 0.9), cores=("cortex-m4",))
    settings = Settings(ConvertOptions("lenet5"), space, tmp_path, sampler=name)

    def proposed():
        study = optuna.create_study(directions=["minimize"] * 4)
        points = []

        def figures_of(trial):
            points.append(space.suggest(trial))
            share = points[-1].sparsity
            trial.set_constraint("flash", 0.5 - share)
            return share, 1 - share, 1.0, float(trial.number % 3)

        for _ in space.points():
            study.sampler = sampler(settings, 0, study)
            study.optimize(figures_of, n_trials=1)
        return points

    points = proposed()
    assert set(points) <= set(space.points())
    assert points == proposed()
    assert len(set(points)) == 18 if name == "all" else len(set(points)) > 4


def test_the_studys_name_says_what_decides_the_results(tmp_path):
    base = ConvertOptions(model="lenet5", data="digits")
    one = Settings(base, Space(), tmp_path)
    assert one.name.startswith("lenet5-")
    same = dataclasses.replace(one, trials=7, limits=Limits(flash=10), workers=2, sampler="random")
    assert same.name == one.name
    assert dataclasses.replace(one, base=dataclasses.replace(base, epochs=9)).name != one.name
    assert dataclasses.replace(one, space=Space(cores=("cortex-m3",))).name != one.name
    libraries = tmp_path / "tflm/gen/cortex-m4/lib"
    libraries.mkdir(parents=True)
    with_tflm = dataclasses.replace(one, tflm_root=tmp_path / "tflm")
    named = with_tflm.name
    assert named != one.name
    (libraries / "libtensorflow-microlite.a").touch()
    assert with_tflm.name != named
    assert one.url.startswith("sqlite:///")
    shared = dataclasses.replace(one, storage="postgresql://u@host/db")
    assert shared.url == "postgresql+psycopg://u@host/db"
    with pytest.raises(InputError, match="sampler"):
        dataclasses.replace(one, sampler="guess")
