"""Changes of blanks: fill in, choose between a measured and a hand-set value, store what was measured."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import date

from tui.roadmap.budget import computed_fields
from tui.roadmap.document import Field
from tui.roadmap.errors import InvalidValue, no_such
from tui.roadmap.records import Record
from tui.roadmap.values import check_value, clean_text, may_lie_ahead
from tui.roadmap.writer import Fields, Writer


class FieldChanges(Writer):
    """What a person can do with a blank."""

    def _field(self, field_id: str) -> Field:
        item = self.document.fields.get(field_id)
        if item is None:
            raise no_such("field", field_id, self.document.fields)
        if field_id in computed_fields(self.document):
            raise InvalidValue(f"{field_id} is computed from the ledger; add a cost instead.")
        asked = next((old for old, _, new, _ in self.document.asked_blanks if new == field_id), "")
        if asked:
            raise InvalidValue(
                f"{field_id} may be {asked} with other words: reconcile the plan first."
            )
        return item

    def check_field(self, field_id: str, value: str) -> str:
        """The written form of a value, "" to clear. Raises UnknownId or InvalidValue with one sentence."""
        item = self._field(field_id)
        new = check_value(item, value)
        if new and item.type == "date" and not may_lie_ahead(item):
            self._after_start(item, new)
        return new

    def set_field(self, field_id: str, value: str, by: str, source: str = "hand") -> Record:
        """Fills a field, or clears it with an empty value. Fields of one fact change together."""
        new = self.check_field(field_id, value) or None
        known = self.state.fields.get(field_id)
        if new is None and known is not None and known.measured is not None:
            return self.choose_value(field_id, "measured", by)
        return self._change("field", field_id, new, by, {"source": source})

    def _after_start(self, item: Field, value: str) -> None:
        """Nothing is completed before the project starts. Raises InvalidValue."""
        start = self.state.fields.get("start_date")
        if start is None or item.id == "start_date":
            return
        with contextlib.suppress(ValueError):
            if date.fromisoformat(value) < date.fromisoformat(start.value):
                raise InvalidValue(f"{item.label}: {value} is before the start date {start.value}.")

    def choose_value(self, field_id: str, which: str, by: str) -> Record:
        """Settles a conflict: `which` is "hand" or "measured". The other value stays in the journal."""
        from tui.roadmap.computed import effective_fields

        self._field(field_id)
        if which not in ("hand", "measured"):
            raise InvalidValue(f"Choose hand or measured, not “{which[:20]}”.")
        found = effective_fields(self.document, self.state, self.settings).get(field_id)
        known = self.state.fields.get(field_id)
        if found is None or known is None or known.source != "hand" or found.measured is None:
            raise InvalidValue(f"{field_id} has no hand-set value beside a measured one.")
        new = known.value if which == "hand" else known.measured
        extra = {"source": "hand", "choice": which, "against": found.measured}
        believed = known.value

        def make() -> Fields:
            if self.state.value("field", field_id) != believed:
                raise self._conflict("field", field_id)
            return {
                "by": by, "do": "field", "item": field_id, "old": believed, "new": new, **extra
            }  # fmt: skip

        return self._commit(make)

    def store_measured(self, values: Mapping[str, str], by: str, source: str) -> Record:
        """Stores measured values as one record, beside what was set by hand. Values that do not fit their
        fields are left out; raises InvalidValue where none is left."""
        kept: dict[str, str] = {}
        for field_id, value in values.items():
            item = self.document.fields.get(field_id)
            if item is None or field_id in computed_fields(self.document):
                continue
            with contextlib.suppress(InvalidValue):
                kept[field_id] = check_value(item, value)
        new = {i: v for i, v in kept.items() if v and self._measured(i) != v}
        if not new:
            raise InvalidValue("No measured value is new.")
        name = clean_text(source, "The source")[:200]
        return self._commit(
            lambda: {"by": by, "do": "measured", "item": name, "new": new, "source": name}
        )

    def _measured(self, field_id: str) -> str | None:
        known = self.state.fields.get(field_id)
        return known.measured if known else None
