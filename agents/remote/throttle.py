"""Why a card's clocks are held back, in words; the bits are nvmlClocksEventReason* of nvml.h."""

from __future__ import annotations

# An idle card (bit 0x1) is not held back.
WORDS = (
    (0x002, "clocks set by hand"),
    (0x004, "power cap"),
    (0x008, "hardware slowdown"),
    (0x010, "sync boost"),
    (0x020, "thermal"),
    (0x040, "hardware thermal"),
    (0x080, "power brake"),
    (0x100, "display clocks"),
)


def words(bits: int) -> list[str]:
    """Empty when nothing holds the clocks back."""
    return [word for bit, word in WORDS if bits & bit]
