"""Values of `gonogo.toml` that are more than a text or a number: each is read by its own rules."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import PurePosixPath
from typing import Self

FILE_NAME = "gonogo.toml"
OWN_FILES = (FILE_NAME, "bindings.toml", "state.jsonl", "state.lock")
OWN_FOLDERS = ("evidence", "runs")


class Money(Decimal):
    """An amount of 0 or more, from a whole number, a text or a TOML float by its shortest text."""

    @classmethod
    def read(cls, value: object) -> Money:
        """Raises ValueError for what is no such amount."""
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError("must be an amount of money")
        try:
            # So that 269.10 is not 269.1000000000000227.
            amount = cls(repr(value) if isinstance(value, float) else value)
        except InvalidOperation:
            raise ValueError("must be an amount of money") from None
        if not amount.is_finite() or amount < 0:
            raise ValueError("must be an amount of 0 or more")
        return amount


class Text(str):
    """A text that `check` lets pass."""

    __slots__ = ()

    @classmethod
    def read(cls, value: object) -> Self:
        """Raises ValueError for what is no text, or not this kind of one."""
        if not isinstance(value, str):
            raise ValueError("must be a text")
        cls.check(value)
        return cls(value)

    @staticmethod
    def check(value: str) -> None:
        """Raises ValueError saying what the text must be."""


class PlanFile(Text):
    """The plan is a file of its own: nothing else in the workspace is read or replaced as one."""

    __slots__ = ()

    @staticmethod
    def check(value: str) -> None:
        """It names a file that has no other use."""
        parts = PurePosixPath(value).parts
        if not parts or "\0" in value or parts[-1] == ".." or value.endswith("/"):
            raise ValueError("must name a file")
        if value in OWN_FILES or parts[0] in OWN_FOLDERS or parts[-1] in OWN_FILES:
            raise ValueError(f"{value} has another use; the plan is a file of its own")


class TrackingAddress(Text):
    """The address goes into a program's arguments, which every user of the host can read."""

    __slots__ = ()

    @staticmethod
    def check(value: str) -> None:
        """It holds no password."""
        if "@" in value.partition("://")[2].partition("/")[0]:
            raise ValueError(
                "must hold no password: set MLFLOW_TRACKING_USERNAME and _PASSWORD on the host instead"
            )
