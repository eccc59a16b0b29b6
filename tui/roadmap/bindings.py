"""Reads `bindings.toml`: which rule, with which parameters, proves which box."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tui.roadmap.errors import InvalidValue
from tui.roadmap.rules import files, hosts, plan, runs
from tui.roadmap.rules.base import Params, Rule
from tui.settings import key_line

FILE_NAME = "bindings.toml"
SHIPPED = Path(__file__).parent / FILE_NAME

RULES: dict[str, tuple[type[Params], Rule]] = {
    "samples": (files.SamplesParams, files.samples),
    "run-completed": (runs.CompletedParams, runs.completed),
    "four-bit": (runs.FourBitParams, runs.four_bit),
    "loss-decreases": (runs.LossParams, runs.loss_decreases),
    "no-crash": (runs.RunParams, runs.no_crash),
    "generated": (runs.RunParams, runs.generated),
    "peak-memory": (runs.PeakParams, runs.peak_memory),
    "adapter-saved": (runs.RunParams, hosts.adapter_saved),
    "docker-image": (hosts.ImageParams, hosts.docker_image),
    "http": (hosts.HttpParams, hosts.http),
    "link": (hosts.LinkParams, hosts.link),
    "same-as": (plan.SameAsParams, plan.same_as),
    "all-done": (plan.AllDoneParams, plan.all_done),
    "gate": (plan.GateParams, plan.criterion),
}
"""Rule name to its parameters and its check; a new kind of evidence is one more line."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One box, its rule and the checked parameters."""

    item: str
    rule: str
    params: Params


def parse_bindings(text: str, name: str = FILE_NAME) -> dict[str, Binding | None]:
    """Item id to its binding (None takes one away). Raises InvalidValue naming file, line and key."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+)", str(error))
        raise InvalidValue(
            f"{name}:{place.group(1) if place else 1}: not valid TOML: {error}"
        ) from None
    return {item: _binding(item, entry, text, name) for item, entry in data.items()}


def _binding(item: str, entry: Any, text: str, name: str) -> Binding | None:
    line = key_line(text, (item,))
    rule = entry.get("rule") if isinstance(entry, dict) else None
    if rule == "none":
        return None
    if rule not in RULES:
        known = ", ".join(sorted(RULES))
        raise InvalidValue(f"{name}:{line}: {item}.rule: must be one of {known}")
    try:
        params = RULES[rule][0].model_validate({k: v for k, v in entry.items() if k != "rule"})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = tuple(str(part) for part in first["loc"])
        where = key_line(text, (item, *key))
        raise InvalidValue(f"{name}:{where}: {'.'.join((item, *key))}: {first['msg']}") from None
    return Binding(item, rule, params)


@lru_cache(maxsize=1)
def _shipped() -> dict[str, Binding | None]:
    return parse_bindings(SHIPPED.read_text(encoding="utf-8"))


def load_bindings(root: Path) -> dict[str, Binding]:
    """The shipped bindings with those of a workspace folder over them."""
    found = dict(_shipped())
    own = root / FILE_NAME
    if own.is_file():
        try:
            found.update(parse_bindings(own.read_bytes().decode("utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidValue(f"{FILE_NAME}: {error}") from None
    return {item: binding for item, binding in found.items() if binding is not None}
