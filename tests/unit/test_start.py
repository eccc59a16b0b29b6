"""What happens around a first frame: a kept header, names for later, collections that wait."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import pytest

from tui import first, later, memory


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = tmp_path / "ws"
    made.mkdir()
    for name in first.FILES:
        (made / name).write_text("x")
    return made


def test_a_header_is_recalled_only_while_its_files_are_the_same(root: Path) -> None:
    assert first.recall(root) is None
    first.remember(root, "AI \x1b[31mDemo", "3/270 done")
    assert first.recall(root) == ("AI [31mDemo", "3/270 done")
    for name in first.FILES:
        info = (root / name).stat()
        os.utime(root / name, ns=(info.st_atime_ns, info.st_mtime_ns + 1))
        assert first.recall(root) is None, name
        os.utime(root / name, ns=(info.st_atime_ns, info.st_mtime_ns))
        assert first.recall(root) is not None
    (root / "state.jsonl").unlink()
    assert first.recall(root) is None
    for bad in ("", "[", "[1, 2]", '["x", [], "", ""]', "null"):
        first._place(root).write_text(bad)
        assert first.recall(root) is None
    first._place(root).write_text("[" * 100_000)
    assert first.recall(root) is None


def test_a_cache_that_cannot_be_written_is_done_without(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    first.remember(root, "a", "b")
    assert first.recall(root) is None


def test_a_name_for_later_is_imported_when_it_is_used() -> None:
    sys.modules.pop("colorsys", None)
    made = later.Later("colorsys", "rgb_to_hsv")
    kind = later.Later("fractions", "Fraction")
    assert "colorsys" not in sys.modules
    assert made(0, 0, 0) == (0, 0, 0)
    assert "colorsys" in sys.modules
    assert not isinstance(3, kind)
    assert isinstance(kind(1, 2), kind)
    assert kind.from_float(0.5) == kind(1, 2)
    with pytest.raises(AttributeError):
        _ = kind.nothing


@pytest.mark.parametrize("given", [None, "4"])
def test_numpy_comes_without_threads_and_what_is_started_later_keeps_its_own(
    given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(later.THREADS, raising=False)
    if given is not None:
        monkeypatch.setenv(later.THREADS, given)
    later.lean_numpy()
    assert os.environ[later.THREADS] == (given or "1")
    later.load_first()
    assert os.environ.get(later.THREADS) == given


def test_every_name_for_later_exists() -> None:
    from tui import app

    later.load_all()
    assert app
    for name in list(later._names):
        name._load()


def test_full_collections_wait_for_a_quiet_second() -> None:
    collector, before = memory.Collector(), gc.get_threshold()
    assert not collector.look(100.0)  # not settled yet
    full: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"] == 2:
            full.append(1)

    collector.settle()
    gc.callbacks.append(note)
    try:
        kept = []
        for _ in range(6):
            kept.append([[] for _ in range(100_000)])
            gc.collect(0)
            assert not collector.look(0.1)
        assert full == []
        gc.collect(1)
        assert collector.look(memory.QUIET_SECONDS)
        assert full == [1]
        assert not collector.look(memory.QUIET_SECONDS)  # nothing new since
        for _ in range(memory.MOST + 1):
            gc.collect(1)
        assert collector.look(0.1)  # not put off for ever
    finally:
        gc.callbacks.remove(note)
        collector.release()
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


def test_only_what_changed_in_a_line_is_drawn() -> None:
    from rich.segment import Segment
    from rich.style import Style
    from textual.content import Content
    from textual.geometry import Region
    from textual.strip import Strip

    from tui.widgets.lines import changed_lines, changed_parts

    red, plain = Style(color="red"), Style()
    before = [Strip([Segment("loss ", plain), Segment("⣀⣀⣤", red)]), Strip([Segment("12", plain)])]
    for number, (text, x) in enumerate((("⣀⣀⣶", 7), ("⣤⣀⣤", 5), ("日本⣤", 5), ("⣀⣀", 7))):
        now = [Strip([Segment("loss ", plain), Segment(text, red)]), before[1]]
        found = changed_parts(before, now)
        assert found is not None, number
        assert [(part.x, part.y) for part in found] == [(x, 0)], number
        width = max(before[0].cell_length, now[0].cell_length)
        assert found[0].right == width, number
    assert changed_parts(before, before) == []
    assert changed_parts(before, before[:1]) is None
    # The style alone counts as well, which `==` of Content does not see.
    lines = [Content("a"), Content("b")]
    assert changed_lines(lines, [Content("a"), Content.styled("b", "bold")], 9) == [
        Region(0, 1, 9, 1)
    ]
    assert changed_lines(lines, lines[:1], 9) is None


def test_a_folder_whose_name_is_no_utf8_keeps_its_header_as_well(root: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(root) + b"\xff"))
    root.rename(odd)
    first.remember(odd, "AI", "3/270 done")
    assert first.recall(odd) == ("AI", "3/270 done")
