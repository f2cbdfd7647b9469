"""Change a .tflite and write it again, its buffers aligned as TFLM needs them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any


def unpack(model: bytes) -> Any:
    """The flatbuffer as the schema's mutable objects (``ModelT``)."""
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(model, 0)


def pack(model: Any) -> bytes:
    """A ``ModelT`` as a flatbuffer whose buffers lie on 16-byte boundaries.

    Python's flatbuffers ignore ``force_align``, so the C++ library of the TFLite Micro wheel
    writes the file again.
    """
    import flatbuffers
    from tflite_micro.tensorflow.lite.micro.tools import tflite_flatbuffer_align_wrapper

    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    with tempfile.TemporaryDirectory(prefix="tflm-bridge-") as folder:
        loose, aligned = Path(folder) / "loose.tflite", Path(folder) / "aligned.tflite"
        loose.write_bytes(bytes(builder.Output()))
        tflite_flatbuffer_align_wrapper.align_tflite_model(str(loose), str(aligned))
        return aligned.read_bytes()


def buffer_offsets(model: bytes) -> list[int]:
    """Where each buffer's data starts in the file, in bytes; 0 for empty buffers."""
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    root = schema.Model.GetRootAsModel(model, 0)
    offsets = []
    for index in range(root.BuffersLength()):
        table = root.Buffers(index)._tab
        field = table.Offset(4)  # Buffer.data, the table's first field
        offsets.append(int(table.Vector(field)) if field else 0)
    return offsets
