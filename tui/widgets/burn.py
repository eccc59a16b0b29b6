"""Money spent by day as a small curve with its dates, drawn to whatever room it has."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from textual.content import Content
from textual.widget import Widget

from tui import vocabulary
from tui.chart.small import small_chart
from tui.vocabulary import DIM, HEAD, sparkline

Points = tuple[tuple[date, Decimal], ...]


class Burn(Widget):
    """Draws again only when other points or another size come."""

    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.points: Points = ()
        self.sign = "$"

    def show(self, points: Points, sign: str = "$") -> None:
        """The sum at the end of each day, oldest first, and what stands before an amount."""
        if (points, sign) != (self.points, self.sign):
            self.points, self.sign = points, sign
            self.refresh()

    def render(self) -> Content:
        """Title, curve, first and last day."""
        width, height = self.size.width, self.size.height
        if not self.points or width < 12 or height < 3:
            return Content.styled("SPENT BY DAY   no entry yet" if not self.points else "", DIM)
        values = [float(value) for _, value in self.points]
        top = max(*values, 0.01) if len(values) > 1 else max(values[0], 0.01)
        if vocabulary.marks is vocabulary.ASCII:
            shown: list[float | None] = [values[len(values) * i // width] for i in range(width)]
            lines = [sparkline(shown, width, top)]
        else:
            lines = small_chart(values, width, height - 2, top)
        first, last = self.points[0][0].isoformat(), self.points[-1][0].isoformat()
        days = first if first == last or width < 22 else first + last.rjust(width - len(first))
        return Content.assemble(
            (f"SPENT BY DAY, up to {self.sign}{top:.2f}\n", HEAD),
            *((f"{line}\n", "$accent") for line in lines),
            (days, DIM),
        )


def burn_line(points: Points, width: int) -> str:
    """The same in one line, for a screen without room; "" without points."""
    if not points:
        return ""
    values = [float(value) for _, value in points]
    shown: list[float | None] = [values[len(values) * i // width] for i in range(width)]
    return sparkline(shown, width, max(*values, 0.01) if len(values) > 1 else max(values[0], 0.01))
