"""A chart as a file: SVG of what is seen, PNG through matplotlib, every point as CSV, plain text."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tui.chart.ema import FloatArray
from tui.chart.paint import Rows
from tui.chart.series import Branch
from tui.chart.view import CurveLine, View, extent
from tui.files import check_target, write_file
from tui.roadmap.errors import NotSaved

if TYPE_CHECKING:
    from rich.text import Text

FORMATS = (".svg", ".png", ".csv", ".txt")
TERMINAL: Mapping[str, str] = {
    "axis": "bright_black", "title": "bold", "note": "italic bright_black", "mark": "bold red",
    "band": "red", "cross": "bold", "difference": "bold green", "interval": "green",
    "line-0": "bold cyan", "line-1": "bold yellow", "line-2": "bold green", "line-3": "bold red",
    "line-away-0": "dim cyan", "line-away-1": "dim yellow", "line-away-2": "dim green",
    "line-away-3": "dim red",
    "raw-0": "dim cyan", "raw-1": "dim yellow", "raw-2": "dim green", "raw-3": "dim red",
    "old-0": "dim cyan", "old-1": "dim yellow", "old-2": "dim green", "old-3": "dim red",
}  # fmt: skip
"""Role to rich style: the sixteen colours of the terminal itself."""


class SaveError(Exception):
    """The chart cannot be saved so; the sentence says why and what to do."""


def check_name(name: str) -> str:
    """A sentence when the file name will not do, else an empty string."""
    if not name.strip():
        return "Type a file name."
    if Path(name).suffix.lower() not in FORMATS:
        return f"End the name in one of {', '.join(FORMATS)}."
    return ""


def save(
    path: Path,
    lines: tuple[CurveLine, ...],
    view: View,
    rows: Rows,
    title: str,
    own: Path | None = None,
) -> int:
    """Write the chart in the format its name asks for; returns the number of bytes.

    Raises SaveError for another format, a missing library, nothing to save, a disk that does not take
    it, or a name that is no chart's (see `files.check_target`; `own` is the workspace). What was in
    the file before is replaced only once the new one is complete.
    """
    problem = check_name(path.name)
    if problem:
        raise SaveError(problem)
    try:
        check_target(path, own)
    except NotSaved as refused:
        raise SaveError(str(refused)) from None
    if extent(lines, "step") is None:
        raise SaveError("There is no point to save yet.")
    kind = path.suffix.lower()
    if kind == ".csv":
        data = points_csv(lines).encode()
    elif kind == ".svg":
        data = picture_svg(rows, title).encode()
    elif kind == ".png":
        data = _png(lines, view, title)
    else:
        data = (plain(rows) + "\n").encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, data, force=True, own=own)
    except OSError as error:
        raise SaveError(f"{path} cannot be written: {error.strerror or error}.") from error
    except NotSaved as problem:
        raise SaveError(str(problem)) from None
    return len(data)


def plain(rows: Rows) -> str:
    """The chart as text."""
    return "\n".join("".join(text for text, _ in row).rstrip() for row in rows)


def rich_text(rows: Rows) -> Text:
    """The chart in the terminal's colours."""
    from rich.text import Text

    text = Text(no_wrap=True, end="")
    for index, row in enumerate(rows):
        if index:
            text.append("\n")
        for part, role in row:
            text.append(part, TERMINAL[role])
    return text


def picture_svg(rows: Rows, title: str) -> str:
    """The chart as it is seen. The picture loads nothing from the network: rich's font links are cut."""
    from rich._export_format import CONSOLE_SVG_FORMAT
    from rich.cells import cell_len
    from rich.console import Console

    width = max(sum(cell_len(part) for part, _ in row) for row in rows)
    console = Console(
        record=True, width=max(20, width), file=io.StringIO(), force_terminal=True, no_color=False
    )
    console.print(rich_text(rows))
    form = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    return console.export_svg(title=title, code_format=form)


def _png(lines: tuple[CurveLine, ...], view: View, title: str) -> bytes:
    from tui.chart.png import picture_png

    try:
        return picture_png(lines, view, title)
    except ImportError as error:
        raise SaveError(
            "PNG needs matplotlib (pip install matplotlib); SVG, CSV and TXT need nothing more."
        ) from error
    except (ValueError, TypeError, OverflowError, MemoryError) as error:  # nothing it can scale
        raise SaveError(f"PNG cannot show these points ({error}); save SVG or CSV.") from error


CSV_HEAD = ("run", "arm", "attempt", "step", "seconds", "utc", "tokens", "value", "smoothed")


def points_csv(lines: tuple[CurveLine, ...]) -> str:
    """Every point of every curve, abandoned attempts included, as RFC 4180 CSV with a header line.

    Values are written exactly (shortest form that reads back the same); NaN and inf by their names,
    unknown cells empty. A name that a spreadsheet would run as a formula gets a quote in front.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(CSV_HEAD)
    for line in lines:
        series = line.series
        for number, branch in enumerate(series.branches):
            first = series.rewinds - len(series.branches) + 1
            writer.writerows(_rows(line, first + number, branch, None))
        now = Branch(
            series.x, series.t, series.y, series.tokens if series.tokens is not None else _NONE
        )
        writer.writerows(_rows(line, series.rewinds + 1, now, series.smooth))
    return out.getvalue()


_NONE: FloatArray = np.zeros(0)


def _rows(
    line: CurveLine, attempt: int, part: Branch, smooth: FloatArray | None
) -> Iterator[tuple[object, ...]]:
    name, arm = _harmless(line.name), _harmless(line.arm)
    for index, (x, t, y) in enumerate(
        zip(part.x.tolist(), part.t.tolist(), part.y.tolist(), strict=True)
    ):
        tokens: object = int(part.tokens[index]) if len(part.tokens) else ""
        smoothed: object = "" if smooth is None else float(smooth[index])
        step: object = int(x) if math.isfinite(x) and x == int(x) else x
        yield name, arm, attempt, step, t, _utc(line.origin_ms, t), tokens, y, smoothed


def _harmless(name: str) -> str:
    return f"'{name}" if name[:1] in ("=", "+", "-", "@", "\t", "\r") else name


def _utc(origin_ms: int | None, seconds: float) -> str:
    if origin_ms is None:
        return ""
    try:
        moment = datetime.fromtimestamp(origin_ms / 1000 + seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return ""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
