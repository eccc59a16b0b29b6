"""Opening a workspace of 10,000 records and drawing the roadmap, beside `json.loads` of the same bytes.

make bench
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path

from uuid6 import uuid7

from tui import rows
from tui.roadmap.journal import Journal
from tui.roadmap.records import seal
from tui.roadmap.workspace import Workspace

RECORDS = 10_000
LIMIT = 3.0


def grown(root: Path) -> None:
    """A journal as years of ticking leave it, chained and sealed."""
    ws = Workspace.create(root)
    boxes = [b for b in ws.document.boxes.values() if not b.children and b.kind == "task"]
    rng, states = random.Random(1), dict.fromkeys((b.id for b in boxes), "open")
    at, prev = ws.state.records[-1].at, ws.journal.chain.prev
    with (root / "state.jsonl").open("ab") as file:
        for n in range(1, RECORDS):
            box = rng.choice(boxes)
            old, new = states[box.id], "open" if states[box.id] == "done" else "done"
            states[box.id] = new
            line = seal(
                {
                    "v": 1, "id": str(uuid7()), "at": at + n, "by": "user:ana", "do": "tick",
                    "item": box.id, "old": old, "new": new, "label": box.label[:200],
                    "why": "seen with my own eyes", "prev": prev,
                }
            )  # fmt: skip
            prev = line[-11:-3].decode()
            file.write(line)


def draw(ws: Workspace) -> int:
    """Every row of navigation and first stage, as the roadmap shows them."""
    drawn = [rows.section_row(s, ws.document, ws.state) for s in ws.document.all_sections]
    drawn += rows.section_rows(ws.document.sections[0], ws.document, ws.state, lambda _f: ("", ""))
    return sum(row.draw(80).cell_length for row in drawn)


def best(work: Callable[[], object], times: int = 7) -> float:
    """Shortest of several runs, in milliseconds."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append(1000 * (time.perf_counter() - start))
    return min(found)


def test_replay(tmp_path: Path) -> None:
    root = tmp_path / "w"
    grown(root)
    lines = (root / "state.jsonl").read_bytes().splitlines()
    ws = Workspace.open(root)
    assert (len(ws.state.records), ws.warnings) == (RECORDS, [])
    parsing = best(lambda: [json.loads(line) for line in lines])
    reading = best(lambda: Journal(root / "state.jsonl"))
    opening = best(lambda: draw(Workspace.open(root)))
    ticking = best(lambda: (ws.tick("S0.T1", "a:b"), ws.untick("S0.T1", "a:b")), 20) / 2
    ratio = opening / parsing
    print(
        f"\n{RECORDS:,} records: json.loads {parsing:.1f} ms, journal {reading:.1f} ms, open and draw"
        f" {opening:.1f} ms: {ratio:.2f} times json.loads (limit {LIMIT:g}); a tick {ticking:.2f} ms"
    )
    assert ratio <= LIMIT
