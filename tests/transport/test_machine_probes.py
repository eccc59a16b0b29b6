"""The catalogue of machine probes on a host with programs that work, fail, hang and break."""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agents import LinkDown, RemoteError
from agents.remote.checks import Machine
from agents.remote.errors import OpError
from agents.remote.loop import Loop
from tests.transport.test_start import interpreter
from tui.roadmap.entries import Verdict
from tui.roadmap.verify import verify
from tui.roadmap.workspace import Workspace

CARD = "0, NVIDIA GeForce RTX 4070 Ti, GPU-7d1f0c3a, {driver}, 12282, {used}, 8.9"
HEADER = "| NVIDIA-SMI {driver}   Driver Version: {driver}   CUDA Version: {cuda}     |"
SMI = """case "$1" in
--query-gpu=*) echo "{card}";;
*) echo "{header}";;
esac
"""
VERSION = (
    '{"Client":{"Version":"27.2.0"},"Server":'
    '{"Version":"27.2.0","Platform":{"Name":"Docker Desktop 4.34.2 (167172)"}}}'
)
SHOWN = (
    '{"Name":"/mlflow-1","RestartCount":0,"State":{"Running":true,"Status":"running",'
    '"StartedAt":"2025-01-01T00:00:00.123456789Z"},"HostConfig":{"RestartPolicy":'
    '{"Name":"unless-stopped"}},"Mounts":[{"Destination":"/mlflow"}]}'
)
INFO = '{"OperatingSystem":"Docker Desktop","Runtimes":{"nvidia":{},"runc":{}}}'
ROW = '{"ID":"abc","Names":"mlflow-1","Image":"ghcr.io/mlflow/mlflow","Ports":""}'
DOCKER = f"""case "$1" in
version) echo '{VERSION}';;
info) echo '{INFO}';;
context) echo default;;
run) RUN;;
image) echo 'sha256:0123|900';;
ps) echo '{ROW}';;
inspect) echo '{SHOWN}';;
esac
"""
LIST = "echo 'GPU 0: NVIDIA GeForce RTX 4070 Ti (UUID: GPU-7d1f0c3a)'"
Install = Callable[[str, str], Path]


@pytest.fixture
def install(sshd, tmp_path) -> Install:
    """Put a program on the host's PATH, before all others."""
    folder = tmp_path / "programs"
    folder.mkdir()
    sshd.path = f"{folder}:{sshd.path}"

    def put(name: str, script: str) -> Path:
        program = folder / name
        program.write_text("#!/bin/sh\n" + script)
        program.chmod(0o755)
        return program

    return put


def smi(driver: str = "560.94", cuda: str = "12.6", used: int = 882) -> str:
    card = CARD.format(driver=driver, used=used)
    return SMI.format(card=card, header=HEADER.format(driver=driver, cuda=cuda))


def docker(run: str = LIST) -> str:
    return DOCKER.replace("RUN", run)


@pytest.fixture
def ws(tmp_path) -> Workspace:
    text = '[hosts.tower]\nrole = "tower"\n[hosts.server]\nrole = "server"\n'
    return Workspace.create(tmp_path / "w", settings_text=text)


class Reach:
    """Answers for tower and server over one live link, as the fleet does."""

    def __init__(self, link) -> None:
        self.link = link

    async def probe(self, host, name, **params):
        return await self.link.probe(name, **params)

    async def forward(self, host, port):
        return await self.link.open_tunnel(port)


async def checked(ws: Workspace, link, *items: str) -> dict[str, Verdict]:
    return {v.item: v for v in await verify(ws, items, Reach(link))}


async def test_scenario_04_a_driver_passes_and_ticks_or_fails_with_both_sides(
    install, make_link, ws
):
    install("nvidia-smi", smi())
    link = await make_link().live()
    good = await checked(ws, link, "S0.T2")
    ws.record_verdicts(list(good.values()), "user:ana")
    assert (good["S0.T2"].verdict, good["S0.T2"].found) == ("PASS", "560.94 >= 535")
    assert good["S0.T2"].by == "probe:tower"
    assert ws.state.ticks["S0.T2"].by == "probe:tower"
    install("nvidia-smi", smi("530.30", "12.1"))
    bad = (await checked(ws, link, "S0.T2"))["S0.T2"]
    assert (bad.verdict, bad.reason) == ("FAIL", "expected >= 535, found 530.30")


async def test_scenario_06_vram_is_judged_on_the_total(install, make_link, ws):
    install("nvidia-smi", smi())
    link = await make_link(simulate_gpu=True).live()
    for used in (882, 12_200):  # 11,400 MiB free, and next to nothing
        install("nvidia-smi", smi(used=used))
        found = (await checked(ws, link, "S0.T7"))["S0.T7"]
        assert (found.verdict, found.found) == ("PASS", "11.99 GiB total")


async def test_a_whole_tower_and_server(install, make_link, ws, sshd):
    install("nvidia-smi", smi())
    install("docker", docker())
    install("systemctl", "echo active")
    link = await make_link().live()
    found = await checked(ws, link, "S0.T", "S0.S1", "S0.S2", "S0.L1")
    words = {item: (v.verdict, v.reason) for item, v in found.items()}
    assert {word for word, _ in words.values()} == {"PASS"}, words
    assert found["S0.T1"].found == "27.2.0 (Docker Desktop 4.34.2 (167172))"
    assert found["S0.T5"].found == "GPU 0: NVIDIA GeForce RTX 4070 Ti"
    assert found["S0.T3"].found == "12.6"


async def test_one_batch_asks_the_card_once(install, make_link, ws, tmp_path):
    log = tmp_path / "asked"
    install("nvidia-smi", f'echo "$1" >> {log}\n' + smi())
    link = await make_link(simulate_gpu=True).live()
    await checked(ws, link, "S0.T2", "S0.T3", "S0.T4", "S0.T7")
    queries = [line for line in log.read_text().splitlines() if "compute_cap" in line]
    assert len(queries) == 1


async def test_a_program_that_hangs_is_a_timeout_and_is_ended(install, make_link, ws, wait_until):
    program = install("nvidia-smi", "sleep 300 & echo $! > ${0%/*}/pid; wait\n")
    link = await make_link(simulate_gpu=True).live()
    with pytest.raises(RemoteError) as caught:
        await link.probe("gpu", timeout=1.5)
    assert caught.value.code == "timeout"
    assert "nvidia-smi did not answer within 1 s" in str(caught.value)
    pid = int(await asyncio.to_thread((program.parent / "pid").read_text))
    await wait_until(lambda: not alive(pid), what="what it had started ends too")
    (ws.root / "bindings.toml").write_text('["S0.T2"]\nrule = "gpu-driver"\ntimeout = 0.5\n')
    found = (await checked(Workspace.open(ws.root), link, "S0.T2"))["S0.T2"]
    assert found.verdict == "TIMEOUT"


def memory(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0])


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


async def test_a_probe_that_breaks_is_an_error(install, make_link, ws):
    bad = CARD.format(driver="no-version", used=1).replace(", 12282", ", [N/A]")
    install("nvidia-smi", SMI.format(card=bad, header=""))
    link = await make_link(simulate_gpu=True).live()
    found = await checked(ws, link, "S0.T2", "S0.T7")
    assert found["S0.T2"].verdict == "ERROR"
    assert "no driver version" in found["S0.T2"].reason
    assert found["S0.T7"].verdict == "SKIP"
    with pytest.raises(RemoteError, match="there is no probe"):
        await link.probe("shell", argv=["id"])
    with pytest.raises(RemoteError, match="is no image name"):
        await link.probe("docker_gpu", image="x; rm -rf /")


async def test_a_container_without_a_card_names_cause_and_next_step(install, make_link, ws):
    said = (
        "docker: Error response from daemon: could not select device driver"
        ' "" with capabilities: [[gpu]].'
    )
    install("docker", docker(f"echo '{said}'; exit 125"))
    link = await make_link(simulate_gpu=True).live()
    found = (await checked(ws, link, "S0.T5"))["S0.T5"]
    assert found.verdict == "FAIL"
    assert "NVIDIA container toolkit. Next: install nvidia-container-toolkit" in found.reason


async def test_a_container_that_takes_too_long_is_removed(install, make_link, tmp_path):
    log = tmp_path / "removed"
    install("docker", f'case "$1" in run) sleep 300;; rm) echo "$@" > {log};; esac\n')
    link = await make_link(simulate_gpu=True).live()
    with pytest.raises(RemoteError, match="docker did not answer within 1 s"):
        await link.probe("docker_gpu", timeout=1.5, image="x:1")
    assert re.fullmatch(r"rm -f gonogo-probe-\d+", (await asyncio.to_thread(log.read_text)).strip())


async def test_scenario_05_a_host_that_is_off(ws, make_link):
    began = time.monotonic()
    watched = make_link(port=1)  # nobody listens there
    watched.start()
    with pytest.raises(LinkDown):
        await watched.link.wait_live(1)
    found = await verify(ws, ["S0.T"], Reach(watched.link))
    assert time.monotonic() - began < 10
    assert [v.verdict for v in found] == ["UNREACHABLE"] * 7
    before = len(ws.journal.records)
    record = ws.record_verdicts(found, "user:ana")
    assert record is not None
    assert len(record.data["verdicts"]) == 7
    assert len(ws.journal.records) == before + 1, "one record"
    assert not ws.state.ticks


async def test_scenario_07_a_later_failure_keeps_the_tick(install, make_link, ws):
    install("nvidia-smi", smi())
    link = await make_link(simulate_gpu=True).live()
    ws.record_verdicts(list((await checked(ws, link, "S0.T2")).values()), "user:ana")
    at = ws.state.ticks["S0.T2"].at
    install(
        "nvidia-smi", "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18"
    )
    ws.record_verdicts(list((await checked(ws, link, "S0.T2")).values()), "user:ana")
    assert ws.state.verdicts["S0.T2"].verdict == "FAIL"
    assert "Next: reboot the host" in ws.state.verdicts["S0.T2"].reason
    assert ws.state.ticks["S0.T2"].at == at


async def test_the_catalogue_costs_the_agent_no_memory(install, make_link):
    install("nvidia-smi", smi())
    link = await make_link(simulate_gpu=True).live()
    pid = int(link.host_info["pid"])

    before = memory(pid)
    for name in ("gpu", "system", "disk", "journal", "vscode", "port"):
        assert await link.probe(name)
    assert memory(pid) - before < 400, "kB"


async def test_old_interpreters_run_the_catalogue(install, make_link):
    old = interpreter("3.8")
    install("nvidia-smi", smi())
    link = await make_link(simulate_gpu=True, python=old).live()
    assert link.host_info["python"].startswith("3.8")
    for name in ("gpu", "system", "disk", "journal", "vscode", "port", "docker"):
        assert await link.probe(name)


async def test_the_tunnel_reaches_the_servers_loopback(make_link, ws, tmp_path):
    import http.server
    import threading

    class Health(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"OK")

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    link = await make_link(simulate_gpu=True).live()
    text = (ws.root / "gonogo.toml").read_text() + f"\n[mlflow]\nport = {server.server_port}\n"
    (ws.root / "gonogo.toml").write_text(text)
    opened = Workspace.open(ws.root)
    found = (await checked(opened, link, "S0.L5"))["S0.L5"]
    server.shutdown()
    server.server_close()
    assert (found.verdict, found.found) == ("PASS", "HTTP 200 OK")
    found = (await checked(opened, link, "S0.L5"))["S0.L5"]
    assert found.verdict == "FAIL"


@pytest.mark.docker
async def test_a_real_engine(sshd, engine, make_link, ws):
    """The texts are the engine's own: nothing here has a card, and nothing can be pulled."""
    sshd.environment["DOCKER_HOST"] = engine.url
    link = await make_link(simulate_gpu=True).live()
    facts = await link.probe("docker", timeout=20)
    assert facts["server"]
    assert "runc" in facts["runtimes"]
    words = ("run", "-d", "--network=none", "--name=mlflow-test", "gonogo-test:base", "sleep", "60")
    engine.docker(*words)
    found = await link.probe("containers", timeout=20, port=5000, word="mlflow")
    engine.docker("rm", "-f", "mlflow-test")
    assert [(c["name"], c["running"], c["mounts"]) for c in found["found"]] == [
        ("mlflow-test", True, [])
    ]
    text = '["S0.T5"]\nrule = "docker-gpu"\nimage = "gonogo-test:base"\n'
    (ws.root / "bindings.toml").write_text(text)
    seen = await checked(Workspace.open(ws.root), link, "S0.T1", "S0.T5")
    assert seen["S0.T1"].verdict == "WARN", "a plain engine is not Docker Desktop"
    assert seen["S0.T5"].verdict == "FAIL"
    assert "NVIDIA container toolkit. Next: " in seen["S0.T5"].reason
    assert engine.docker("ps", "-aq") == "", "no container is left"


def test_a_probe_that_cannot_be_ended_is_not_started_twice():
    """A process that left the group stands for one that hangs in the kernel: SIGKILL does not reach it."""
    loop = Loop()
    escaped = "import os,time; os.fork() and os._exit(0); os.setsid(); time.sleep(4)"
    probes = Machine(loop, {"stub": escaped, "machine": base64.b64encode(b"x").decode()})
    said: list[tuple[str, str]] = []

    def fail(code: str, text: str) -> None:
        said.append((code, text))
        loop.running = False
        loop.later(0, lambda: None)  # wakes it

    probes.ask("gpu", {"timeout": 0.5}, pytest.fail, fail)
    loop.run()
    assert said == [("timeout", "the gpu probe gave no answer within 0.5 s")]
    with pytest.raises(OpError, match="still hangs in the kernel"):
        probes.ask("gpu", {}, pytest.fail, fail)
    with pytest.raises(OpError, match="there is no probe"):
        probes.ask("shell", {}, pytest.fail, fail)
