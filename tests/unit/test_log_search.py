"""A log larger than what is loaded: every hit is found, and memory stays bounded."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path

from tui.log_search import Found, read_window, search
from tui.tail import LIMIT, clean


def test_a_search_finds_what_a_plain_reading_finds(tmp_path: Path) -> None:
    rng = random.Random(5)
    words = [b"loss 1.5", b"Lo\x1b[31mSS nan", b"", b"\xff\xfe", "Straße".encode(), b"x" * 300]
    path = tmp_path / "log.txt"
    raw = [rng.choice(words) + b" %d" % n for n in range(40_000)]
    path.write_bytes(b"\n".join(raw))
    places, at = [], 0
    for line in raw:
        if "loss" in clean(line.decode("utf-8", "replace")).casefold():
            places.append(at)
        at += len(line) + 1
    assert path.stat().st_size > 3 * LIMIT
    found = search(path, "loss", most=10**9)
    assert found == Found(places, len(places), path.stat().st_size)
    assert search(path, "loss", most=7) == Found(places[-7:], len(places), path.stat().st_size)
    assert search(path, "no such").total == 0
    assert search(tmp_path / "none", "x") == Found([], 0, 0)
    for place in rng.sample(places, 20):
        window = read_window(path, place)
        assert "loss" in window.lines[window.places.index(place)].casefold()
        assert sum(map(len, window.lines)) <= LIMIT + 200
    end = read_window(path)
    assert (end.lines[-1], end.whole) == (clean(raw[-1].decode("utf-8", "replace")), False)


def test_one_endless_line_and_many_hits_need_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"y" * (12 * 2**20) + b"\n" + b"hit\n" * 500_000)
    tracemalloc.start()
    found = search(path, "hit")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.total, len(found.places)) == (500_000, 10_000)
    assert peak < 40 * 2**20
    assert read_window(path, 1000).lines[0].startswith("y")
