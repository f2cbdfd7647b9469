"""Change a .tflite and write it again."""

from __future__ import annotations

from functools import cache
from typing import Any

_ALIGNMENT = 16
"""``force_align`` of ``Buffer.data`` in the schema; kernels read weights in place."""


@cache
def schema() -> Any:
    """TFLite's schema classes, from the TFLite Micro wheel: no TensorFlow is imported."""
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated

    return schema_py_generated


def unpack(model: bytes) -> Any:
    """The flatbuffer as the schema's mutable objects (``ModelT``)."""
    return schema().ModelT.InitFromPackedBuf(model, 0)


def pack(model: Any) -> bytes:
    """A ``ModelT`` as a flatbuffer whose tensors' data lies on 16-byte boundaries."""
    builder = _sharing_builder()(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def buffer_offsets(model: bytes) -> list[int]:
    """Where each buffer's data starts in the file, in bytes; 0 for empty buffers."""
    root = schema().Model.GetRootAsModel(model, 0)
    offsets = []
    for index in range(root.BuffersLength()):
        table = root.Buffers(index)._tab
        field = table.Offset(4)  # Buffer.data, the table's first field
        offsets.append(int(table.Vector(field)) if field else 0)
    return offsets


@cache
def _sharing_builder() -> Any:
    import flatbuffers

    class SharingBuilder(flatbuffers.Builder):  # type: ignore[misc]
        """Writes a vector of numbers that stands in the file already no second time.

        Flatbuffers refer to vectors by offset, so several tables may share one; the generated code
        never does. Byte vectors, which hold tensors, are aligned as the schema asks.
        """

        def __init__(self, size: int) -> None:
            super().__init__(size)
            self._written: dict[tuple[int, int, bytes], int] = {}
            self._open: tuple[int, int, int] | None = None

        def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:  # noqa: N802, N803
            before = self.Offset()
            if elemSize == 1:
                alignment = _ALIGNMENT
            started: int = super().StartVector(elemSize, numElems, alignment)
            self._open = (before, elemSize * numElems, alignment)
            return started

        def PrependUOffsetTRelative(self, off: int) -> None:  # noqa: N802
            self._open = None  # offsets are relative: equal bytes mean different things
            super().PrependUOffsetTRelative(off)

        def EndVector(self, numElems: int | None = None) -> int:  # noqa: N802, N803
            made: int = super().EndVector()
            if self._open is None:
                return made
            before, size, alignment = self._open
            self._open = None
            start = len(self.Bytes) - made
            key = (alignment, size, bytes(self.Bytes[start : start + 4 + size]))
            earlier = self._written.setdefault(key, made)
            if earlier != made:
                self.head = len(self.Bytes) - before  # take the second copy back
            return earlier

    return SharingBuilder
