#!/usr/bin/env python3
"""Train the zoo's checkpoints again: every one, or those named.

    scripts/train_zoo.py [NAME | NAME/DATASET ...] [--data FOLDER] [--out FOLDER]

The data sets are looked for in FOLDER, or where ``tflm-bridge convert`` looks for them (README,
BRIDGE_DATA); ``lenet5/digits`` needs none, and ``resnet8/cifar10`` takes the full set out of the
Keras cache, where there is one.
Same seed, same machine and same PyTorch give the same weights. The test part is looked at once,
at the end: the last epoch's weights are kept, whatever they score. A checkpoint is replaced only
when its training is over. On one x86-64 core all of it takes about half an hour.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from bridge import data, zoo
from bridge.bundle import write_atomic
from bridge.errors import BridgeError
from bridge.study.sparsify import augmented


@dataclass(frozen=True)
class Recipe:
    """How one checkpoint is trained: AdamW with a one-cycle learning rate.

    Attributes:
        rate: the highest learning rate.
        shift: images are moved by up to so many pixels.
        jitter: windows are scaled by up to this share and get a fifth of it as noise.
        mirror: half of the images are mirrored.
        sizes: train images enlarged to these sizes one after the other, each for its number of
            epochs: ``((size, epochs), …)``; small ones are quick. Empty: as the data set is.
        data: train on this data set instead of the entry's own (whose images are enlarged).
    """

    epochs: int
    rate: float
    batch: int = 64
    decay: float = 0.01
    shift: int = 0
    jitter: float = 0.0
    mirror: bool = False
    sizes: tuple[tuple[int, int], ...] = ()
    data: str = ""


RECIPES = {
    "lenet5/digits": Recipe(60, 4e-3, shift=1),
    "lenet5/mnist": Recipe(10, 4e-3, batch=128, shift=2),
    "har_cnn/har-subset": Recipe(30, 2e-3, jitter=0.1),
    "resnet8/cifar10-subset": Recipe(60, 1e-2, batch=128, decay=0.05, shift=4, mirror=True),
    "resnet8/cifar10": Recipe(60, 1e-2, batch=128, decay=0.05, shift=4, mirror=True),
    "ds_cnn/har-as-49x10": Recipe(30, 4e-3, jitter=0.1),
    "mobilenet_v1_025/cifar10-animals-96x96": Recipe(
        18,
        6e-3,
        decay=0.05,
        shift=4,
        mirror=True,
        sizes=((48, 13), (96, 5)),
        data="cifar10-animals",
    ),
    "fc_autoencoder/har-as-640": Recipe(200, 4e-3, jitter=0.1),
}


def train(entry: zoo.ZooEntry, recipe: Recipe, seed: int) -> nn.Module:
    """A network trained from scratch on the training part of its data set."""
    torch.manual_seed(seed)
    source = data.load(recipe.data or entry.dataset)
    x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(source.train_inputs[0], -1, 1)))
    if source.train_inputs[0].ndim == 2:
        x = torch.from_numpy(source.train_inputs[0])
    y = torch.from_numpy(source.y_train)
    network = zoo.network(entry, trained=False).train()
    layout = torch.channels_last if x.ndim == 4 else torch.contiguous_format
    network = network.to(memory_format=layout)
    loss_of: Any = F.mse_loss if source.task == "reconstruction" else F.cross_entropy
    sizes = [size for size, epochs in recipe.sizes for _ in range(epochs)]
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    steps = len(x) // recipe.batch  # the last, smaller batch is left for another epoch's mix
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.rate, total_steps=recipe.epochs * steps
    )
    start = time.monotonic()
    for epoch in range(recipe.epochs):
        total = 0.0
        order = torch.randperm(len(x))
        for step in range(steps):
            pick = order[step * recipe.batch : (step + 1) * recipe.batch]
            inputs = augmented(x[pick], recipe)
            if sizes:
                inputs = F.interpolate(inputs, size=[sizes[epoch]] * 2, mode="bilinear")
            target = inputs if source.task == "reconstruction" else y[pick]
            loss = loss_of(network(inputs.contiguous(memory_format=layout)), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        seconds = time.monotonic() - start
        print(
            f"  epoch {epoch + 1}/{recipe.epochs}  loss {total / steps:.4f}  {seconds:.0f} s",
            flush=True,
        )
    trained: nn.Module = network.eval().to(memory_format=torch.contiguous_format)
    return trained


def state_bytes(network: nn.Module) -> bytes:
    """A network's state dict as ``torch.save`` writes it: plain float32 tensors."""
    buffer = io.BytesIO()
    torch.save({k: v.detach().contiguous() for k, v in network.state_dict().items()}, buffer)
    return buffer.getvalue()


def _has_full_cifar() -> bool:
    try:
        data.load("cifar10")
    except BridgeError:
        return False
    return True


def main(arguments: list[str] | None = None) -> int:
    """Train what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(RECIPES)}; default: all")
    parser.add_argument("--data", type=Path, help="the folder with the .npz files")
    parser.add_argument("--out", type=Path, default=zoo.models_folder(), help="default: models/")
    parser.add_argument("--epochs", type=int, help="for a quick try: fewer epochs")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.data is not None:
        if not options.data.is_dir():
            parser.error(f"there is no folder {options.data}")
        os.environ["BRIDGE_DATA"] = str(options.data.resolve())
    wanted = [
        key for key in RECIPES if not options.names or {key, key.split("/")[0]} & {*options.names}
    ]
    if "resnet8/cifar10" not in options.names and not _has_full_cifar():
        wanted = [key for key in wanted if key != "resnet8/cifar10"]
    unknown = [n for n in options.names if not any(n in (k, k.split("/")[0]) for k in RECIPES)]
    if unknown:
        parser.error(f"no recipe for {', '.join(unknown)}; choose of {', '.join(RECIPES)}")
    torch.set_num_threads(1)  # more would change the order of sums, and so the weights
    torch.use_deterministic_algorithms(True)
    try:
        for key in wanted:
            entry, recipe = zoo.find(*key.split("/")), RECIPES[key]
            if options.epochs is not None:
                recipe = replace(recipe, epochs=options.epochs)
            print(f"{key}: {recipe.epochs} epochs", flush=True)
            network = train(entry, recipe, options.seed)
            measured = zoo.measure(network, data.load(entry.dataset))
            content = state_bytes(network)
            write_atomic(options.out / entry.checkpoint, content)
            print(
                f"  {entry.metric} {measured:.4f} (registry {entry.expected:.4f}), "
                f"{len(content):,} bytes in {options.out / entry.checkpoint}",
                flush=True,
            )
    except BridgeError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
