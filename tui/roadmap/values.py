"""Checks what is typed into a field and brings it into one written form. Numbers are decimal text."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from decimal import Decimal, InvalidOperation

from tui.roadmap.errors import InvalidValue
from tui.roadmap.parts import Field

MAX_TEXT = 2000
_URL = re.compile(r"https?://[^\s/|<>\"]+\.?[^\s|<>\"]*$")
_GROUPS = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d*)?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_AHEAD = re.compile(
    r"\b(due|deadline|target|planned|expected|event|delivery|launch|release)\b", re.I
)
"""Labels of dates that may lie ahead; the others say when something was done."""
_LIMIT = Decimal(10) ** 9


def decimal(text: str, what: str) -> Decimal:
    """A finite number below a billion. Raises InvalidValue with one sentence."""
    bare = text.strip()
    bare = bare[1:] if re.match(r"\+[^+-]", bare) else bare
    if "," in bare:
        if not _GROUPS.fullmatch(bare):  # 13,10 is thirteen and a bit in half of the world
            raise InvalidValue(f"{what} needs a point before its decimals, not “{text[:40]}”.")
        bare = bare.replace(",", "")
    try:
        number = Decimal(bare)
    except InvalidOperation:
        raise InvalidValue(f"{what} must be a number, not “{text[:40]}”.") from None
    if not number.is_finite() or abs(number) >= _LIMIT:
        raise InvalidValue(f"{what} must be a finite number below a billion.")
    return number


def money(text: str, what: str = "The amount") -> Decimal:
    """An amount like 13.10 or $13.10, with at most four decimal places."""
    bare = text.strip()
    sign = "-" if bare.startswith("-") else ""
    amount = decimal(sign + bare.removeprefix("-").removeprefix("$"), what)
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -4:
        raise InvalidValue(f"{what} has more than four decimal places.")
    return amount


def money_text(amount: Decimal) -> str:
    """At least two decimal places, never an exponent."""
    cents = amount.quantize(Decimal("0.01"))
    return f"{cents if cents == amount else amount.normalize():f}"


def money_sign(currency: str) -> str:
    """What stands before an amount: "$", or "EUR " and the like, which every terminal can show."""
    return "$" if currency == "USD" else f"{currency} "


def clean_text(text: str, what: str, *, lines: bool = False) -> str:
    """NFC text without control characters; one line unless `lines`. Raises InvalidValue if too long."""
    kept = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    if len(kept) > MAX_TEXT * (8 if lines else 1):
        raise InvalidValue(f"{what} is too long.")
    if not lines and "\n" in kept.strip():
        raise InvalidValue(f"{what} must be one line.")
    if any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" for c in kept):
        raise InvalidValue(f"{what} contains control characters.")
    return kept.strip()


def check_value(item: Field, text: str, today: date | None = None) -> str:
    """The written form of `text` for a field, "" to clear it. Raises InvalidValue with one sentence."""
    value = clean_text(text, item.label, lines=item.kind == "notes")
    if not value:
        return ""
    if re.search(r"_{4}", value):
        raise InvalidValue(f"{item.label} may not contain “____”: it would read as a blank.")
    if item.kind == "choice":
        return _choice(item, value)
    match item.type:
        case "date":
            return _date(item, value, today or date.today())  # noqa: DTZ011 - a local calendar day
        case "url":
            return _urls(item, value)
        case "money":
            return money_text(money(value, item.label))
        case "text":
            return value
        case "percent":
            value = value.rstrip("% ")
        case "hours":
            value = re.sub(r"\s*(h|hours?)$", "", value)
        case "gb":
            value = re.sub(r"\s*G(i?B)?$", "", value)
        case "float":
            pass
    number = decimal(value, item.label)
    if item.type in ("hours", "gb") and number < 0:
        raise InvalidValue(f"{item.label} must not be negative.")
    if item.id.endswith("p_value") and not 0 <= number <= 1:
        raise InvalidValue(f"{item.label} must lie between 0 and 1.")
    return f"{number:f}"


def _choice(item: Field, value: str) -> str:
    options = ("under", "over") if item.id.endswith("word") else ("Yes", "No")
    for option in options:
        if value.casefold() == option.casefold():
            return option
    raise InvalidValue(f"{item.label} must be {' or '.join(options)}.")


def may_lie_ahead(item: Field) -> bool:
    """True for a deadline and its like; other dates say when something was done."""
    return bool(_AHEAD.search(item.label))


def _date(item: Field, value: str, today: date) -> str:
    try:  # a week as in 2026-W05-1 is an ISO date as well
        day = date.fromisoformat(value) if _DAY.fullmatch(value) else None
    except ValueError:
        day = None
    ahead = may_lie_ahead(item)
    if day is None or (day > today and not ahead):
        rest = "" if ahead else ", not after today"
        raise InvalidValue(f"{item.label}: date must be YYYY-MM-DD{rest}.")
    return day.isoformat()


def _urls(item: Field, value: str) -> str:
    parts = re.split(r"[\s,]+", value)
    if len(parts) > 1 and not item.label.rstrip().lower().endswith("urls"):
        raise InvalidValue(f"{item.label} must be one address.")
    for part in parts:
        if not _URL.match(part):
            raise InvalidValue(f"{item.label}: “{part[:60]}” is no http(s) address.")
    return ", ".join(parts)
