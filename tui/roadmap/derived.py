"""Fields that follow from other fields: improvements, their mean, total times, the word significant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from tui.roadmap.document import Document
from tui.roadmap.state import FieldValue
from tui.settings import Settings

if TYPE_CHECKING:
    from tui.roadmap.comparison import Comparison

LOWER_IS_BETTER = ("code_vulnerability",)
_TENTH, _FINE = Decimal("0.1"), Decimal("0.0001")
Values = dict[str, FieldValue]


def relative_improvement(control: Decimal, experiment: Decimal, lower: bool) -> Decimal | None:
    """100 * (experiment - control) / |control| in percent, sign turned where lower is better.

    None where a control of 0 leaves it undefined.
    """
    if not control:
        return None
    change = 100 * (experiment - control) / abs(control)
    return -change if lower else change


def metric_names(document: Document) -> tuple[str, ...]:
    """Names of the metrics that the document's table asks for, as in KM.<name>.improvement."""
    ids = [i.split(".") for i in document.fields if i.startswith("KM.") and i.count(".") == 2]
    names = [name for _, name, column in ids if column == "improvement" and name != "average"]
    return tuple(dict.fromkeys(names))


def _put(out: Values, field_id: str, number: Decimal | None, step: Decimal, why: str) -> None:
    """A derived value; beside a hand-set one it stands as the measured one."""
    if number is None:
        return
    text = f"{number.quantize(step):f}"
    known = out.get(field_id)
    if known is None:
        out[field_id] = FieldValue(text, why, "derived:fields", 0, text)
    elif known.source == "hand":
        out[field_id] = replace(known, measured=text)


def add_derived(document: Document, out: Values, settings: Settings) -> None:
    """Adds to `out` (id to value) what follows from the values in it. Fields of one fact stay equal."""

    def number(field_id: str) -> Decimal | None:
        value = out.get(field_id)
        try:
            return Decimal(value.value) if value else None
        except ArithmeticError:
            return None

    control, experiment = number("S2.control_accuracy"), number("S2.experiment_accuracy")
    if "S2.improvement" in document.fields and control is not None and experiment is not None:
        change = relative_improvement(control, experiment, False)
        _put(out, "S2.improvement", change, _TENTH, "from both accuracies")
    times = [number("KM.control_time"), number("KM.experiment_time")]
    if "P2.training_time" in document.fields and None not in times:
        total = sum((t for t in times if t is not None), Decimal(0))
        _put(out, "P2.training_time", total, Decimal("0.01"), "sum of both times")
    _improvements(document, out, number)
    word_of = out.get("KM.p_value")
    if word_of is not None and "KM.significant" in document.fields:
        significant = (number("KM.p_value") or Decimal(0)) < Decimal(str(settings.gate.alpha))
        word = "Yes" if significant else "No"
        known = out.get("KM.significant")
        if known is None:
            out["KM.significant"] = FieldValue(word, "derived", word_of.by, word_of.at, word)
        else:
            out["KM.significant"] = replace(known, measured=word)


def _improvements(document: Document, out: Values, number: Callable[[str], Decimal | None]) -> None:
    names, changes = metric_names(document), []
    for name in names:
        control, experiment = number(f"KM.{name}.control"), number(f"KM.{name}.experiment")
        if control is not None and experiment is not None:
            change = relative_improvement(control, experiment, name in LOWER_IS_BETTER)
            _put(out, f"KM.{name}.improvement", change, _TENTH, "from control and experiment")
        shown = number(f"KM.{name}.improvement")
        if shown is not None:
            changes.append(shown)
    if changes:
        mean = sum(changes, Decimal(0)) / len(changes)
        fact = document.fields["KM.average.improvement"].fact if names else ""
        for item in document.fields.values():
            if item.id == "KM.average.improvement" or (fact and item.fact == fact):
                _put(out, item.id, mean, _TENTH, f"mean of {len(changes)} of {len(names)}")


def measured_values(document: Document, comparison: Comparison) -> Mapping[str, str]:
    """What a comparison says about the fields of the metrics table and the significance lines.

    A percent blank takes a mean of 0..1 as a share. Control and experiment only: the improvements follow
    from them.
    """
    out: dict[str, str] = {}
    for metric in comparison.metrics:
        for arm, value in (("control", metric.control), ("experiment", metric.experiment)):
            item = document.fields.get(f"KM.{metric.name}.{arm}")
            if item is not None and value is not None:
                exact = Decimal(repr(value))
                percent = item.type == "percent" and abs(exact) <= 1
                out[item.id] = _plain(100 * exact if percent else exact)
    for field_id, found in (
        ("KM.p_value", comparison.p_value),
        ("KM.effect_size", comparison.effect_size),
    ):
        if field_id in document.fields and found is not None:
            out[field_id] = _plain(Decimal(repr(found)))
    return out


def _plain(value: Decimal) -> str:
    """At most four decimal places, without trailing zeros or an exponent."""
    text = f"{value.quantize(_FINE):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
