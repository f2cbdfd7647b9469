"""The networks of the studies, and how each is trained to few weights."""

from __future__ import annotations

from dataclasses import replace

from bridge.study.networks import Subject
from bridge.study.sparsify import Plan, Recipe

LENET = Subject(
    name="lenet5",
    dataset="mnist",
    recipe=Recipe(epochs=6, rate=3e-3, batch=128, every=30),
    samples=10000,
    title="LeNet-5, MNIST",
    note="pruned on the first 20,000 training images",
    limit=20000,
)
HAR = Subject(
    name="har_cnn",
    dataset="har-subset",
    recipe=Recipe(epochs=20, rate=2e-3, batch=64, every=20, jitter=0.1),
    samples=950,
    title="1-D CNN, UCI HAR subset",
    note="a class-proportional third of UCI HAR: 2,400 + 950 windows",
)
CIFAR = Subject(
    name="cifar_quick",
    dataset="cifar10-subset",
    recipe=Recipe(epochs=20, rate=2e-3, batch=128, every=20, shift=2, mirror=True),
    samples=2000,
    title="plain CNN, CIFAR-10 subset",
    note="a class-balanced part of CIFAR-10: trained on 7,500 images for twenty epochs, short of "
    "what longer training gives, then for twenty a step of pruning; judged on 2,000",
    limit=7500,
    float_epochs=20,
    source="cifar_quick.py:CifarQuick",
    channel_shares=(0.25,),
)

CIFAR_WIDE = replace(
    CIFAR,
    name="cifar_wide",
    recipe=Recipe(epochs=40, rate=4e-3, batch=128, teacher=0.9, every=10, shift=2, mirror=True),
    samples=5000,
    title="plain CNN with a wide dense layer, CIFAR-10 subset",
    note="the same images; the network above with a dense layer of 512 instead of 128, where more "
    "can be spared, trained for forty epochs, then pruned in forty, single weights only; judged on "
    "5,000",
    float_epochs=40,
    source="cifar_quick.py:CifarWide",
    channel_shares=(),
    plans=(
        Plan((16, 32, 64, 192), (400, 3600, 9500, 12600, 1200)),
        Plan((16, 32, 64, 160), (370, 2800, 6000, 6500, 780)),
    ),
)


def quick(subject: Subject, epochs: int = 2, limit: int = 2000) -> Subject:
    """The same, trained just enough to see that everything works."""
    return replace(
        subject,
        recipe=replace(subject.recipe, epochs=epochs, every=5),
        samples=min(subject.samples, 200),
        limit=limit,
        float_epochs=min(subject.float_epochs, 2),
    )
