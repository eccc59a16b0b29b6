"""What an operation raises when it cannot be done."""

from __future__ import annotations


class OpError(Exception):
    """A request that cannot be done; code is a short fixed word, the text one sentence."""

    def __init__(self, code: str, message: str) -> None:
        Exception.__init__(self, message)
        self.code = code
