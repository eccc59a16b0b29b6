"""Notices: each trouble is said once, and what cannot be seen is no trouble."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agents import JobState, JobStatus, LinkChanged, LinkState
from tui.live import LiveStore
from tui.notices import RunWatch, desktop_notice, ended_notice

ID = "control-s0-20260101-000000-abcd"
JOB = JobStatus(ID, "control-s0", JobState.running)


class World:
    """A store whose clock and journal the test moves."""

    def __init__(self, folder: Path) -> None:
        self.now = 100.0
        self.path = folder / "tower" / ID / "run.jsonl"
        self.path.parent.mkdir(parents=True)
        self.store = LiveStore(clock=lambda: self.now)
        self.watch = RunWatch(20.0, 60.0)
        self.step = 0
        self.link(LinkState.live)
        self.store.job_changed("tower", JOB)
        self.write(kind="start", t=0, name="control-s0", max_steps=100)

    def link(self, state: LinkState) -> None:
        self.store.link_changed(LinkChanged("tower", state, "", 0, 0, None, None))

    def write(self, **event: object) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps({"v": 1, **event}) + "\n")
        self.store.run_grew("tower", ID, self.path, 0, False)

    def point(self, seconds: float, loss: object = 2.0) -> None:
        self.now += seconds
        self.step += 1
        self.write(kind="point", step=self.step, t=int(self.now * 1000), loss=loss)

    def kinds(self) -> list[str]:
        return [notice.kind for notice in self.watch.look(self.store)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_quick_run_stalls_after_a_minute_and_is_named_once(world: World) -> None:
    for _ in range(10):
        world.point(1.0)
        assert world.kinds() == []
    world.now += 59.0
    assert world.kinds() == []
    world.now += 2.0
    (notice,) = world.watch.look(world.store)
    assert (notice.kind, notice.severity) == ("stalled", "warning")
    assert "no point for 1m 01s" in notice.text
    assert "at step 10" in notice.text
    world.now += 1000.0
    assert world.kinds() == []
    world.point(1.0)
    assert world.kinds() == ["resumed"]
    world.now += 61.0
    assert world.kinds() == ["stalled"]


def test_a_slow_run_has_twenty_of_its_steps(world: World) -> None:
    for _ in range(10):
        world.point(8.0)
        world.kinds()
    world.now += 159.0
    assert world.kinds() == []
    world.now += 2.0
    assert world.kinds() == ["stalled"]


def test_no_stall_behind_a_dead_link_before_points_or_after_the_end(world: World) -> None:
    world.now += 5000.0
    assert world.kinds() == []  # the model is loaded
    for _ in range(10):
        world.point(1.0)
        world.kinds()
    world.link(LinkState.backoff)
    world.now += 5000.0
    assert world.kinds() == []
    world.link(LinkState.live)
    world.now += 59.0
    assert world.kinds() == []
    world.write(kind="end", t=1, status="succeeded")
    world.kinds()
    world.now += 500.0
    assert world.kinds() == []
    world.store.job_changed("tower", JobStatus(ID, "control-s0", JobState.succeeded))
    world.now += 500.0
    assert world.kinds() == []


@pytest.mark.parametrize(("value", "word"), [("NaN", "NaN"), ("Infinity", "infinite")])
def test_a_loss_that_is_no_number_is_said_once_with_its_step(
    world: World, value: str, word: str
) -> None:
    world.point(1.0)
    assert world.kinds() == []
    world.point(1.0, value)
    world.point(1.0)  # gone by again before anybody looked
    (notice,) = world.watch.look(world.store)
    assert (notice.kind, notice.severity) == ("nan", "error")
    assert f"loss is {word} at step 2" in notice.text
    world.point(1.0, value)
    assert world.kinds() == []


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("running", "succeeded", "ended"),
        ("running", "failed", "failed"),
        ("unknown", "succeeded", "ended"),
        ("starting", "oom", "failed"),
        ("unknown", "lost", "failed"),
        ("running", "unknown", ""),
        ("unknown", "running", ""),
        ("succeeded", "succeeded", ""),
        ("", "failed", ""),
    ],
)
def test_which_ends_are_told(before: str, after: str, kind: str) -> None:
    was = JobStatus(ID, "a", JobState(before)) if before else None
    notice = ended_notice("tower", JobStatus(ID, "a", JobState(after), detail="\x1b[2Jx"), was)
    assert (notice.kind if notice else "") == kind
    if notice:
        assert "\x1b" not in notice.text


def test_desktop_sequences_carry_nothing_of_their_own() -> None:
    hostile = "a;b\x07\x1b]0;title\x07\n\x1b\\c"
    assert desktop_notice("osc9", "gonogo", hostile) == "\x1b]9;gonogo: a bc\x1b\\"
    assert desktop_notice("osc777", "gonogo", hostile) == "\x1b]777;notify;gonogo;a bc\x1b\\"
    assert desktop_notice("osc99", "g", "x") == (
        "\x1b]99;i=gonogo:d=0;g\x1b\\\x1b]99;i=gonogo:d=1:p=body;x\x1b\\"
    )
    assert desktop_notice("osc9", "g", "x", True) == "\x1bPtmux;\x1b\x1b]9;g: x\x1b\x1b\\\x1b\\"
    assert desktop_notice("off", "g", "x") == ""
