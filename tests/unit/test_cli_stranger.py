"""The command line in the hands of somebody who types anything: one sentence, a known exit code, JSON."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tui.cli import main
from tui.roadmap.errors import UnknownId
from tui.roadmap.gate_lock import default_stage
from tui.roadmap.workspace import Workspace

CALLS = 1200
READERS = {"status", "log", "keys", "bindings", "gate", "attention"}
LEFT_OUT = {
    "demo", "serve", "tunnel", "app", "edit", "fetch", "send", "stop", "jobs", "mlflow", "doctor", "train",
    "verify", "curve",
}  # fmt: skip
"""They open the screen, a server, an editor, a link or the network; they have tests of their own."""
ODD = (
    "", "-", "x" * 5000, "\x1b[31m\x07", "😀", "\u202eabc", "\udcff\udcfe", "-1", "inf", "nan", "1e400",
    "9" * 400, "9999-99-99", "0000-00-00", "10000-01-01", "2026-01-01", "S0", "S0.T", "S0.T1", "S0.T999",
    "S1.loss_start", "folder", "loop", "gone", "bytes", "a\nb", "\x00", "stage1", "1.10", "GO",
)  # fmt: skip


def leaves(
    command: click.Command, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        if inner is not None and (path or name not in LEFT_OUT):
            yield from leaves(inner, (*path, name))


def words_for(command: click.Command, rng: random.Random) -> list[str]:
    words: list[str] = []
    for parameter in command.params:
        if parameter.name in ("folder", "as_json"):
            continue
        if isinstance(parameter, click.Argument):
            words += rng.choices(ODD, k=rng.choice((0, 1, 1, 1, 2)))
        elif isinstance(parameter, click.Option) and rng.random() < 0.3:
            for _ in range(rng.choice((1, 1, 2))):
                words.append(rng.choice(parameter.opts))
                words += [] if parameter.is_flag else [value(parameter, rng)]
    return words


def value(option: click.Option, rng: random.Random) -> str:
    if isinstance(option.type, click.Choice) and rng.random() < 0.7:
        return str(rng.choice(list(option.type.choices)))
    return rng.choice(ODD)


def no_json(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def snapshot(root: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(p): (p.stat().st_mtime_ns, p.read_bytes() if p.is_file() else b"")
        for p in (root, *root.rglob("*"))
    }


def test_no_words_make_it_fall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "w"
    Workspace.create(root)
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    monkeypatch.chdir(tmp_path)
    rng, every = random.Random(20261128), list(leaves(main, ()))
    journal = b""
    for _ in range(CALLS):
        path, command = rng.choice(every)
        as_json = rng.random() < 0.5
        words = ["-C", str(root), *path, *(["--json"] if as_json else []), *words_for(command, rng)]
        before = snapshot(root) if path[0] in READERS else {}
        result = CliRunner().invoke(main, words, input="")
        told = f"{[w[:60] for w in words]} → {result.exit_code} {result.output[-300:]!r}"
        assert result.exception is None or isinstance(result.exception, SystemExit), told
        assert result.exit_code in range(7), told
        assert "Traceback (most" not in result.output, told
        assert "gonogo: unexpected" not in result.output, told
        assert '"kind": "Unexpected"' not in result.output, told
        if as_json:
            answer = json.loads(result.stdout, parse_constant=no_json)
            assert answer["ok"] == (result.exit_code == 0) or path[0] not in READERS, told
        elif result.exit_code:
            assert result.stderr.strip(), told
            assert "\x1b" not in result.stderr, told
        assert not before or snapshot(root) == before, told
        now = (root / "state.jsonl").read_bytes()
        assert now.startswith(journal), told
        journal = now
    assert len(Workspace.open(root, True).state.records) == len(journal.splitlines())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("tick S0.T99", "There is no box S0.T99. Did you mean S0."),
        ("status s0.t1", "Did you mean S0.T1?"),
        ("field S1.loss_strt 3", "There is no field S1.loss_strt. Did you mean S1.loss_start?"),
        ("note S77 x", "There is no section S77."),
        ("tcik S0.T1", "Did you mean tick?"),
        ("help", "`gonogo --help` lists them."),
    ],
)
def test_what_is_not_there_is_refused_with_what_is_near(
    tmp_path: Path, words: str, said: str
) -> None:
    Workspace.create(tmp_path / "w")
    result = CliRunner().invoke(main, ["-C", str(tmp_path / "w"), *words.split()])
    assert result.exit_code == 2
    assert said in result.stderr


def test_json_behind_two_dashes_is_a_word(tmp_path: Path) -> None:
    Workspace.create(tmp_path / "w")
    result = CliRunner().invoke(main, ["-C", str(tmp_path / "w"), "log", "S0", "--", "--json", "x"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage:" in result.stderr


GATE = "\n# Gate\n\n- [ ] GO\n- [ ] NO-GO\n"


@pytest.mark.parametrize(
    ("plan", "stage"),
    [
        ("# Warm-up\n\n- [ ] a\n" + GATE + "\n# Real run\n\n- [ ] b\n", "Warm-up"),
        ("# Warm-up\n\n- [ ] a\n", ""),
    ],
)
def test_a_training_takes_the_plans_own_stage(tmp_path: Path, plan: str, stage: str) -> None:
    ws = Workspace.create(tmp_path / "w", roadmap_text=plan)
    found = default_stage(ws.document)
    section = ws.document.section(found) if found else None
    assert (section.short if section else "") == stage


def test_a_plan_of_nothing_but_a_gate_has_no_stage_to_take(tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path / "w", roadmap_text=GATE + "\n# Real run\n\n- [ ] b\n")
    with pytest.raises(UnknownId, match="name one with --stage"):
        default_stage(ws.document)


def test_the_shipped_plan_trains_its_stage_1(tmp_path: Path) -> None:
    assert default_stage(Workspace.create(tmp_path / "w").document) == "S1"
