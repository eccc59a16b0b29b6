"""The words of the overview: fine only where it is, old figures told as old, and lines that fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agents import JobState, JobStatus
from tui import overview_model as model
from tui.live import LiveStore
from tui.overview_layout import Block, Line, columns_of, fitted, share_out
from tui.overview_model import verdict
from tui.roadmap.attention import Attention, attention
from tui.roadmap.budget import summarize
from tui.roadmap.gate import evaluate
from tui.roadmap.workspace import Workspace
from tui.run_view import RunView
from tui.widgets.gauge_lines import GaugeModel, GpuModel
from tui.widgets.status_header import HostChip


def words(parts: tuple[tuple[str, str], ...]) -> str:
    return "".join(text for text, _ in parts)


def panel(**more: object) -> GaugeModel:
    base: dict[str, object] = {
        "host": "tower", "role": "tower", "link": "live", "detail": "", "age_s": 0, "stale": False,
    }  # fmt: skip
    return GaugeModel(**{**base, **more})  # type: ignore[arg-type]


def test_the_verdict_is_fine_only_when_nothing_is_wrong_or_awaited() -> None:
    assert words(verdict([])) == "everything is fine"
    assert words(verdict(["a"])) == "1 thing wants you: a"
    assert words(verdict(list("abcde"))) == "5 things want you: a; b; c, and 2 more"
    assert "fine" not in words(verdict([], ["tower is connecting"]))


@pytest.mark.parametrize(
    ("state", "gauge", "trouble", "waiting"),
    [
        ("live", panel(), "", ""),
        ("live", panel(age_s=None), "", "tower sent no figures yet"),
        ("live", panel(age_s=14, stale=True), "tower is silent", ""),
        ("suspect", panel(), "tower is silent", ""),
        ("backoff", panel(age_s=14, stale=True), "tower is down for 14s", ""),
        ("needs-user", panel(age_s=None), "tower needs you", ""),
        ("connecting", panel(age_s=None), "", "tower is connecting"),
    ],
)
def test_what_a_host_adds_to_the_verdict(
    state: str, gauge: GaugeModel, trouble: str, waiting: str
) -> None:
    assert model.host_trouble(HostChip("tower", state, 14.0), gauge) == (trouble, waiting)


def test_figures_of_a_lost_host_are_grey_and_carry_their_age() -> None:
    good = model.host_line(HostChip("tower", "live"), panel(cpu=50, rung="nvml"))
    assert "up" in good.text
    assert "CPU  50%" in good.text
    assert "[nvml]" in good.text
    assert "old" not in good.text
    bad = model.host_line(HostChip("tower", "backoff", 14.0), panel(cpu=50, age_s=20, stale=True))
    assert "DOWN 14s  20s old:" in bad.text
    assert dict(bad.parts)["  CPU  50%"] == model.STALE


def test_a_job_line_in_good_and_bad_cases(tmp_path: Path) -> None:
    job = JobStatus("c-1", "[red]control", JobState.running, started_ms=1_000)
    run = RunView("tower", "c-1", tmp_path / "run.jsonl")
    run.start, run.last = {"max_steps": 100}, {"step": 25, "loss": 1.5, "seconds": 3000.0}
    line = model.job_line("tower", job, run, True)
    for part in ("running", "[red]control", "25/100", "ETA 2h 30m", "loss 1.5"):
        assert part in line.text
    assert line.key == "job:tower/c-1"
    lost = model.job_line("tower", job, run, False)
    assert "as last heard" in lost.text
    assert "ETA" not in lost.text
    run.last["loss"] = float("nan")
    store = LiveStore()
    store.jobs["tower", "c-1"], store.runs["tower", "c-1"] = job, run
    assert list(model.job_troubles(store)) == ["loss of [red]control is nan"]
    store.jobs["tower", "c-1"] = JobStatus("c-1", "control", JobState.oom)
    assert list(model.job_troubles(store)) == ["control on tower: oom"]
    store.jobs["tower", "c-2"] = JobStatus("c-2", "again", JobState.succeeded, created_ms=9)
    assert list(model.job_troubles(store)) == []
    assert [line.key for line in model.job_block(store).lines] == ["job:tower/c-2"]
    assert "t starts a training" in model.job_block(LiveStore()).lines[0].text
    assert model.rounded_eta(7201.0) == model.rounded_eta(7250.0)


def test_lines_of_a_new_plan_and_of_one_that_has_nothing(tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path / "new", settings_text='title = "T"\nuser = "ana"\n')
    first = model.next_block(ws.document, ws.state).lines
    assert first[0].key == "box:S0.T1"
    assert "S0 0/" in first[0].text
    assert "rule HOLD" in model.gate_line(evaluate(ws)).text
    assert "weakest" in model.gate_line(evaluate(ws)).text
    money = summarize(ws.settings, ws.document, ws.state)
    assert model.money_line(money, 0.8).text == "$0.00 spent of $269 planned, limit $300"
    ws.add_cost("S3", "301", "user:ana")
    over = model.money_line(summarize(ws.settings, ws.document, ws.state), 0.8)
    assert "OVER" in over.text
    assert attention(ws)
    assert "cost Stage 3 301.00" in model.journal_block(ws.state.records).lines[0].text
    bare = Workspace.create(
        tmp_path / "bare", settings_text='title = "T"\n', roadmap_text="# Plan\n"
    )
    assert model.next_block(bare.document, bare.state).lines[0].text == "this plan has no boxes"
    assert model.gate_line(evaluate(bare)).text == "this plan has no gate"
    assert model.money_line(summarize(bare.settings, bare.document, bare.state), 0.8).text
    assert model.attention_block(()).lines == (Line("", (("nothing in the plan", model.DIM),)),)
    entry = Attention("FAIL", "S0.S4", "\x1b[31m[red]no driver")
    assert "\x1b" not in model.attention_block([entry]).lines[0].text


def test_mlflow_says_why_it_is_dark_and_never_looks_lit_without_its_host() -> None:
    assert "gonogo.toml" in model.mlflow_line("", None, False).text
    assert "server is not connected" in model.mlflow_line("server", None, False).text
    assert "M starts it" in model.mlflow_line("server", None, True).text


def test_lines_are_fitted_and_every_block_keeps_its_least() -> None:
    def block(title: str, count: int, least: int = 1) -> Block:
        return Block(title, tuple(Line(f"{title}:{n}", ()) for n in range(count)), least)

    blocks = [block("Hosts", 2, 2), block("Next", 12), block("Journal", 12), block("Gate", 1)]
    for height in range(5, 40):
        shown = [count for _, count in fitted(blocks, height)]
        assert sum(shown) == min(height, 27)
        assert shown[0] == 2
        assert shown[3] == 1
    assert [count for _, count in fitted(blocks, 0)] == [2, 1, 1, 1]
    assert [columns_of(w) for w in (60, 119, 120, 179, 180)] == [1, 1, 2, 2, 3]
    for columns in (1, 2, 3):
        assert sum(len(c) for c in share_out(blocks, columns)) == len(blocks)


def test_a_full_disk_and_a_hot_card_are_no_fine() -> None:
    up = HostChip("tower", "live")
    assert model.host_trouble(up, panel(disk_free=9_999_999_999)) == (
        "tower's disk is nearly full",
        "",
    )
    assert model.host_trouble(up, panel(disk_free=10_000_000_000)) == ("", "")
    hot = GpuModel(0, "RTX", 99, None, None, None, 84, None, None, simulated=False)
    assert model.host_trouble(up, panel(gpus=(hot,))) == ("tower's card is hot", "")
    assert model.host_trouble(up, panel(gpus=(replace(hot, temp_c=83),))) == ("", "")
