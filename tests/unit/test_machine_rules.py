"""Machine facts judged: what real programs print when all is well and when it is not."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from agents.errors import NO_SERVICE
from agents.remote import machine, machine_containers, machine_facts
from tui.cli import main
from tui.doctor_rows import row as doctor_row
from tui.roadmap.causes import because, explain, known
from tui.roadmap.rules.base import Finding, ProbeFailed
from tui.roadmap.rules.containers import (
    DaemonParams,
    KernelParams,
    judge_container_gpu,
    judge_daemon,
    judge_kernel,
)
from tui.roadmap.rules.desk import judge_service
from tui.roadmap.rules.hosts import no_service
from tui.roadmap.rules.machine import (
    CardParams,
    CudaParams,
    DiskParams,
    DriverParams,
    VramParams,
    judge_card,
    judge_cuda,
    judge_disk,
    judge_driver,
    judge_vram,
)
from tui.settings import Settings

SETTINGS = Settings()


def facts(text: str = "", code: int = 0, cuda: str = "12.6", program: str = "nvidia-smi"):
    cards = [] if code else machine_facts.parse_cards(text, machine_facts.CARD)
    return {"program": program, "code": code, "text": text, "cards": cards, "cuda": cuda}


def card(
    name: str = "NVIDIA GeForce RTX 4070 Ti", driver: str = "560.94", total: str = "12282"
) -> str:
    return f"0, {name}, GPU-7d1f, {driver}, {total}, 882, 8.9\n"


@pytest.mark.parametrize(
    ("driver", "verdict", "words"),
    [
        ("560.94", "PASS", "560.94 >= 535"),
        ("535.00", "PASS", "535.00 >= 535"),
        ("530.30", "FAIL", "expected >= 535, found 530.30"),
        ("1535.1", "PASS", "1535.1 >= 535"),
    ],
)
def test_drivers(driver: str, verdict: str, words: str) -> None:
    finding = judge_driver("tower", facts(card(driver=driver)), DriverParams())
    assert (finding.verdict, finding.reason or finding.found) == (verdict, words)
    assert finding.by == "probe:tower"


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("NVIDIA GeForce RTX 4070 Ti", "PASS"),
        ("NVIDIA GeForce RTX 4070Ti", "PASS"),
        ("NVIDIA GeForce RTX 4070 Ti, rev, 2", "PASS"),
        ("NVIDIA GeForce RTX 4070 Ti SUPER", "WARN"),
        ("NVIDIA GeForce RTX 4070", "FAIL"),
        ("NVIDIA GeForce GTX 970", "FAIL"),
    ],
)
def test_cards(name: str, verdict: str) -> None:
    assert judge_card("tower", facts(card(name)), CardParams()).verdict == verdict


@pytest.mark.parametrize(
    ("total", "verdict", "found"),
    [
        ("12282", "PASS", "11.99 GiB total"),
        ("11999", "FAIL", "11.72 GiB total"),
        ("4096", "FAIL", "4.00 GiB total"),
        ("[N/A]", "SKIP", ""),
        ("²", "SKIP", ""),
    ],
)
def test_vram(total: str, verdict: str, found: str) -> None:
    finding = judge_vram("tower", facts(card(total=total)), VramParams())
    assert (finding.verdict, finding.found) == (verdict, found)


@pytest.mark.parametrize(
    ("cuda", "verdict"),
    [("12.6", "PASS"), ("12.1", "PASS"), ("11.8", "FAIL"), ("13.0", "PASS"), ("", "SKIP")],
)  # fmt: skip
def test_cuda(cuda: str, verdict: str) -> None:
    assert judge_cuda("tower", facts(card(), cuda=cuda), CudaParams()).verdict == verdict


BAD = [
    ('docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].',
     "container toolkit"),
    ("nvidia-container-cli: initialization error: WSL environment detected but no adapters were found: "
     "unknown", "no graphics card"),
    ("Failed to initialize NVML: GPU access blocked by the operating system", "Windows blocks"),
    ("Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.54",
     "reboot the host"),
    ("Failed to initialize NVML: Unknown Error", "daemon-reload"),
    ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the "
     "latest NVIDIA driver is installed and running.", "not loaded"),
    ("No devices were found", "sees no card"),
    ("RuntimeError: CUDA error: no kernel image is available for execution on the device",
     "compute capability"),
    ("nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.8, please update your "
     "driver to a newer version, or use an earlier cuda container: unknown.", "newer than the driver"),
    ("error during connect: error getting credentials - err: exit status 1, out: `A specified logon "
     "session does not exist. It may already have been terminated.`", "DOCKER_CONFIG"),
    ("docker: Error response from daemon: manifest for nvidia/cuda:12.1.0-base not found: manifest "
     "unknown: manifest unknown.", "12.1.0-base-ubuntu22.04"),
    ("permission denied while trying to connect to the Docker daemon socket at "
     "unix:///var/run/docker.sock", "usermod -aG docker"),
    ("The command 'docker' could not be found in this WSL 2 distro.", "WSL integration"),
    ("error during connect: this error may indicate that the docker daemon is not running: Get "
     '"http://%2F%2F.%2Fpipe%2FdockerDesktopLinuxEngine/v1.46/version"', "start Docker Desktop"),
    ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
     "systemctl enable --now docker"),
    ("write /var/lib/docker/tmp/x: no space left on device", "disk of the host is full"),
    ("Invalid Host header - possible DNS rebinding attack detected", "allowed_hosts"),
    ("failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and "
     "if the daemon is running: dial unix /var/run/docker.sock: connect: no such file or directory",
     "the Docker daemon is not running"),
    ("failed to connect to the docker API at npipe:////./pipe/dockerDesktopLinuxEngine; check if the path "
     "is correct and if the daemon is running: open //./pipe/dockerDesktopLinuxEngine: Das System kann die "
     "angegebene Datei nicht finden.", "Docker Desktop is not started"),
    ("permission denied while trying to connect to the docker API at unix:///var/run/docker.sock",
     "may not talk to Docker"),
    ("Failed to initialize NVML: N/A\nFailed to properly shut down NVML: N/A", "inside WSL"),
    ("nvidia-container-cli: container error: cgroup subsystem devices not found: unknown\nfailed to set "
     "device: bpf_prog_query(BPF_CGROUP_DEVICE) failed: operation not permitted", "toolkit is too old"),
    ('OCI runtime create failed: runc create failed: exec: "nvidia-smi": executable file not found in '
     "$PATH: unknown", "without the NVIDIA runtime"),
    ('exec: "python": executable file not found in $PATH', "no Python with PyTorch"),
    ("AssertionError: Torch not compiled with CUDA enabled", "processor only"),
    ("RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU",
     "inside the container"),
    ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB.", "card's memory"),
    ("exec /usr/bin/python: exec format error", "processor"),
    ("tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time "
     "2023-01-01T00:00:00Z is before 2025-01-01", "host's clock"),
    ("net/http: TLS handshake timeout", "reach the registry"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), BAD, ids=[words for _, words in BAD])
def test_known_bad_outputs_lead_to_one_cause_and_one_step(text: str, words: str) -> None:
    cause = explain(text)
    assert cause is not None
    assert words in str(cause)
    assert cause.next
    assert cause.source.startswith("https://")


def test_the_table_of_causes_has_no_entry_that_another_one_hides() -> None:
    for entry in known():
        for text in entry.texts:
            found = explain(text)
            assert found is not None
            assert found is entry or found.texts[0] in ("manifest unknown",), (text, found)
    assert explain("all is well") is None
    assert str(because("line one\nstrange end\n", "it ended with code 3")) == (
        "it ended with code 3: strange end"
    )


def test_a_missing_driver_fails_its_box_and_skips_what_stands_on_it() -> None:
    bad = facts("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", 9)
    assert judge_driver("tower", bad, DriverParams()).verdict == "FAIL"
    assert judge_vram("tower", bad, VramParams()).verdict == "SKIP"
    assert judge_cuda("tower", bad, CudaParams()).verdict == "SKIP"
    assert "there is no nvidia-smi" in judge_card("tower", facts(program=""), CardParams()).reason
    odd = judge_driver("tower", facts("Segmentation fault", -11), DriverParams())
    assert odd.reason.startswith("nvidia-smi crashed inside the driver's library. Next: ")


def test_docker_daemons() -> None:
    desktop = {
        "program": "docker",
        "server": "27.2.0",
        "platform": "Docker Desktop 4.34.2 (167172)",
    }
    plain = {"program": "docker", "server": "28.2.2", "platform": "Docker Engine - Community"}
    wanted = DaemonParams(desktop=True)
    assert judge_daemon("tower", desktop, wanted, SETTINGS).verdict == "PASS"
    assert judge_daemon("tower", plain, wanted, SETTINGS).verdict == "WARN"
    assert judge_daemon("server", plain, DaemonParams(unit=True), SETTINGS).verdict == "PASS"
    odd = judge_daemon("server", {**plain, "unit": "inactive"}, DaemonParams(unit=True), SETTINGS)
    assert (odd.verdict, "inactive" in odd.reason) == ("WARN", True)
    none = judge_daemon("server", {"program": ""}, DaemonParams(), SETTINGS)
    assert (none.verdict, none.found) == ("FAIL", "Docker is not installed")


def test_containers_with_a_card() -> None:
    text = (
        "Unable to find image locally\nGPU 0: NVIDIA GeForce RTX 4070 Ti (UUID: GPU-7d1f0c3a-1)\n"
    )
    cards = [list(c) for c in machine_containers.CARD.findall(text)]
    good = judge_container_gpu("tower", {"code": 0, "text": text, "cards": cards}, "a GPU")
    assert (good.verdict, good.found) == ("PASS", "GPU 0: NVIDIA GeForce RTX 4070 Ti")
    assert (
        judge_container_gpu("tower", {"code": 0, "text": "", "cards": []}, "a GPU").verdict
        == "FAIL"
    )


def test_kernels() -> None:
    result = {"name": "GTX 970", "error": 2e-6, "torch": "2.13.0"}
    assert (
        judge_kernel("tower", {"code": 0, "result": result}, KernelParams(), "x").verdict == "PASS"
    )
    wrong = {**result, "error": 0.5}
    assert (
        judge_kernel("tower", {"code": 0, "result": wrong}, KernelParams(), "x").verdict == "FAIL"
    )
    text = "RuntimeError: CUDA error: no kernel image is available for execution on the device"
    finding = judge_kernel("tower", {"code": 1, "text": text, "result": {}}, KernelParams(), "x")
    assert "get_arch_list" in finding.reason


@pytest.mark.parametrize(
    ("free", "more", "verdict"),
    [
        (300_000_000_000, {}, "PASS"),
        (299_999_999_999, {}, "FAIL"),
        (900e9, {"windows_available": 100e9 // 1}, "PASS"),
        (900e9, {"windows_available": 100_000_000_000}, "FAIL"),
        (900e9, {"inodes": 1000, "inodes_free": 10}, "WARN"),
        (900e9, {"inodes": 0, "inodes_free": 0}, "PASS"),
        (900e9, {"type": "9p", "mount": "/mnt/c"}, "WARN"),
    ],
)
def test_disks(free: float, more: dict, verdict: str) -> None:
    params = DiskParams(at_least_gb=300)
    told = {"available": int(free), "mount": "/", **more}
    assert judge_disk("server", told, params, params.expects(SETTINGS)).verdict == verdict


def container(**changes: object) -> dict:
    shown = {
        "name": "mlflow", "running": True, "status": "running", "started": "2025-01-01T00:00:00.5Z",
        "restarts": 0, "policy": "unless-stopped", "mounts": ["/mlflow"],
    }  # fmt: skip
    return {"found": [{**shown, **changes}]}


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        (container(), "PASS"),
        (container(mounts=[]), "WARN"),
        (container(policy="no"), "WARN"),
        (container(restarts=3), "FAIL"),
        (container(running=False, status="exited"), "FAIL"),
        ({"found": []}, "FAIL"),
    ],
)
def test_services(told: dict, verdict: str) -> None:
    assert judge_service("server", told, 30, "x").verdict == verdict
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    assert judge_service("server", container(started=now), 30, "x").verdict == "SKIP"


def test_wsl_writes_utf_16() -> None:
    text = (
        "  NAME      STATE           VERSION\r\n"
        "* Ubuntu    Running         2\r\n  docker-desktop Stopped 1\r\n"
    )
    rows = machine_facts.parse_wsl(machine.decode(text.encode("utf-16-le")))
    assert rows == [
        {"name": "Ubuntu", "state": "Running", "version": 2, "default": True},
        {"name": "docker-desktop", "state": "Stopped", "version": 1, "default": False},
    ]
    assert machine.decode("Grüße".encode()) == "Grüße"


def test_wsl_in_the_language_of_windows() -> None:
    rows = machine_facts.parse_wsl(
        "  NAME            STATUS              VERSION\n* Ubuntu-22.04    Wird ausgeführt     2\n"
        "  docker-desktop  Beendet             2\n"
    )
    assert [(row["name"], row["state"], row["default"]) for row in rows] == [
        ("Ubuntu-22.04", "Wird ausgeführt", True), ("docker-desktop", "Beendet", False),
    ]  # fmt: skip


def test_the_mount_of_a_path_with_blanks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = tmp_path / "My Disk"
    place.mkdir()
    device = "/dev/mapper/" + "very-long-name-" * 20
    mounts = f"{device} / ext4 rw 0 0\nC:\\134 {tmp_path}/My\\040Disk 9p rw,aname=drvfs 0 0\n"
    read = machine_facts.read
    monkeypatch.setattr(
        machine_facts, "read",
        lambda path, limit=65536: mounts if path == "/proc/mounts" else read(path, limit),
    )  # fmt: skip
    found = machine_facts.disk({"path": str(place / "not there yet")})
    assert (found["mount"], found["type"]) == (str(place), "9p")
    assert machine_facts.disk({"path": "/"})["type"] == "ext4"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (None, "", "gonogo mlflow up"),
        (
            403,
            "Invalid Host header - possible DNS rebinding attack detected",
            "mlflow.allowed_hosts",
        ),
        (401, "You are not authenticated.", "asks for a login"),
        (404, "<title>Jupyter</title>", "mlflow.port"),
        (500, "", "gonogo mlflow logs"),
        (503, f"server: {NO_SERVICE} 5000: Connect call failed", "gonogo mlflow up"),
    ],
)
def test_why_mlflow_does_not_answer(status: int | None, body: str, words: str) -> None:
    """A server that refuses is not to be started once more."""
    assert words in str(no_service(status, body, f"HTTP {status}"))


def test_scenario_30_doctor_on_a_fresh_laptop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnopqrstuvwxyzABCDEF")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["doctor", "--json"])
    rows = json.loads(done.stdout)
    assert isinstance(rows, list)
    assert all(set(r) == {"id", "verdict", "expected", "found", "seconds", "next"} for r in rows)
    assert done.exit_code == 0
    words = {row["id"]: row for row in rows}
    assert words["laptop.environment"]["found"].startswith("HF_TOKEN")
    assert "hf_abc" not in done.stdout
    assert words["laptop.keys"]["next"] == "ssh-keygen -t ed25519"
    ssh = tmp_path / ".ssh"
    ssh.mkdir()
    (ssh / "id_ed25519").write_text("x")
    (ssh / "id_ed25519.pub").write_text("x")
    (ssh / "id_ed25519").chmod(0o644)
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == 1
    assert "next: chmod 600 ~/.ssh/id_ed25519" in done.stdout
    assert "\x1b" not in done.stdout
    assert "`gonogo init`" in done.stdout


def test_status_in_a_pipe_has_no_escape_codes(tmp_path: Path) -> None:
    CliRunner().invoke(main, ["init", str(tmp_path / "w")])
    done = CliRunner().invoke(main, ["-C", str(tmp_path / "w"), "status"])
    assert done.exit_code == 0
    assert "\x1b" not in done.output


async def test_a_fact_is_asked_once_and_its_trouble_reaches_all(tmp_path: Path) -> None:
    from tui.roadmap.verify import verify
    from tui.roadmap.workspace import Workspace

    class Late:
        asked = 0

        async def probe(self, host: str, name: str, **params: object) -> dict[str, object]:
            Late.asked += 1
            await asyncio.sleep(0)
            raise TimeoutError("nvidia-smi did not answer within 10 s")

    ws = Workspace.create(tmp_path / "w", settings_text='[hosts.tower]\nrole = "tower"\n')
    found = await verify(ws, ["S0.T2", "S0.T3", "S0.T4", "S0.T7"], Late())
    assert {v.verdict for v in found} == {"TIMEOUT"}
    assert Late.asked == 1


def test_only_ended_jobs_of_the_doctor_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    jobs = tmp_path / ".gonogo/jobs"
    for name, labels, ended in (
        ("doctor-a", {"kind": "doctor"}, True), ("doctor-b", {"kind": "doctor"}, False),
        ("doctor-c", {"kind": "train"}, True),
    ):  # fmt: skip
        (jobs / name).mkdir(parents=True)
        (jobs / name / "job.json").write_text(json.dumps({"labels": labels}))
        if ended:
            (jobs / name / "exit.json").write_text("{}")
    for name in ("doctor-a", "doctor-b", "doctor-c", "../jobs/doctor-c", "doctor-/../doctor-c", ""):
        told = machine.answer("forget", {"job_id": name})
        assert ("value" in told) == (name == "doctor-a"), told
    assert sorted(p.name for p in jobs.iterdir()) == ["doctor-b", "doctor-c"]


async def test_a_check_without_an_answer_has_its_next_step() -> None:
    async def hangs() -> Finding:
        raise ProbeFailed("timeout", "nvidia-smi did not answer within 11.5 s")

    shown = await doctor_row("tower.driver", hangs())
    assert shown.verdict == "TIMEOUT"
    assert shown.next.startswith("try it there by hand")
