"""A conversion asks no network for anything, whatever the channels and the batch."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.bundle import BundleWriter
from bridge.convert import ConvertOptions, convert
from bridge.progress import Silent

ASKED: list[str] | None = None
"""What was asked for while it is a list; None lets everything through."""


def _watch(event: str, details: tuple[object, ...]) -> None:
    if ASKED is not None and event.startswith("socket.") and event not in LOCAL:
        if event == "socket.connect" and not isinstance(details[1], tuple):
            return  # a socket of this machine's own file system
        ASKED.append(f"{event} {details[1:]}")
        raise ConnectionRefusedError(f"a test forbids {event}")


LOCAL = ("socket.__new__", "socket.bind", "socket.gethostname")
sys.addaudithook(_watch)


@pytest.fixture
def asked() -> Iterator[list[str]]:
    global ASKED
    ASKED = []
    yield ASKED
    ASKED = None


NET = """
from torch import nn
class Net(nn.Module):
    def __init__(self, channels, one=False):
        super().__init__()
        self.one = one
        self.a, self.b = nn.Conv2d(channels, 4, 3), nn.Linear(4 * 4 * 5, 3)
    def forward(self, x):
        x = self.a(x).relu()
        return self.b(x.view(1, -1) if self.one else x.flatten(1))
"""


@pytest.mark.parametrize(("channels", "one"), [(1, False), (3, False), (4, False), (3, True)])
def test_no_network_access(asked: list[str], tmp_path: Path, channels: int, one: bool) -> None:
    (tmp_path / "net.py").write_text(NET)
    options = ConvertOptions(
        f"{tmp_path / 'net.py'}:Net",
        args={"channels": channels, "one": one},
        input_shapes=((channels, 6, 7),),
        sparsity=0.0,
        epochs=0,
        quantize="ptq",
        onnx2tf=True,
    )
    convert(options, BundleWriter(tmp_path / "out", "key"), Silent())
    assert asked == []


def test_the_watch_sees_what_it_should(asked: list[str]) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.getaddrinfo("localhost", 80)
    with socket.socket() as plug, pytest.raises(ConnectionRefusedError):
        plug.connect(("127.0.0.1", 9))
    assert len(asked) == 2
