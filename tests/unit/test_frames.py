"""Frames: whatever goes in comes out, whatever is damaged is refused."""

from __future__ import annotations

import json
import math
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.frames import HEADER, MAX_BODY, FrameDecoder, FrameError, encode, parse_body

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
messages = st.dictionaries(st.text(), json_values, max_size=6)
blobs = st.none() | st.binary(max_size=2000)


@given(st.lists(st.tuples(messages, blobs), max_size=8), st.data())
@settings(max_examples=150, deadline=None)
def test_any_messages_in_any_pieces(frames, data):
    stream = b"".join(encode(n, message, blob) for n, (message, blob) in enumerate(frames))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    decoder, found, start = FrameDecoder(), [], 0
    for cut in [*cuts, len(stream)]:
        found += decoder.feed(stream[start:cut])
        start = cut
    assert found == frames


@given(messages, blobs, st.data())
@settings(max_examples=200, deadline=None)
def test_one_flipped_bit_is_always_noticed(message, blob, data):
    frame = bytearray(encode(0, message, blob))
    bit = data.draw(st.integers(0, len(frame) * 8 - 1))
    frame[bit // 8] ^= 1 << bit % 8
    with pytest.raises(FrameError):
        # A damaged length must not make it wait for bytes that never come.
        FrameDecoder().feed(bytes(frame))


@given(st.binary(min_size=16, max_size=400))
def test_noise_is_refused_without_waiting(noise):
    if noise[:2] == b"GN":
        noise = b"XX" + noise[2:]
    with pytest.raises(FrameError):
        FrameDecoder().feed(noise)


def test_one_byte_at_a_time():
    stream = encode(0, {"m": "a"}) + encode(1, {"m": "b"}, b"\0" * 100)
    decoder = FrameDecoder()
    found = [frame for byte in stream for frame in decoder.feed(bytes([byte]))]
    assert found == [({"m": "a"}, None), ({"m": "b"}, b"\0" * 100)]


def test_every_flipped_bit_of_a_header_is_noticed_at_once():
    frame = encode(0, {"m": "gauge"})
    for bit in range(HEADER.size * 8):
        header = bytearray(frame[: HEADER.size])
        header[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FrameError):
            FrameDecoder().feed(bytes(header))


@pytest.mark.parametrize("order", [[1], [0, 0], [0, 2], [0, 1, 1]])
def test_lost_and_doubled_frames_are_noticed(order):
    stream = b"".join(encode(seq, {}) for seq in order)
    with pytest.raises(FrameError, match="was due"):
        FrameDecoder().feed(stream)


def test_sequence_numbers_wrap():
    decoder = FrameDecoder()
    decoder._seq = 2**32 - 1
    assert len(decoder.feed(encode(2**32 - 1, {}) + encode(2**32, {}))) == 2


def test_an_empty_blob_is_not_no_blob():
    decoder = FrameDecoder()
    assert decoder.feed(encode(0, {"m": "x"}, b"")) == [({"m": "x"}, b"")]


def test_too_large_is_refused_on_both_sides():
    with pytest.raises(FrameError, match="over the limit"):
        encode(0, {}, b"\0" * MAX_BODY)
    rest = struct.pack("!III", MAX_BODY + 1, 0, 0)
    check = struct.pack("!H", zlib.crc32(rest) & 0xFFFF)
    with pytest.raises(FrameError, match="over the limit"):
        FrameDecoder().feed(b"GN" + check + rest)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_json_does_not_know_are_refused(value):
    with pytest.raises(ValueError):
        encode(0, {"loss": value})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"a": NaN}',
        b"{",
        b"\xff{}",
        b"B",
        b"B\0\0\0\x05{}",
        b"B\xff\xff\xff\xff{}",
        b"[" * 100_000,
    ],
)
def test_bodies_that_are_no_message(body):
    with pytest.raises(FrameError):
        parse_body(body)


def test_the_header_is_sixteen_bytes_and_the_body_ascii_json():
    frame = encode(7, {"m": "grüß"})
    assert HEADER.size == 16
    assert json.loads(frame[16:].decode("ascii")) == {"m": "grüß"}
