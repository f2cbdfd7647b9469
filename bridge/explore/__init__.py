"""Search for the best trade: sparsity × pattern × quantization × coding × core.

A *point* is one choice of all five. Its *network* (the first three) is trained once and kept, so
that codings and cores of the same network cost a build and an emulated run. Optuna proposes the
points and keeps the study, in SQLite beside the networks or in any database that several
machines reach.
"""

from bridge.explore.front import Measured, pareto_front
from bridge.explore.recommend import Limits, Recommendation, recommend
from bridge.explore.settings import Settings
from bridge.explore.space import Point, Space
from bridge.explore.study import Exploration, explore

__all__ = [
    "Exploration",
    "Limits",
    "Measured",
    "Point",
    "Recommendation",
    "Settings",
    "Space",
    "explore",
    "pareto_front",
    "recommend",
]
