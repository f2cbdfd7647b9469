"""Which files of the sparse_nn library and of its TFLM registrations a network needs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from bridge.paths import tflm_project

_WORD = re.compile(r"\bsnn_\w+")
_INCLUDE = re.compile(r'#include "(snn_\w+\.h)"')
_INCLUDES = re.compile(r'#include "snn_\w+\.h"')
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def needed_kernels(texts: Iterable[str]) -> tuple[str, ...]:
    """The sources and headers that some C texts refer to, and all that those refer to in turn.

    A function stands in the file of its name, its ``_get_scratch_size`` twin beside it, so a name
    that is used tells the file. Public headers declare everything; only their includes count.

    Args:
        texts: generated C.

    Returns:
        file names, sorted; each is in the library's ``src`` or ``include``, or in ``wrappers``.
    """
    known, public = _files(), _public()
    waiting = list(texts)
    found: set[str] = set()
    while waiting:
        text = _COMMENT.sub("", waiting.pop())
        for name in sorted(_referred(text) & known.keys() - found):
            found.add(name)
            text = known[name]
            waiting.append("\n".join(_INCLUDES.findall(text)) if name in public else text)
    return tuple(sorted(found))


def kernel_text(name: str) -> str:
    """The text of one of the library's files."""
    return _files()[name]


def _referred(text: str) -> set[str]:
    words = {word.removesuffix("_get_scratch_size") for word in _WORD.findall(text)}
    return {f"{word}.c" for word in words} | set(_INCLUDE.findall(text))


def _files() -> dict[str, str]:
    files = [*(tflm_project() / "sparse_nn").glob("src/*.[ch]"), *_headers()]
    return {file.name: file.read_text() for file in files}


def _public() -> set[str]:
    return {file.name for file in _headers()}


def _headers() -> list[Path]:
    root = tflm_project()
    return [*root.glob("sparse_nn/include/*.h"), *root.glob("wrappers/*.h")]
