"""ASCII mode: every character keeps its cells and none above U+007F is left."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color

from tui.ascii import AsciiFilter, to_ascii


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=30))
def test_every_text_keeps_its_width_and_is_ascii(text: str) -> None:
    plain = to_ascii(text)
    assert plain.isascii()
    assert len(plain) == sum(cell_len(c) for c in text)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("╭─╮│╰╯├┤┬┼", "+-+|++++++"), ("█░▁", "#._"), ("⠀⠁⣿", " .#"), ("a…b — “c”", 'a.b - "c"'),
        ("café ★", "cafe ?"), ("✅x", "??x"), ("▎▐▔", "||-"), ("≥ 10", "> 10"), ("e\u0301", "e"),
    ],
)  # fmt: skip
def test_known_characters(text: str, plain: str) -> None:
    assert to_ascii(text) == plain


def test_the_filter_leaves_ascii_segments_alone() -> None:
    one, two = Segment("abc"), Segment("│")
    out = AsciiFilter().apply([one, two], Color(0, 0, 0))
    assert out[0] is one
    assert out[1].text == "|"
