"""The encodings that TFLite Micro's DECODE reads: exact inverses, and damage is noticed."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.encode.decode_bitmask import pack_bitmask, unpack_bitmask
from bridge.encode.decode_header import HEADER_BYTES, EncodingError
from bridge.encode.decode_huffman import (
    canonical_codes,
    code_lengths,
    pack_huffman,
    unpack_huffman,
)
from bridge.encode.decode_lut import pack_lut, unpack_lut


@st.composite
def tensors(draw: st.DrawFn, distinct: int = 255) -> tuple[np.ndarray, int, int]:
    """Values with their number of channels and the channels' dimension."""
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=2, max_size=4)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    choice = random.integers(-128, 128, draw(st.integers(1, distinct))).astype(np.int8)
    values = random.choice(choice, shape)
    values[random.random(shape) < draw(st.sampled_from([0.0, 0.5, 0.92, 1.0]))] = 0
    axis = draw(st.sampled_from([0, len(shape) - 1]))
    return values, draw(st.sampled_from([1, shape[axis]])), axis


@given(tensors(), st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_bitmask_is_its_own_inverse(case, seed):
    values, channels, axis = case
    zeros = np.random.default_rng(seed).choice([0, 0, 3, -128], channels).tolist()
    packed = pack_bitmask(values, zeros, axis)
    assert len(packed.stream) == -(-values.size // 8)
    again = unpack_bitmask(packed, values.shape, "int8", zeros, axis)
    np.testing.assert_array_equal(again, values)


@pytest.mark.parametrize("dtype", ["int16", "int32", "int64", "float32", "bool"])
def test_bitmask_holds_other_types(dtype):
    values = np.array([[0, 1, 0], [0, 0, 1]], dtype)
    packed = pack_bitmask(values)
    assert packed.bytes == 1 + HEADER_BYTES + 2 * values.itemsize
    np.testing.assert_array_equal(unpack_bitmask(packed, values.shape, dtype), values)


@given(tensors(distinct=60))
@settings(max_examples=200, deadline=None)
def test_lut_is_its_own_inverse(case):
    values, channels, axis = case
    packed = pack_lut(values, channels, axis)
    again = unpack_lut(packed, values.shape, "int8", channels, axis)
    np.testing.assert_array_equal(again, values)


@given(tensors())
@settings(max_examples=200, deadline=None)
def test_huffman_is_its_own_inverse(case):
    values, _, _ = case
    packed = pack_huffman(values)
    np.testing.assert_array_equal(unpack_huffman(packed, values.shape), values)


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=256))
def test_the_code_is_a_prefix_code_and_as_short_as_can_be(counts):
    lengths = code_lengths(counts)
    codes = canonical_codes(lengths)
    texts = sorted(format(word, f"0{n}b") if n else "" for n, word in codes.values())
    assert not any(b.startswith(a) for a, b in itertools.pairwise(texts))
    # The sum of all merged weights is the length of any optimal code (Huffman, 1952).
    heap, total = [c for c in counts if c], 0
    heapq.heapify(heap)
    while len(heap) > 1:
        merged = heapq.heappop(heap) + heapq.heappop(heap)
        total += merged
        heapq.heappush(heap, merged)
    assert sum(counts[symbol] * n for symbol, n in lengths.items()) == total


def test_a_deep_code_is_read():
    """Fibonacci counts give the deepest tree, over several tables."""
    counts = [1, 1]
    while len(counts) < 20:
        counts.append(counts[-1] + counts[-2])
    values = np.repeat(np.arange(-10, 10, dtype=np.int8), counts)
    np.random.default_rng(0).shuffle(values)
    assert max(code_lengths(counts).values()) == 19
    packed = pack_huffman(values)
    np.testing.assert_array_equal(unpack_huffman(packed, values.shape), values)


def test_one_value_alone_takes_no_bits():
    assert len(pack_huffman(np.zeros((40, 50), np.int8)).stream) == 4


def test_damage_is_noticed():
    values = np.arange(-60, 60, dtype=np.int8)
    mask, huffman, lut = pack_bitmask(values), pack_huffman(values), pack_lut(values)
    with pytest.raises(EncodingError, match="are stored"):
        unpack_bitmask(replace(mask, ancillary=mask.ancillary[:-1]), values.shape, "int8")
    with pytest.raises(EncodingError, match="bits where"):
        unpack_bitmask(replace(mask, stream=mask.stream[:-1]), values.shape, "int8")
    with pytest.raises(EncodingError, match="within a codeword"):
        unpack_huffman(replace(huffman, stream=huffman.stream[:-8]), values.shape)
    with pytest.raises(EncodingError, match="outside itself"):
        unpack_huffman(replace(huffman, ancillary=huffman.ancillary[:-40]), values.shape)
    with pytest.raises(EncodingError, match="tables of"):
        unpack_lut(replace(lut, ancillary=lut.ancillary[:-1]), values.shape, "int8")
    for unpack in (unpack_huffman, lambda e, s: unpack_lut(e, s, "int8")):
        with pytest.raises(EncodingError, match="not with type"):
            unpack(mask, values.shape)


def test_what_does_not_fit_is_refused():
    with pytest.raises(EncodingError, match="distinct"):
        pack_lut(np.arange(-128, 128).astype(np.int8))
    with pytest.raises(EncodingError, match="int8"):
        pack_huffman(np.zeros(4, np.int32))
    with pytest.raises(EncodingError, match="zero points"):
        pack_bitmask(np.zeros(4, np.int32), (1,))
    with pytest.raises(EncodingError, match="first or last"):
        pack_bitmask(np.zeros((2, 3, 4), np.int8), (0, 0, 0), 1)
