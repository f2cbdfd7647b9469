"""The first training of a network that has no checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge.study.sparsify import Recipe, Samples, augmented


def train_float(
    network: Any, data: Samples, epochs: int, recipe: Recipe, report: Callable[[str], None]
) -> None:
    """Train in place from scratch: AdamW, one-cycle learning rate, the recipe's augmentation."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    network.apply(lambda m: m.reset_parameters() if hasattr(m, "reset_parameters") else None)
    network.train()
    steps = max(1, len(data.x) // recipe.batch)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=epochs * steps)
    for epoch in range(epochs):
        total = 0.0
        order = torch.randperm(len(data.x))
        for index in range(steps):
            pick = order[index * recipe.batch : (index + 1) * recipe.batch]
            loss = functional.cross_entropy(
                network(augmented(data.x[pick], recipe)), data.y[pick], label_smoothing=0.1
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        report(f"epoch {epoch + 1}/{epochs}, loss {total / steps:.4f}")
    network.eval()
