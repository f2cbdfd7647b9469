"""DECODE's Huffman format for int8: a canonical prefix code and the tables that read it.

The encoded tensor holds the codewords, most significant bit first, fetched as 32-bit words. After
the header stands a tree of look-up tables of 16-bit entries. Bit 15 is set for a symbol: bits 14 to
11 say how many of this table's index bits it used, bits 7 to 0 are the value. It is clear for a
further table: bits 14 to 11 hold its width in bits less 1, bits 10 to 0 its place, counted from
this entry. Byte 5 of the header holds the first table's width less 1 in its upper half. Read by
``DecodeStateHuffman`` of TFLite Micro, whose own tools
don't write it. Huffman's method: D. A. Huffman, 1952; canonical order: codes of one length ascend
with their symbols.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from bridge.encode.decode_header import (
    HEADER_BYTES,
    HUFFMAN,
    Encoded,
    EncodingError,
    check_header,
    header,
)
from bridge.graph.model import Array

_FOUND = 0x8000
_COUNT_SHIFT, _COUNT_MASK = 11, 0xF
_OFFSET_MASK = 0x07FF
_WIDEST = 15
"""How many bits a symbol used is stored in four bits."""


@dataclass(frozen=True)
class _Table:
    """One look-up table: the codes below ``prefix`` (of ``depth`` bits), by their next bits."""

    depth: int
    prefix: int
    width: int

    @property
    def entries(self) -> int:
        return 1 << self.width


def pack_huffman(values: Array) -> Encoded:
    """Encode one int8 tensor of any shape with a code made for it.

    Raises:
        EncodingError: the tensor is not int8 or is empty.
    """
    if values.dtype != np.int8 or not values.size:
        raise EncodingError(f"Huffman coding takes int8 values, not {values.dtype} {values.shape}")
    flat = values.reshape(-1).view(np.uint8)
    codes = canonical_codes(code_lengths(np.bincount(flat, minlength=256).tolist()))
    tables = _tables(codes)
    used = _bits_read(codes, tables)
    lengths = np.zeros(256, np.int64)
    words = np.zeros(256, np.uint64)
    read = np.zeros(256, np.int64)
    for symbol, (length, word) in codes.items():
        lengths[symbol], words[symbol], read[symbol] = length, word, used[symbol]
    longest = max(1, int(lengths.max()))
    shifts = np.arange(longest, dtype=np.uint64)[::-1]
    matrix = ((words[:, None] >> shifts) & np.uint64(1)).astype(np.uint8)
    valid = np.arange(longest)[None, :] >= longest - lengths[:, None]
    bits = matrix[flat][valid[flat]]
    # The reader fetches a table's whole width at once and puts back what it didn't need.
    starts = np.cumsum(lengths[flat]) - lengths[flat]
    furthest = max(1, int((starts + read[flat]).max()))
    stream = np.packbits(bits).tobytes().ljust(-(-furthest // 32) * 4, b"\0")
    first = (tables[0].width - 1) << 4
    return Encoded(stream, header(HUFFMAN, bytes([first])) + _table_bytes(codes, tables))


def unpack_huffman(encoded: Encoded, shape: Sequence[int]) -> Array:
    """The exact inverse of :func:`pack_huffman`, step by step as the device decodes.

    Raises:
        EncodingError: the bytes lead outside themselves or are of another format.
    """
    check_header(encoded, HUFFMAN)
    size = encoded.ancillary[5]
    if size & 0x0F:
        raise EncodingError("Huffman tables of 32-bit entries are not for int8")
    raw = encoded.ancillary[HEADER_BYTES:]
    tables = struct.unpack(f"<{len(raw) // 2}H", raw[: len(raw) // 2 * 2])
    stream, total = encoded.stream, 8 * len(encoded.stream)
    first = (size >> 4) + 1
    result = np.zeros(int(np.prod(shape, dtype=np.int64)), np.int8)
    place = 0

    def take(count: int) -> int:
        nonlocal place
        start, place = place, place + count
        if place > total:
            raise EncodingError("a Huffman stream ends within a codeword")
        window = int.from_bytes(stream[start >> 3 : (place + 7) >> 3], "big")
        return window >> (-place & 7) & ((1 << count) - 1)

    for i in range(len(result)):
        width = first
        entry = take(width)
        for _ in range(256):
            if entry >= len(tables):
                raise EncodingError("a Huffman table points outside itself")
            value = tables[entry]
            if value & _FOUND:
                break
            width = (value >> _COUNT_SHIFT & _COUNT_MASK) + 1
            entry += (value & _OFFSET_MASK) + take(width)
        else:
            raise EncodingError("Huffman tables point at each other in a circle")
        result[i] = np.uint8(value & 0xFF).view(np.int8)
        place -= width - (value >> _COUNT_SHIFT & _COUNT_MASK)
    return result.reshape(shape)


def code_lengths(counts: Sequence[int]) -> dict[int, int]:
    """Symbol → length in bits of an optimal prefix code; a single symbol takes no bits."""
    heap = [(count, symbol, [symbol]) for symbol, count in enumerate(counts) if count]
    lengths = {symbol: 0 for _, symbol, _ in heap}
    heapq.heapify(heap)
    while len(heap) > 1:
        one, other = heapq.heappop(heap), heapq.heappop(heap)
        for symbol in one[2] + other[2]:
            lengths[symbol] += 1
        heapq.heappush(heap, (one[0] + other[0], min(one[1], other[1]), one[2] + other[2]))
    return lengths


def canonical_codes(lengths: Mapping[int, int]) -> dict[int, tuple[int, int]]:
    """Symbol → length and codeword, in canonical order."""
    codes = {}
    word = last = 0
    for length, symbol in sorted((length, symbol) for symbol, length in lengths.items()):
        word <<= length - last
        codes[symbol] = (length, word)
        word, last = word + 1, length
    return codes


def _tables(codes: Mapping[int, tuple[int, int]]) -> list[_Table]:
    """The smallest set of tables that reads a code, the first one first.

    Every table trades entries that repeat a short code against further tables: an exact search
    over widths, from the leaves up.
    """
    inner = {(d, w >> (n - d)) for n, w in codes.values() for d in range(n)}

    def below(depth: int, prefix: int, width: int) -> list[tuple[int, int]]:
        low, high = prefix << width, (prefix + 1) << width
        return sorted(p for p in inner if p[0] == depth + width and low <= p[1] < high)

    @cache
    def best(depth: int, prefix: int) -> tuple[int, int]:
        """Entries of the table here and of all below it, and its width."""
        choices = []
        for width in range(1, _WIDEST + 1):
            further = below(depth, prefix, width)
            choices.append(((1 << width) + sum(best(*p)[0] for p in further), width))
            if not further or 1 << width > 512:  # wider tables only repeat
                break
        return min(choices)

    order = [(0, 0)]
    tables = []
    for place in order:
        width = best(*place)[1]
        tables.append(_Table(*place, width))
        order += below(*place, width)
    return tables


def _bits_read(codes: Mapping[int, tuple[int, int]], tables: Sequence[_Table]) -> dict[int, int]:
    """Symbol → bits that the reader has fetched when it finds it."""
    at = {(table.depth, table.prefix): table for table in tables}
    read = {}
    for symbol, (length, word) in codes.items():
        table = tables[0]
        while table.depth + table.width < length:
            depth = table.depth + table.width
            table = at[depth, word >> (length - depth)]
        read[symbol] = table.depth + table.width
    return read


def _table_bytes(codes: Mapping[int, tuple[int, int]], tables: Sequence[_Table]) -> bytes:
    starts, total = {}, 0
    for table in tables:
        starts[table.depth, table.prefix] = total
        total += table.entries
    entries = [0] * total
    at = {(table.depth, table.prefix): table for table in tables}
    for table in tables:
        start, end = starts[table.depth, table.prefix], table.depth + table.width
        for symbol, (length, word) in codes.items():
            if table.depth <= length <= end and word >> (length - table.depth) == table.prefix:
                rest = length - table.depth
                low = (word & ((1 << rest) - 1)) << (table.width - rest)
                for index in range(low, low + (1 << (table.width - rest))):
                    entries[start + index] = _FOUND | rest << _COUNT_SHIFT | symbol
        for depth, prefix in starts:
            if depth == end and prefix >> table.width == table.prefix:
                entry = start + (prefix & (table.entries - 1))
                offset = starts[depth, prefix] - entry
                if not 0 < offset <= _OFFSET_MASK:
                    raise EncodingError("a Huffman table lies out of reach")
                entries[entry] = (at[depth, prefix].width - 1) << _COUNT_SHIFT | offset
    return struct.pack(f"<{total}H", *entries)
