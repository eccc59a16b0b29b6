"""A training's argv, and what its container sees of the host."""

from __future__ import annotations

import pytest

from agents import Mount
from tui.launch import generate_job, train_job
from tui.settings import Settings, SettingsError, parse_settings

DOCKER = """\
[hosts.tower]
backend = "docker"
python = "/opt/python"
[training]
model = "~/models/llama"
mounts = ["/cache", "~/results:rw"]
memory_gb = 1.5
image = "trainer:2"
"""


def training(text: str, **changes: str) -> tuple[Settings, dict[str, object]]:
    settings = parse_settings(text)
    return settings, {"arm": "control", "dataset": "/data/x.jsonl", "max_steps": 5,
                      "name": "c", "stage": "S1", **changes}  # fmt: skip


def test_a_process_by_default() -> None:
    settings, wanted = training('[hosts.tower]\npython = "/opt/python"\n')
    job = train_job(settings, **wanted)  # type: ignore[arg-type]
    assert (job.backend, job.container) == ("process", None)
    assert job.argv[0] == "/opt/python"
    assert "--wait-for-tracking" not in job.argv


def test_in_a_container() -> None:
    settings, wanted = training(DOCKER + 'tracking_uri = "http://127.0.0.1:5000"\n')
    job = train_job(settings, **wanted)  # type: ignore[arg-type]
    box = job.container
    assert box is not None
    assert (job.backend, job.argv[0], box.image) == ("docker", "python3", "trainer:2")
    assert job.argv[-2:] == ("--wait-for-tracking", "120")
    assert box.mounts == (
        Mount("/data/x.jsonl"), Mount("~/models/llama"), Mount("/cache"),
        Mount("~/results", read_only=False),
    )  # fmt: skip
    assert (box.memory, box.gpus, box.network) == (3 * 2**29, True, "host")
    assert job.oom_codes == (3,)


def test_a_tracking_server_elsewhere_needs_no_host_network() -> None:
    settings, wanted = training(
        DOCKER + 'tracking_uri = "http://192.168.1.9:5000"\n', model="org/m"
    )
    box = train_job(settings, **wanted).container  # type: ignore[arg-type]
    assert box is not None
    assert box.network == ""
    assert Mount("org/m") not in box.mounts


def test_generation_sees_the_adapter() -> None:
    settings, _ = training(DOCKER)
    box = generate_job(
        settings, adapter="/jobs/x/adapter", prompt="p", name="g", stage="S1"
    ).container
    assert box is not None
    assert box.mounts[:2] == (Mount("/jobs/x/adapter"), Mount("~/models/llama"))


@pytest.mark.parametrize("mount", ["relative", "/a:/b", "/a:ro", '/a"b', "/a\\nb"])
def test_a_mount_is_a_path_of_the_host(mount: str) -> None:
    quoted = mount.replace('"', '\\"')
    with pytest.raises(SettingsError, match=r"gonogo.toml:2: training\.mounts"):
        parse_settings(f'[training]\nmounts = ["{quoted}"]\n')
