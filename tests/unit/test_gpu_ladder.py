"""The ladder of GPU readers over programs that hang, flood, fork, lose a card or cannot be ended."""

from __future__ import annotations

import os
import signal
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from agents.gauges import parse_gauge
from agents.remote import child as child_module
from agents.remote import gpu as ladder
from agents.remote import nvml as reader
from agents.remote import smi
from agents.remote.loop import Loop

LINE = "0, GPU-a, 5, 512, 12282, 20.1, 285.00, 44, 210, NVIDIA GeForce RTX 4070 Ti"
OTHER = LINE.replace("0, GPU-a", "1, GPU-b", 1)
Until = Callable[[ladder.Gpu], bool]


@pytest.fixture
def climb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Run a fake nvidia-smi below the ladder until a condition holds; (card count, rung, reason) seen."""
    monkeypatch.setattr(ladder, "HUNG_AFTER", 0.8)
    monkeypatch.setattr(ladder, "AGAIN", 0.2)
    monkeypatch.setattr(ladder, "DRIVER_SIGNS", ())
    monkeypatch.setattr(smi, "PROGRAMS", ("nvidia-smi",))
    monkeypatch.setattr(child_module, "LET_GO", 0.3)
    made: list[ladder.Gpu] = []

    def run(script: str, until: Until, patience: int = 20) -> list[tuple[int, str, str]]:
        monkeypatch.setattr(ladder, "FIRST_READING", patience)
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\necho $$ >>{tmp_path}/pids\n{script}")
        (tmp_path / "nvidia-smi").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        loop, seen, end = Loop(), [], time.monotonic() + 30
        gpu = ladder.Gpu(loop, 0.1, {}, False)
        made.append(gpu)

        def look() -> None:
            now = (len(gpu.cards), gpu.rung, gpu.reason)
            if seen[-1:] != [now]:
                seen.append(now)
            loop.running = not until(gpu) and time.monotonic() < end

        loop.every(0.01, look)
        loop.run()
        assert until(gpu), seen
        return seen

    yield run
    for gpu in made:
        gpu.close()
    for pid in (tmp_path / "pids").read_text().split() if (tmp_path / "pids").exists() else []:
        try:
            os.killpg(int(pid), signal.SIGKILL)
        except OSError:
            pass


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (f'echo "{LINE}"; sleep 300', "gave no reading for 1 s"),
        (f'setsid sh -c "echo \\$\\$ >>$(dirname $0)/pids; sleep 300" & echo "{LINE}"; sleep 300', "for 1 s"),
        ("setsid sh -c \"echo \\$\\$ >>$(dirname $0)/pids; sleep 300\" & sleep 0.1; exit 9", "within 1 s"),
        (f'yes "{LINE}"', "printed more than 4 MB in a second"),
        ("head -c 1000000000 /dev/zero; sleep 300", "printed more than 4 MB in a second"),
        ('while :; do echo "Unable to determine the device handle"; sleep 0.02; done', "within 1 s"),
        ("echo 'No devices were found'; exit 6", "No devices were found"),
        (f"printf '{LINE[:40]}'; exit 255", LINE[:40]),
    ],
)  # fmt: skip
def test_a_reader_that_misbehaves_is_left(climb, script: str, why: str) -> None:  # type: ignore[no-untyped-def]
    last = climb(script, lambda gpu: gpu.rung == "none", 1 if "within" in why else 20)[-1]
    assert last[0] == 0
    assert f"nvidia-smi: {why}" in last[2] or why in last[2]


def test_a_card_that_leaves_the_list_leaves_the_gauge(climb) -> None:  # type: ignore[no-untyped-def]
    both = f'echo "{LINE}"; echo "{OTHER}"; '
    seen = climb(
        f'{both}{both}sleep 0.2; while echo "{OTHER}"; do sleep 0.05; done',
        lambda gpu: [card["uuid"] for card in gpu.cards] == ["GPU-b"],
    )
    assert (2, "nvidia-smi", "") in seen


def test_a_driver_that_knows_the_new_name_only_is_asked_by_it(climb) -> None:  # type: ignore[no-untyped-def]
    line = LINE.replace("NVIDIA", "0x0000000000000004, 10501, NVIDIA")
    refuse = 'case "$1" in *throttle*) echo \'Field "x" is not a valid field to query.\'; exit 2;; esac\n'
    climb(
        f'{refuse}while echo "{line}"; do sleep 0.05; done',
        lambda gpu: bool(gpu.cards) and gpu.cards[0]["throttle"] == ["power cap"],
    )


def test_one_that_cannot_be_ended_gets_no_company(climb, monkeypatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """A call that hangs in the kernel: every further reader would hang beside it."""
    monkeypatch.setattr(ladder, "DRIVER_SIGNS", ("/",))
    monkeypatch.setattr(child_module.os, "killpg", lambda *_: None)
    count = {"looks": 0}
    again = ladder.Gpu._again

    def counted(gpu: ladder.Gpu) -> None:
        count["looks"] += 1
        again(gpu)

    monkeypatch.setattr(ladder.Gpu, "_again", counted)
    seen = climb("sleep 300", lambda gpu: count["looks"] >= 3, 1)
    assert len((tmp_path / "pids").read_text().split()) == 1
    assert "gave no reading within 1 s and cannot be ended (process " in seen[-1][2]
    monkeypatch.undo()


def test_looking_again_from_the_bottom_changes_nothing_on_the_screen(  # type: ignore[no-untyped-def]
    climb, monkeypatch, tmp_path
) -> None:
    monkeypatch.setattr(ladder, "DRIVER_SIGNS", ("/",))
    mismatch = "Failed to initialize NVML: Driver/library version mismatch"
    works = tmp_path / "works"
    tries = tmp_path / "pids"

    def until(gpu: ladder.Gpu) -> bool:
        if tries.exists() and len(tries.read_text().split()) == 4:
            works.touch()
        return bool(gpu.cards)

    seen = climb(
        f'[ -e {works} ] || {{ sleep 0.05; echo "{mismatch}"; exit 18; }}\n'
        f'while echo "{LINE}"; do sleep 0.05; done',
        until,
    )
    assert [rung for _, rung, _ in seen] == ["nvidia-smi", "none", "nvidia-smi"], seen
    assert mismatch in seen[1][2]


@pytest.mark.parametrize(
    ("line", "field", "reason"),
    [
        (LINE.replace("512", "nan"), "mem_used", "nan"),
        (LINE.replace("20.1", "1e400"), "power_w", "1e400"),
        (LINE.replace("NVIDIA", "ERR!, [N/A], NVIDIA"), "throttle", "ERR!"),
        (LINE.replace("NVIDIA", "Unknown Error, ERR!, NVIDIA"), "clock_mem_mhz", "ERR!"),
        (LINE.replace(" 5,", " [GPU requires reset],"), "util", "[GPU requires reset]"),
        (LINE.replace(" 5,", ","), "util", "empty"),
    ],
)
def test_what_is_no_value_is_none_with_its_words(line: str, field: str, reason: str) -> None:
    reading = smi.parse_line(line)
    assert reading is not None
    assert (reading[field], reading["reasons"][field]) == (None, reason)
    assert reading["name"] == "NVIDIA GeForce RTX 4070 Ti"


@pytest.mark.parametrize("index", ["²", "9" * 5000], ids=["superscript", "long"])
def test_an_index_is_a_small_number(index: str) -> None:
    assert smi.parse_line(index + LINE[1:]) is None


# --- NVML -----------------------------------------------------------------------------------------


class NVMLError(Exception):
    pass


def driver(**changes: object) -> types.ModuleType:
    """Bindings of two cards; both work."""
    module = types.ModuleType("pynvml")
    memory = types.SimpleNamespace(used=2**30, total=2**33)
    calls: dict[str, object] = {
        "NVMLError": NVMLError, "NVML_TEMPERATURE_GPU": 0, "NVML_CLOCK_SM": 1, "NVML_CLOCK_MEM": 2,
        "nvmlInit": lambda: None, "nvmlShutdown": lambda: None, "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda i: i, "nvmlDeviceGetName": lambda h: b"Card",
        "nvmlDeviceGetUUID": lambda h: f"GPU-{h}", "nvmlDeviceGetMemoryInfo": lambda h: memory,
        "nvmlDeviceGetTemperature": lambda h, kind: 50,
    }  # fmt: skip
    module.__dict__.update({**calls, **changes})
    return module


def readings(monkeypatch, module: types.ModuleType, rounds: int) -> list[dict[str, object]]:  # type: ignore[no-untyped-def]
    """What the reader prints in so many rounds, ten seconds apart."""
    said: list[dict[str, object]] = []
    now = [1000.0]

    def say(message: dict[str, object]) -> None:
        if len(said) == rounds:
            raise BrokenPipeError
        said.append(message)

    def wait(*_: object) -> tuple[list[int], list[int], list[int]]:
        now[0] += 10
        return [], [], []

    monkeypatch.setitem(sys.modules, "pynvml", module)
    monkeypatch.setattr(reader, "say", say)
    monkeypatch.setattr(reader, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(reader, "select", types.SimpleNamespace(select=wait))
    reader.main(["1"], {})
    return said


def test_a_card_without_a_handle_costs_only_itself_and_is_found_again(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    starts: list[int] = []

    def handle(index: int) -> int:
        if index == 1 and len(starts) == 1:
            raise NVMLError("GPU is lost")
        return index

    module = driver(nvmlInit=lambda: starts.append(1), nvmlDeviceGetHandleByIndex=handle)
    said = readings(monkeypatch, module, 9)
    first, second = parse_gauge({"t_ms": 1, "gpu_rung": "nvml", **said[0]}).gpus
    assert (first.mem_used, first.temp_c) == (2**30, 50)
    assert (second.index, second.name, second.mem_used, second.util) == (1, "GPU 1", None, None)
    assert second.reasons["util"] == second.reasons["mem_total"] == "GPU is lost"
    assert len(starts) == 2
    assert [card["name"] for card in said[-1]["gpus"]] == ["Card", "Card"]  # type: ignore[union-attr]


def test_a_card_lost_in_use_is_looked_for_anew_and_one_that_tells_little_is_not(
    monkeypatch,
) -> None:  # type: ignore[no-untyped-def]
    starts: list[int] = []

    def asked(*_: object) -> int:
        if len(starts) == 1:
            raise NVMLError("GPU is lost")
        return 50

    def memory(handle: int) -> object:
        asked()
        return types.SimpleNamespace(used=1, total=2)

    def unified(*_: object) -> object:
        raise NVMLError("Not Supported")

    module = driver(
        nvmlInit=lambda: starts.append(1),
        nvmlDeviceGetMemoryInfo=memory,
        nvmlDeviceGetTemperature=asked,
    )
    said = readings(monkeypatch, module, 9)
    assert [said[i]["gpus"][0]["temp_c"] for i in (0, -1)] == [None, 50]  # type: ignore[index]
    starts.clear()
    readings(
        monkeypatch, driver(nvmlInit=lambda: starts.append(1), nvmlDeviceGetMemoryInfo=unified), 20
    )
    assert len(starts) == 1


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"nvmlDeviceGetCount": lambda: 0}, "the driver lists no device"),
        ({"nvmlDeviceGetName": lambda h: b"x".decode("utf-16")}, "utf-16"),
    ],
)
def test_no_card_at_all_has_its_reason(monkeypatch, changes: dict[str, object], why: str) -> None:  # type: ignore[no-untyped-def]
    (said,) = readings(monkeypatch, driver(**changes), 3)
    assert why in str(said["error"])


def test_memory_is_counted_one_way_for_good(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """With the reserved part or without it: a change in between would look like a job's end."""
    fails = [False]

    def memory(handle: int, version: int = 0) -> object:
        if version and fails[0]:
            raise NVMLError("Timeout")
        return types.SimpleNamespace(used=1 if version else 1 + 2**28, total=2**33)

    module = driver(nvmlDeviceGetMemoryInfo=memory, nvmlMemory_v2=0x02000028)
    card = reader.Card(module, 0)
    assert card.read()["mem_used"] == 1
    fails[0] = True
    assert (card.read()["mem_used"], card.read()["reasons"]["mem_used"]) == (None, "Timeout")
    old = reader.Card(module, 0)
    assert old.read()["mem_used"] == 1 + 2**28
    fails[0] = False
    assert old.read()["mem_used"] == 1 + 2**28
