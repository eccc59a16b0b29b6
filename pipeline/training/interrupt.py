"""A polite stop: SIGTERM or SIGINT asks the training to write a checkpoint after the running step."""

from __future__ import annotations

import signal
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Remembers the first signal that asked for a stop; nothing is interrupted in the middle.

    transformers' own `enable_jit_checkpoint` waits three seconds and may save between a gradient and
    its optimizer step, where the random state of the dropout already ran ahead: such a checkpoint does
    not resume to the same weights. Asked for at the end of a step, it does.
    """

    def __init__(self) -> None:
        self.signal = 0

    def __bool__(self) -> bool:
        return self.signal != 0

    def install(self) -> None:
        """Take over the signals; main thread only. As a container's first process, nobody else would."""
        for number in SIGNALS:
            signal.signal(number, self._note)

    def uninstall(self) -> None:
        """Give the signals their default behaviour back."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.signal = number
