"""Journals read a piece at once against the same journals read line by line, whole and damaged."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.journal import parse_line
from tui.bulk import LONGEST, pieces
from tui.curves import CURVES
from tui.run_view import RunView

ODD: tuple[Any, ...] = (
    None, True, 0, -3, 2**70, 10**400, "NaN", "Infinity", "-Infinity", "words", [], {"a": 1},
    1e308, 5e-324, -0.0,
)  # fmt: skip
KEYS = (*CURVES[:5], "memory", "gpu_reserved_bytes", "rss_bytes", "tokens", "seconds", "other")


class Slow(RunView):
    """Every line through `parse_line`, every event by itself."""

    def read(self, limit: int = 1 << 20) -> bool:
        with self.path.open("rb") as file:
            file.seek(self.offset)
            data = file.read(limit)
        self.offset += len(data)
        for event in self.reader.feed(data):
            self._take(event)
        self.points.flush(self.series)
        return bool(data)


def event(rng: random.Random, step: int, t: int) -> dict[str, Any]:
    made: dict[str, Any] = {"v": 1, "kind": rng.choice(("point",) * 9 + ("eval",))}
    made |= {"t": t, "step": step}
    for key in rng.sample(KEYS, rng.randrange(len(KEYS))):
        usual = rng.randrange(10**9) if key in ("tokens", "gpu_reserved_bytes") else rng.gauss(2, 1)
        made[key] = rng.choice(ODD) if rng.random() < 0.04 else usual
    if rng.random() < 0.02:
        made[rng.choice(("v", "kind", "t", "step"))] = rng.choice((*ODD, 1.0, "point"))
    return made


def damaged(rng: random.Random, line: bytes) -> bytes:
    kind, at = rng.randrange(8), rng.randrange(len(line) + 1)
    if kind == 0:
        return line[:at]  # torn
    if kind == 1:
        return line[:at] + line  # torn, and gone on with
    if kind == 2:
        return line[:at] + bytes([rng.randrange(256)]) + line[at + 1 :]
    if kind == 3:
        return (
            line[:at] + rng.choice((b"NaN", b"\xff", b"\\ud800", b"1e999", b"}{", b"]")) + line[at:]
        )
    if kind == 4:
        return line + b"\r"
    if kind == 5:
        return line[:-1] + b', "pad": "' + b"x" * rng.choice((LONGEST, 300_000)) + b'"}'
    return rng.choice(
        (b"", b"  ", b"[" * 3000, b"null", b"[1, 2]", b"7", b'"point"', b"\xef\xbb\xbf" + line)
    )


def journal(seed: int) -> bytes:
    rng = random.Random(seed)
    step, t, lines = rng.choice((0, 1, 10**12 - 50)), rng.choice((5, 1_767_225_600_000)), []
    whole = rng.random() < 0.3
    regular = rng.random() < 0.4  # the same keys at each step, as a training writes them
    for _ in range(rng.choice((3, 60, 400))):
        step += rng.choice((1,) * 20 + (0, -7, 5))
        t += rng.choice((100,) * 20 + (0, -9000, 10**13))
        made = event(rng, step, t)
        if regular:
            made = {"v": 1, "kind": "point", "t": t, "step": step, "loss": rng.gauss(2, 1),
                    "learning_rate": 1e-4, "grad_norm": rng.random(), "tokens": step * 512}  # fmt: skip
        if not whole and rng.random() < 0.05:
            kind = rng.choice(("start", "model", "checkpoint", "end", "note", "unknown"))
            made = {"v": 1, "kind": kind, "t": t, "step": step, "name": "r", "status": "failed"}
        line = json.dumps(made).encode()
        lines.append(line if whole or rng.random() > 0.03 else damaged(rng, line))
    return b"\n".join(lines) + rng.choice((b"", b"\n"))


def facts(run: RunView) -> dict[str, Any]:
    """Everything that a screen can see of a run, arrays as bytes."""

    def raw(array: np.ndarray | None) -> bytes | None:
        return None if array is None else array.tobytes()

    curves = {
        key: (
            *map(raw, (one.x, one.t, one.y, one.tokens, one.smooth)), one.rewinds, one.generation,
            one.bad_at, [tuple(map(raw, (b.x, b.t, b.y, b.tokens))) for b in one.branches],
        )
        for key, one in run.series.items()
    }  # fmt: skip
    texts = [repr(part) for part in (run.start, run.model, run.last, run.end)]
    return {"curves": curves, "texts": texts, "t": run.first_t, "bad": run.reader.bad_lines}


def read_both(path: Path, data: bytes, piece: int) -> RunView:
    path.write_bytes(data)
    fast, slow = RunView("h", "j", path), Slow("h", "j", path)
    while slow.read(piece):
        assert fast.read(piece)
    assert not fast.read(piece)
    assert facts(fast) == facts(slow)
    return fast


@settings(deadline=None, max_examples=120)
@given(st.integers(0, 2**32), st.sampled_from((97, 5_000, 1 << 20)))
def test_a_piece_at_once_gives_what_line_by_line_gives(
    tmp_path_factory: pytest.TempPathFactory, seed: int, piece: int
) -> None:
    read_both(tmp_path_factory.getbasetemp() / "run.jsonl", journal(seed), piece)


def test_the_points_of_a_sound_journal_all_go_the_fast_way(tmp_path: Path) -> None:
    """Else the comparison above would compare the slow way with itself."""
    rows = [{"v": 1, "kind": "point", "t": 5, "step": n, "loss": 2.0} for n in range(5000)]
    rows.insert(3000, {"v": 1, "kind": "note", "t": 5})
    lines = [json.dumps(row).encode() for row in rows]
    found = list(pieces(lines))
    assert [line for part, _ in found for line in part] == lines
    assert sum(len(points) for _, points in found) == 5000
    assert [part for part, points in found if not points] == [lines[3000:3001]]
    assert len(read_both(tmp_path / "r", b"\n".join(lines) + b"\n", 1 << 20).series["loss"]) == 5000


def test_a_metric_beside_another_keeps_its_own_steps_after_a_restart(tmp_path: Path) -> None:
    """A restart parts the columns of loss and learning rate; the validation loss stands between them."""
    rows: list[dict[str, Any]] = [{"step": n, "loss": 2.0, "learning_rate": 1.0} for n in (1, 2, 3)]
    rows += [{"step": 2, "loss": 3.0, "eval_loss": 9.0, "learning_rate": 2.0}]
    rows += [{"step": n, "loss": 4.0, "learning_rate": 3.0} for n in (3, 4)]
    lines = [json.dumps({"v": 1, "kind": "point", "t": 5} | row) + "\n" for row in rows]
    path = tmp_path / "run.jsonl"
    path.write_text("".join(lines))
    run = RunView("h", "j", path)
    run.read(sum(map(len, lines[:3])))
    run.read()
    rate = run.series["learning_rate"]
    assert rate.x.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert rate.y.tolist() == [1.0, 2.0, 3.0, 3.0]
    assert run.series["eval_loss"].x.tolist() == [2.0]


def test_what_the_fast_parser_takes_it_takes_as_pythons_does() -> None:
    rng = random.Random(4)
    sound = json.dumps({"v": 1, "kind": "point", "t": 17, "step": 5, "loss": 2.5123456, "a": "NaN",
                        "y": [1, {"z": None}], "n": "é\u0000", "b": True}).encode()  # fmt: skip
    signs, taken = b'0123456789.eE+-"\\{}[],: \t\rNIu', 0
    for _ in range(40_000):
        line = bytearray(sound)
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(line))
            line[at : at + rng.randrange(3)] = bytes(rng.choices(signs, k=rng.randrange(3)))
        try:
            found = msgspec.json.decode(bytes(line))
        except ValueError:
            continue
        taken += 1
        assert repr(found) == repr(json.loads(bytes(line).decode()))
    assert taken > 2000
    assert parse_line(sound) == msgspec.json.decode(sound)
