"""Key 0: whether everything is fine, in one glance; the screen to leave open."""

from __future__ import annotations

import time
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tui.gauge_model import gauge_model, host_chip_model
from tui.overview_layout import Block, Line, columns_of, fitted, share_out
from tui.overview_model import (
    GUTTER,
    attention_block,
    gate_line,
    host_line,
    host_trouble,
    job_block,
    job_troubles,
    journal_block,
    mlflow_line,
    money_line,
    next_block,
    verdict,
)  # fmt: skip
from tui.roadmap.attention import Attention, attention
from tui.roadmap.budget import summarize
from tui.roadmap.gate import evaluate
from tui.screens.room import Room
from tui.tail import clean
from tui.vocabulary import DIM, HEAD
from tui.widgets.key_bar import Key
from tui.widgets.row_list import Row, RowList

RECOUNT_SECONDS = 5.0
"""How old what is counted from the plan may be: waivers run out and files change without a record."""

NO_HOST = "none yet: a [hosts.tower] table in gonogo.toml names one"
COLUMNS = 3


class OverviewScreen(Room):
    """Verdict on top, then hosts, jobs, what wants a person, next boxes, gate, money, journal."""

    PLACE = "Overview"
    KEYS = (
        Key("enter", "open", "screen.open"),
        Key("!", "attention", "app.attend"),
        Key("t", "train", "app.train"),
        Key("M", "MLflow", "app.mlflow"),
        Key("y", "copy", "screen.copy"),
        Key("r", "reconnect", "app.refresh_all"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "app.train", "Start training", id="job.train"),
        Binding("T", "app.train_pair", "Start a pair", id="job.pair"),
        Binding("M", "app.mlflow", "MLflow", show=False, id="mlflow.key"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._attention: tuple[Attention, ...] = ()
        self._counted: tuple[object, tuple[Block, ...]] | None = None
        self._said: Content | None = None

    def body(self) -> list[Widget]:
        """The verdict, and up to three columns of lines."""
        lists = [RowList(id=f"over-{n}") for n in range(COLUMNS)]
        return [Static(id="verdict", markup=False), Horizontal(*lists, id="columns")]

    def on_mount(self) -> None:
        """The first column has the cursor."""
        super().on_mount()
        self.query_one("#over-0", RowList).focus()

    def main_list(self) -> RowList:
        """The first column."""
        return self.query_one("#over-0", RowList)

    def on_resize(self, event: events.Resize) -> None:
        """Another number of columns, and of lines in them, once the new sizes are known."""
        super().on_resize(event)
        self.call_after_refresh(self.update_all)

    # --- what is shown ------------------------------------------------------------------------

    def update_state(self) -> None:
        """Count anew, and draw."""
        self._counted = None
        self.update_live()

    def _plan(self) -> tuple[Block, ...]:
        """What stands on the workspace."""
        ws = self.gonogo.ws
        key = (len(ws.state.records), int(self.gonogo.fleet.store.clock() / RECOUNT_SECONDS))
        if self._counted is None or self._counted[0] != key:
            self._attention = attention(ws)
            money = summarize(ws.settings, ws.document, ws.state)
            self._counted = (key, (
                attention_block(self._attention),
                next_block(ws.document, ws.state),
                Block("Gate", (gate_line(evaluate(ws)),)),
                Block("Money", (money_line(money, ws.settings.budget.warn_at),)),
                journal_block(ws.state.records),
            ))  # fmt: skip
        return self._counted[1]

    def update_live(self) -> None:
        """Draw what changed."""
        if not self.ready:
            return
        plan = self._plan()
        store, now_ms = self.gonogo.fleet.store, int(time.time() * 1000)
        now = store.clock()
        troubles, waiting, lines = [], [], []
        for host in store.hosts.values():
            chip, gauge = host_chip_model(host, now, now_ms), gauge_model(host, now, now_ms=now_ms)
            trouble, wait = host_trouble(chip, gauge)
            troubles += [trouble] if trouble else []
            waiting += [wait] if wait else []
            lines.append(host_line(chip, gauge))
        name = self.gonogo.ws.settings.mlflow.host
        server = store.hosts.get(name)
        tunnel = server.tunnel if server is not None else None
        if server is not None and server.live and tunnel and tunnel.lights and not tunnel.ok:
            troubles.append("MLflow is down")
        troubles += job_troubles(store)
        troubles += [f"{clean(entry.item)} {entry.word}" for entry in self._attention]
        if self.gonogo.banner:
            troubles.insert(0, "nothing more is saved")
        self._say(Content.assemble(*verdict(troubles, waiting)))
        mlflow = mlflow_line(name if server else "", tunnel, server is not None and server.live)
        empty = Line("", ((NO_HOST, DIM),))
        blocks = (
            Block("Hosts", tuple(lines) or (empty,), least=2),
            Block("MLflow", (mlflow,)), job_block(store), *plan,
        )  # fmt: skip
        self._fill(blocks)

    def _say(self, content: Content) -> None:
        if self._said is None or content != self._said:
            self._said = content
            self.query_one("#verdict", Static).update(content)

    def _fill(self, blocks: tuple[Block, ...]) -> None:
        shared = share_out(blocks, columns_of(self.size.width))
        height = self.query_one("#columns").size.height
        for number in range(COLUMNS):
            column = self.query_one(f"#over-{number}", RowList)
            used = number < len(shared)
            if column.display != used:
                if not used and self.focused is column:
                    self.main_list().focus()
                column.display = used
            if used:
                rows: list[Row] = []
                for block, count in fitted(shared[number], height):
                    rows += block_rows(block, count)
                column.set_rows(rows)

    # --- actions ------------------------------------------------------------------------------

    def _list(self) -> RowList:
        return self.focused if isinstance(self.focused, RowList) else self.main_list()

    def copied(self) -> tuple[str, str]:
        """The verdict and the line under the cursor."""
        column = self._list()
        row = next((row for row in column.rows if row.key == column.key and row.selectable), None)
        line = row.draw(400).plain.strip() if row else ""
        said = self._said.plain if self._said is not None else ""
        return f"{said}\n{line}".strip(), "the verdict and this line"

    def action_open(self) -> None:
        """What the line under the cursor is about."""
        kind, _, rest = self._list().key.partition(":")
        app = self.gonogo
        if kind == "host":
            app.action_room("live")
        elif kind == "job":
            host, _, job_id = rest.partition("/")
            app.open_log(host, job_id)
        elif kind == "mlflow":
            app.action_mlflow()
        elif kind == "attention" and int(rest) < len(self._attention):
            app.attend_to(self._attention[int(rest)])
        elif kind == "box" and rest in app.ws.document.boxes:
            app.show_on_roadmap(rest, app.ws.document.boxes[rest].section_id)
        elif kind == "record":
            app.action_room("journal")
        elif kind == "room":
            app.action_room(rest)

    @on(RowList.Chosen)
    def _chosen(self) -> None:
        self.action_open()


def block_rows(block: Block, count: int) -> list[Row]:
    """The first `count` lines; the last one tells how many more there are."""
    more = len(block.lines) - count
    return [
        _row(
            block.title if n == 0 else "", line, more if n == count - 1 else 0, f"{block.title}{n}"
        )
        for n, line in enumerate(block.lines[:count])
    ]


def _row(title: str, line: Line, more: int, place: str) -> Row:
    def draw(width: int) -> Content:
        end = Content.styled(f" +{more}" if more else "", DIM)
        left = Content.assemble((f" {title:<{GUTTER - 1}}", HEAD), *line.parts)
        room = max(0, width - end.cell_length)
        return left.truncate(room, ellipsis=True, pad=bool(more)) + end

    return Row(line.key or f":{place}", draw, selectable=bool(line.key))
