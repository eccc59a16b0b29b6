"""The live store: curves from mirrored bytes, gauges with their age, runs to overlay."""

from __future__ import annotations

import json
from pathlib import Path

from agents import Gauge, LinkChanged, LinkState
from agents.gauges import parse_gauge
from tui.gauge_model import gauge_model, host_chip_model
from tui.live import LiveStore
from tui.widgets.gauges import panel_lines


def line(kind: str, **fields: object) -> bytes:
    return (json.dumps({"v": 1, "kind": kind, "t": 1_000_000, **fields}) + "\n").encode()


def journal(path: Path, arm: str, steps: int, t: int = 1_000_000) -> None:
    path.parent.mkdir(parents=True)
    data = line("start", name=f"run-{arm}", arm=arm, max_steps=10).replace(
        b"1000000", str(t).encode()
    )
    for step in range(1, steps + 1):
        point = line("point", step=step, loss=10.0 / step, seconds=float(step))
        data += point.replace(b"1000000", str(t).encode())
    path.write_bytes(data)


def gauge(**fields: object) -> Gauge:
    base = {"m": "gauge", "t_ms": 1, "cpu": {"percent": 50, "count": 2, "load1": 0.5},
            "ram": {"used": 2**30, "total": 2**34}, "disk": {"path": "/", "used": 1, "total": 2, "free": 1},
            "net": {}, "gpus": [], "gpu_rung": "none", "gpu_reason": "no NVIDIA GPU",
            "health": {}}  # fmt: skip
    return parse_gauge({**base, **fields})


def link(state: LinkState, since_ms: int = 0) -> LinkChanged:
    return LinkChanged("tower", state, "why", since_ms, 0, None, None)


def test_a_run_is_rebuilt_from_its_mirror_and_grows_by_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "tower" / "job-1" / "run.jsonl"
    journal(path, "control", 4)
    store = LiveStore()
    store.load_mirrors(tmp_path)
    run = store.runs["tower", "job-1"]
    assert run.series["loss"].x.tolist() == [1, 2, 3, 4]
    assert run.eta_seconds() == 6.0
    whole = line("point", step=5, loss="NaN", seconds=5.0)
    with path.open("ab") as file:
        file.write(whole[:9])
    assert store.run_grew("tower", "job-1", path, 0, False)
    assert len(run.series["loss"]) == 4
    with path.open("ab") as file:
        file.write(whole[9:])
    store.run_grew("tower", "job-1", path, 0, False)
    assert len(run.series["loss"]) == 5
    assert run.series["loss"].y[-1] != run.series["loss"].y[-1]
    assert run.series["loss"].smooth[3] == run.series["loss"].smooth[3]


def test_a_replaced_file_starts_the_run_anew(tmp_path: Path) -> None:
    path = tmp_path / "tower" / "job-1" / "run.jsonl"
    journal(path, "control", 4)
    store = LiveStore()
    store.load_mirrors(tmp_path)
    path.write_bytes(line("start", name="other", max_steps=3) + line("point", step=1, loss=1.0))
    store.run_grew("tower", "job-1", path, 0, True)
    assert store.runs["tower", "job-1"].series["loss"].x.tolist() == [1]
    assert store.runs["tower", "job-1"].name == "other"


def test_the_newest_pair_is_overlaid(tmp_path: Path) -> None:
    for number, arm in enumerate(["control", "experiment", "control"]):
        journal(tmp_path / "tower" / f"job-{number}" / "run.jsonl", arm, 3, 1_000_000 + number)
    store = LiveStore()
    store.load_mirrors(tmp_path)
    assert [(run.job_id, run.arm) for run in store.pair()] == [
        ("job-2", "control"),
        ("job-1", "experiment"),
    ]
    assert [run.job_id for run in store.pair([("tower", "job-0")])] == ["job-0"]


def test_a_gauge_is_current_only_while_fresh_and_connected() -> None:
    now = [100.0]
    store = LiveStore(clock=lambda: now[0])
    store.link_changed(link(LinkState.live))
    store.gauge_arrived("tower", gauge())
    host = store.hosts["tower"]
    assert not gauge_model(host, now[0]).stale
    now[0] += 11
    model = gauge_model(host, now[0])
    assert model.stale
    assert "data is 11s old" in "\n".join(part.plain for part in panel_lines(model, 120))
    store.gauge_arrived("tower", gauge())
    store.link_changed(link(LinkState.backoff, 5_000))
    assert gauge_model(host, now[0]).stale
    assert host_chip_model(host, now[0], 19_000).silent_for == 14
    store.link_changed(link(LinkState.connecting, 20_000))
    chip = host_chip_model(host, now[0], 25_000)
    assert (chip.state, chip.silent_for) == (
        "backoff",
        20,
    )  # an attempt does not start the count anew
    assert list(host.cpu)[-1] is None  # the history has a gap, not a line across it


def test_unknown_is_a_dash_and_never_a_zero() -> None:
    card = {"index": 0, "uuid": "x", "name": "RTX 4070 Ti", "util": None, "mem_used": None,
            "mem_total": 12 * 2**30, "reasons": {"util": "Not Supported"}}  # fmt: skip
    store = LiveStore()
    store.link_changed(link(LinkState.live))
    store.gauge_arrived("tower", gauge(gpus=[card], gpu_rung="nvml"))
    lines = panel_lines(gauge_model(store.hosts["tower"], store.clock()), 120)
    text = "\n".join(part.plain for part in lines)
    assert "util   —%" in text
    assert "—/12.0" in text
    assert "Not Supported" in text
    assert "SIMULATED" not in text


def test_small_changes_repaint_nothing() -> None:
    store = LiveStore(clock=lambda: 5.0)
    store.link_changed(link(LinkState.live))
    store.gauge_arrived("tower", gauge(cpu={"percent": 50.1, "count": 2, "load1": 0.5}))
    first = gauge_model(store.hosts["tower"], 5.0)
    store.hosts["tower"].cpu.pop()
    store.gauge_arrived("tower", gauge(cpu={"percent": 50.4, "count": 2, "load1": 0.6}, t_ms=2))
    assert gauge_model(store.hosts["tower"], 5.0) == first


def test_a_hostile_journal_is_only_data(tmp_path: Path) -> None:
    path = tmp_path / "tower" / "job-1" / "run.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(
        line("start", name="[/] \x1b[31mred\nline", arm="[x]", max_steps="many")
        + line("point", step=10**400, loss=1.0)
        + line("point", step=1, loss="not a number", grad_norm=10**400, seconds="soon")
        + line("point", step=2, loss=float(2), seconds=True)
        + b'{"v":1,"kind":"point","t":'
        + b"9" * 400
        + b',"step":3,"loss":3.0}\n'
        + b"\xff\xfe garbage\n"
    )
    store = LiveStore()
    store.load_mirrors(tmp_path)
    run = store.runs["tower", "job-1"]
    assert run.name == "[/] redline"
    assert run.max_steps == 0
    assert run.eta_seconds() is None
    assert run.series["loss"].x.tolist() in ([2.0], [2.0, 3.0])
