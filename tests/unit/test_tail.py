"""The end of a log of any shape."""

from __future__ import annotations

from pathlib import Path

from tui.tail import LIMIT, tail_lines


def test_a_log_that_is_one_endless_line_shows_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_bytes(b"x" * (2 * LIMIT) + b"the end")
    note, line = tail_lines(log)
    assert note == f"({LIMIT + 7:,} bytes before this)"
    assert line.endswith("xxxthe end")
    assert len(line) < 5000


def test_a_progress_bar_shows_where_it_is(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("".join(f"\r{n / 1000:5.1f} % \x1b[K|{'#' * 40}" for n in range(100_000)))
    assert log.stat().st_size > LIMIT
    assert tail_lines(log)[-1] == "100.0 % |" + "#" * 40


def test_lines_after_the_cut_are_whole(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("".join(f"line {n}\n" for n in range(100_000)))
    lines = tail_lines(log)
    assert lines[0].endswith("bytes before this)")
    assert lines[1].startswith("line ")
    assert lines[-1] == "line 99999"
    assert tail_lines(tmp_path / "none") == ["nothing has been mirrored from the host yet"]
