"""Pruned networks of the studies, each trained once and kept as a state dict.

A sweep goes downwards: each network starts from the one before it, with more of its weights.
Studies share what they train under the same work folder.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bridge.bundle import write_atomic
from bridge.study.chain import NORMS, fold_batch_norm, nonzero, parameters, weighted, with_widths
from bridge.study.setup import Setup
from bridge.study.sparsify import (
    Plan,
    Recipe,
    Samples,
    accuracy,
    prune_channels,
    prune_to_plan,
    prune_weights,
    samples,
)


@dataclass(frozen=True)
class Subject:
    """A network, its data, and how it is trained to few weights.

    Attributes:
        name: of the zoo, or its own where ``source`` is given.
        dataset: as ``bridge.data`` knows it.
        recipe: for pruning.
        samples: test samples that networks are judged on, at most.
        title: for pages.
        note: what a reader must know about data or network.
        limit: training samples at most; None: all.
        float_epochs: epochs of first training, where there is no checkpoint.
        source: ``file.py:Class`` under ``models/`` of a network that is not in the zoo.
        channel_shares: shares of the weights to prune whole filters to; None: the study's own.
        plans: what stays in each layer, instead of shares of all weights.
    """

    name: str
    dataset: str
    recipe: Recipe
    samples: int
    title: str
    note: str = ""
    limit: int | None = None
    float_epochs: int = 0
    source: str = ""
    channel_shares: tuple[float, ...] | None = None
    plans: tuple[Plan, ...] = ()


@dataclass(frozen=True)
class Pruned:
    """One network of a sweep.

    Attributes:
        key: its name in the store.
        network: in evaluation mode, without BatchNorm.
        facts: shares, counts and accuracy, JSON-able.
    """

    key: str
    network: Any
    facts: Mapping[str, Any]


class Trainer:
    """Makes a subject's networks, or takes them from the store."""

    def __init__(self, subject: Subject, setup: Setup) -> None:
        self.subject, self.setup = subject, setup
        self.folder = setup.work / "networks"
        self.store = setup.store_in(self.folder)
        self.recipe = replace(subject.recipe, seed=setup.seed)
        self._data: Samples | None = None
        self._float: Pruned | None = None
        # A network that was made with BatchNorm is also pruned with it.
        self._normalize = False

    @property
    def prefix(self) -> str:
        """What this subject's points start with."""
        return f"{self.subject.name}_{self.subject.dataset}"

    @property
    def data(self) -> Samples:
        """The tensors, loaded when first needed."""
        if self._data is None:
            from bridge.data import load

            self._data = samples(load(self.subject.dataset), self.subject.limit)
        return self._data

    def float_network(self) -> Pruned:
        """The network that everything is compared with, BatchNorm folded."""
        if self._float is not None:
            return self._float
        from bridge import zoo
        from bridge.data import attribute_of

        subject = self.subject
        if not subject.source:
            network = fold_batch_norm(zoo.network(zoo.find(subject.name, subject.dataset)))
            self._float = self._keep(f"{self.prefix}-float", lambda: network, "zoo", network)
            return self._float
        file, _, name = subject.source.partition(":")
        made = attribute_of(zoo.models_folder() / file, name)()
        self._normalize = any(type(m).__name__ in NORMS for m in made.modules())

        def train() -> Any:
            from bridge.study.first import train_float

            train_float(made, self.data, subject.float_epochs, self.recipe, self._report)
            return fold_batch_norm(made)

        decides = (subject.float_epochs, self.recipe, subject.limit)
        self._float = self._keep(
            f"{self.prefix}-float", train, decides, fold_batch_norm(made.eval())
        )
        return self._float

    def by_weights(self, share: float, before: Pruned, recipe: Recipe | None = None) -> Pruned:
        """The network with a share of the float network's weights, from one with more."""
        return self._pruned("weights", share, before, recipe)

    def by_channels(self, share: float, before: Pruned, recipe: Recipe | None = None) -> Pruned:
        """The same by removing channels: a smaller dense network."""
        return self._pruned("channels", share, before, recipe)

    def by_plan(self, plan: Plan, before: Pruned, recipe: Recipe) -> Pruned:
        """The network with so many channels and weights in each layer."""
        recipe = replace(recipe, seed=self.setup.seed)
        teacher = self.float_network().network

        def make() -> Any:
            return prune_to_plan(
                before.network, teacher, self.data, plan, recipe, self._report, self._normalize
            )

        decides = (recipe, self.subject.limit, before.facts["decides"], plan)
        name = f"p{sum(plan.weights)}"
        return self._keep(f"{self.prefix}-{name}", make, decides, teacher, name)

    def _pruned(self, kind: str, share: float, before: Pruned, recipe: Recipe | None) -> Pruned:
        recipe = replace(recipe or self.recipe, seed=self.setup.seed)
        teacher = self.float_network().network
        whole = sum(int(m.weight.numel()) for m in weighted(teacher).values())
        own = sum(int(m.weight.numel()) for m in weighted(before.network).values())
        prune = prune_weights if kind == "weights" else prune_channels

        def make() -> Any:
            return prune(
                before.network, teacher, self.data, share * whole / own, recipe, self._report
            )

        # A channel sweep that leads into a weight sweep gives other networks than one without.
        path = "" if before.key.endswith("float") else before.facts["path"]
        step = f"{kind[0]}{share * 100:g}"
        shown = f"{path}-{step}" if path and not path.startswith(kind[0]) else step
        decides = (recipe, self.subject.limit, before.facts["decides"], share)
        made = self._keep(f"{self.prefix}-{shown}", make, decides, teacher, shown)
        return made

    def _report(self, text: str) -> None:
        self.setup.progress.update(text)

    def _keep(self, key: str, make: Any, decides: Any, like: Any, path: str = "") -> Pruned:
        import torch

        from bridge.bundle import digest

        file = self.folder / f"{key}.pt"

        def fresh() -> dict[str, Any]:
            network = make()
            buffer = io.BytesIO()
            torch.save(network.state_dict(), buffer)
            write_atomic(file, buffer.getvalue())
            return self._facts(network) | {
                "path": path,
                "decides": digest(repr(decides).encode()),
            }

        facts = self.store.point(
            key, fresh, decides=decides, progress=self.setup.progress, needs=(file,)
        )
        state = torch.load(file, weights_only=True)
        return Pruned(key, with_widths(like, state).eval(), facts)

    def _facts(self, network: Any) -> dict[str, Any]:
        layers = weighted(network)
        return {
            "accuracy": accuracy(network, self.data.x_test, self.data.y_test),
            "tested": len(self.data.y_test),
            "parameters": parameters(network),
            "nonzero": nonzero(network),
            "layers": {
                n: {"shape": list(m.weight.shape), "nonzero": int((m.weight != 0).sum())}
                for n, m in layers.items()
            },
        }


def export_onnx(network: Any, shape: tuple[int, ...], path: Path) -> Path:
    """Write a network as ONNX, for ``tflm-bridge convert``."""
    from bridge.convert.export import export

    write_atomic(path, export(network, (shape,)).SerializeToString())
    return path
