"""Metrics and fields: the ten metrics of both arms, and every blank of the plan with its source."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from tui.account_rows import field_line, metric_head, metric_row
from tui.copying import field_text
from tui.field_detail import field_detail, places
from tui.roadmap.computed import shown_fields
from tui.roadmap.derived import measured_values, metric_names
from tui.roadmap.document import Document, Field
from tui.roadmap.results import load_comparison
from tui.roadmap.state import FieldValue
from tui.rows import heading
from tui.screens.dialogs import DetailScreen
from tui.screens.room import Room
from tui.widgets.filter_line import FilterLine
from tui.widgets.key_bar import Key
from tui.widgets.pane import Pane
from tui.widgets.row_list import Row, RowList

SHOW = ("all", "empty", "conflicts")


class MetricsScreen(Room):
    """W8 of the plan."""

    PLACE = "Metrics and fields"
    KEYS = (
        Key("e", "edit", "screen.edit"),
        Key("v", "fetch measured", "screen.fetch"),
        Key("c", "choose value", "screen.choose"),
        Key("f", "empty/conflicts", "screen.show"),
        Key("s", "stage", "screen.stage"),
        Key("enter", "details", "screen.details"),
        Key("/", "filter", "screen.filter"),
        Key("y", "copy", "screen.copy"),
        Key("u", "undo", "app.undo"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "edit", "Edit field", id="field.edit"),
        Binding("v", "fetch", "Fetch measured", id="field.fetch"),
        Binding("c", "choose", "Choose value", id="field.choose"),
        Binding("f", "show", "Filter empty", id="field.filter"),
        Binding("s", "stage", "Show stage", id="field.stage"),
        Binding("slash", "filter", "Filter", id="list.filter"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.shown = SHOW[0]
        self.filter_text = ""

    def body(self) -> list[Widget]:
        """Filter line and list; the detail beside it where there is room."""
        fields = RowList(id="fields")
        line = FilterLine("field-filter", fields, "words of a field's id, label or source")
        detail = Pane(Static(id="field-detail", markup=False), id="field-pane")
        return [Horizontal(Vertical(line, fields, id="field-list"), detail)]

    def on_mount(self) -> None:
        """The list has the cursor."""
        super().on_mount()
        self.query_one("#fields", RowList).focus()

    def place(self) -> str:
        """With how many blanks are filled."""
        document = self.gonogo.ws.document
        blanks = [f for f in document.fields.values() if not f.implicit]
        filled = sum(bool(self.gonogo.field_value(f)[0]) for f in blanks)
        kind = "" if self.shown == "all" else f"  {self.shown}"
        return f"{self.PLACE}  {filled}/{len(blanks)}{kind}"

    # --- drawing ------------------------------------------------------------------------------

    def update_state(self) -> None:
        """Metrics first, then the fields section by section."""
        ws = self.gonogo.ws
        values = shown_fields(ws.document, ws.state, ws.settings)
        table = [] if self.shown != "all" or self.filter_text else self._metrics(values)
        for section in ws.document.all_sections:
            fields = [f for f in section.fields if self._keep(f, values.get(f.id))]
            if not fields:
                continue
            filled = sum(f.id in values for f in fields)
            table.append(
                heading(
                    f"section:{section.id}",
                    f"{section.id} {section.short}",
                    f"{filled}/{len(fields)}",
                )
            )
            table += [field_line(f, values.get(f.id), len(places(ws.document, f))) for f in fields]
        self.query_one("#fields", RowList).set_rows(table)
        found = sum(row.selectable for row in table)
        self.query_one(FilterLine).say(f"{found} of {len(ws.document.fields)}")
        self.update_detail()

    def _keep(self, field: Field, value: FieldValue | None) -> bool:
        if self.shown == "empty" and value is not None:
            return False
        if self.shown == "conflicts" and not (value and value.differs and value.source == "hand"):
            return False
        text = f"{field.id} {field.label} {field.type} {value.source if value else ''}".casefold()
        return all(word in text for word in self.filter_text.casefold().split())

    def _metrics(self, values: dict[str, FieldValue]) -> list[Row]:
        document = self.gonogo.ws.document
        names = metric_names(document)
        if not names:
            return []
        found = load_comparison(self.gonogo.ws.root).comparison
        measured = measured_values(document, found) if found else {}
        table: list[Row] = [metric_head()]
        for name in names:
            result = found.metric(name) if found else None
            ids = [f"KM.{name}.{column}" for column in ("control", "experiment", "improvement")]
            cells = [_cell(document, i, values, measured) for i in ids]
            if not cells[2] and result is not None and result.improvement is not None:
                cells[2] = f"{result.improvement:+.1f}%"
            stored = values.get(ids[1]) or values.get(ids[0])
            source = stored.source if stored else "not stored" if result else ""
            label = document.fields[ids[2]].label.removesuffix(" Improvement")
            cells[2] = cells[2] if cells[2][:1] in ("", "+", "-") else f"+{cells[2]}"
            table.append(metric_row(name, label, (cells[0], cells[1], cells[2]), result, source))
        average = values.get("KM.average.improvement")
        shown = f"{Decimal(average.value):+}%" if average else ""
        if not average and found and found.average()[0] is not None:
            shown = f"{found.average()[0]:+.1f}%"
        source = f"{found.average()[1]} of {len(names)}" if found else ""
        if average:
            source = average.source.removeprefix("mean of ")
        table.append(metric_row("average", "Average", ("", "", shown), None, source))
        return table

    def current_field(self) -> Field | None:
        """The field under the cursor; of a metric's row its experiment cell, of the average's its mean."""
        key, fields = self.query_one("#fields", RowList).key, self.gonogo.ws.document.fields
        if key.startswith("metric:"):
            name = key[7:]
            return fields.get(f"KM.{name}.{'improvement' if name == 'average' else 'experiment'}")
        return fields.get(key.removeprefix("field:"))

    def update_detail(self) -> None:
        """Right pane, where it is shown."""
        if self.size.width >= 120:
            field = self.current_field()
            text = field_detail(self.gonogo.ws, field) if field else Content("")
            self.query_one("#field-detail", Static).update(text)

    @on(RowList.Moved, "#fields")
    def _moved(self) -> None:
        self.update_detail()

    # --- actions ------------------------------------------------------------------------------

    @on(RowList.Chosen, "#fields")
    def _chosen(self) -> None:
        if self.size.width < 120:
            self.action_details()
        else:
            self.action_edit()

    def action_details(self) -> None:
        """Everything that is known of the field."""
        field = self.current_field()
        if field is not None:
            self.app.push_screen(DetailScreen(field_detail(self.gonogo.ws, field), field.id))

    def action_edit(self) -> None:
        """Edit in place."""
        field = self.current_field()
        if field is not None:
            self.gonogo.edit_field(field.id)

    def action_fetch(self) -> None:
        """Store what the evaluation measured."""
        self.gonogo.fetch_fields()

    def action_choose(self) -> None:
        """Hand-set or measured."""
        field = self.current_field()
        if field is not None:
            self.gonogo.choose_value(field.id)

    def action_show(self) -> None:
        """All, only empty, only conflicts."""
        self.shown = SHOW[(SHOW.index(self.shown) + 1) % len(SHOW)]
        self.update_state()
        self.update_header()

    def action_stage(self) -> None:
        """The field on the roadmap."""
        field = self.current_field()
        if field is not None:
            self.gonogo.show_on_roadmap(f"field:{field.id}", field.section_id)

    def main_list(self) -> RowList:
        """The fields."""
        return self.query_one("#fields", RowList)

    def copied(self) -> tuple[str, str]:
        """The field under the cursor with its value."""
        field = self.current_field()
        if field is None:
            return "", ""
        return field_text(field, *self.gonogo.field_value(field)), field.id

    def action_filter(self) -> None:
        """Show the filter line."""
        self.query_one(FilterLine).open()

    @on(Input.Changed, "#field-filter")
    def _filtered(self, event: Input.Changed) -> None:
        self.filter_text = event.value
        self.update_state()


def _cell(
    document: Document, field_id: str, values: dict[str, FieldValue], measured: Mapping[str, str]
) -> str:
    """The stored value of a metric's cell, else the measured one, with its percent sign."""
    field, value = document.fields.get(field_id), values.get(field_id)
    text = value.value if value else measured.get(field_id, "")
    return f"{text}%" if text and field is not None and field.type == "percent" else text
