"""Style sheets, in the order in which they are read."""

from pathlib import Path, PurePath

_FOLDER = Path(__file__).parent

SHEETS: list[str | PurePath] = [
    _FOLDER / name
    for name in (
        "layout.tcss",
        "dialogs.tcss",
        "roadmap.tcss",
        "live.tcss",
        "gate.tcss",
        "budget.tcss",
        "journal.tcss",
        "metrics.tcss",
        "jobs.tcss",
        "overview.tcss",
    )
]
