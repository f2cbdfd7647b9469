"""Compress a file or a bundle's network, prove the result, and say what it costs in RAM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bridge.bundle import MODEL, Bundle, write_atomic
from bridge.compress.choose import ENCODINGS
from bridge.compress.model import Compressed, compress_model
from bridge.compress.prove import prove_equal
from bridge.errors import InputError
from bridge.firmware.arena import host_arena_bytes, target_arena_bytes
from bridge.graph.model import Array
from bridge.progress import Progress, Silent
from bridge.samples import read_samples

FILE = "model_int8_compressed.tflite"
"""The compressed network's name in a bundle."""


@dataclass(frozen=True)
class CompressedFile:
    """A compressed network on disk.

    Attributes:
        path: where it stands.
        result: what became of each tensor.
        proved: samples on which the plain and the compressed network gave the same bytes.
        arena_before: bytes of arena that the plain network needs on the host.
        arena_after: the same for the compressed one, decoded weights in the arena.
        arena_alternate: the same with ``result.decompression_bytes`` lent beside the arena.
    """

    path: Path
    result: Compressed
    proved: int
    arena_before: int
    arena_after: int
    arena_alternate: int


def compress_file(
    source: Path,
    out: Path | None = None,
    *,
    encodings: Sequence[str] = ENCODINGS,
    ram: int | None = None,
    progress: Progress | None = None,
) -> CompressedFile:
    """Compress a .tflite, or the network of a bundle.

    Args:
        source: a .tflite, or a bundle's folder.
        out: where the result goes. Left out: beside the .tflite with ``.compressed.tflite`` at its
            end, or into the bundle, with the arrays for firmware, recorded in its manifest.
        encodings: which may be used.
        ram: bytes that the arena may take with decoded weights in it.
        progress: told what runs.

    Raises:
        InputError: the file is missing, or an option can't be met.
        ModelError: the network can't be read, or is compressed already.
        ProofError: an output differs from the plain network's.
    """
    watch: Progress = progress or Silent()
    bundle = Bundle.open(source) if source.is_dir() else None
    file = source / MODEL if bundle is not None else source
    try:
        plain = file.read_bytes()
    except OSError as error:
        raise InputError(
            f"can't read {file}: {error.strerror}",
            hint="give an int8 .tflite, or a bundle's folder",
        ) from None
    inputs = None if bundle is None else _samples(bundle)
    with watch.stage("encode each tensor"):
        result = compress_model(plain, encodings=encodings, ram=ram)
    with watch.stage("proof: compressed = plain in TFLM, byte for byte"):
        proved = prove_equal(plain, result.model, inputs)
    with watch.stage("search the smallest arenas"):
        before = host_arena_bytes(plain)
        after = host_arena_bytes(result.model)
        lent = result.decompression_bytes
        alternate = host_arena_bytes(result.model, lent) if lent else after
    path = out or (source / FILE if bundle is not None else file.with_suffix(".compressed.tflite"))
    done = CompressedFile(path, result, proved, before, after, alternate)
    if bundle is not None and out is None:
        _record(bundle, done)
    else:
        write_atomic(path, result.model)
    return done


def _samples(bundle: Bundle) -> list[Array]:
    return list(read_samples(bundle.path).inputs)


def _record(bundle: Bundle, done: CompressedFile) -> None:
    from bridge.firmware.arrays import package_arrays
    from bridge.graph import read_tflite

    name = str(bundle.manifest["model"])
    graph = read_tflite(done.result.model, name=name)
    few = read_samples(bundle.path).first(4)
    arrays = package_arrays(
        graph,
        done.result.model,
        few.inputs,
        few.expected,
        name,
        target_arena_bytes(done.result.model),
        done.result.decompression_bytes,
        target_arena_bytes(done.result.model, done.result.decompression_bytes),
    )
    files: dict[str, bytes | str] = {FILE: done.result.model}
    files |= {f"firmware/tflm_compressed/{file}": text for file, text in arrays.items()}
    bundle.add(
        files,
        compressed={
            "tensors": [asdict(tensor) for tensor in done.result.tensors],
            "bytes_before": done.result.bytes_before,
            "bytes_after": len(done.result.model),
            "rewritten_bytes": done.result.rewritten_bytes,
            "decompression_bytes": done.result.decompression_bytes,
            "arena_before": done.arena_before,
            "arena_after": done.arena_after,
            "arena_alternate": done.arena_alternate,
            "proved_samples": done.proved,
        },
    )
