"""Probes of Docker: its daemon, a card inside a container, a kernel on that card, MLflow's container."""

from __future__ import annotations

import json
import os
import re

from agents.remote.machine import SHOWN, Failed, find, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}\Z")
CARD = re.compile(r"^GPU (\d+): (.+?) \(UUID: ([\w-]+)\)", re.M)
KERNEL = (
    "import json, torch\n"
    "a = torch.rand(1000, 1000)\n"
    "p = torch.cuda.get_device_properties(0)\n"
    "e = ((a.cuda() @ a.cuda()).cpu() - a @ a).abs().max().item() / (a @ a).abs().max().item()\n"
    "print('\\nGONOGO ' + json.dumps({'name': p.name, 'total': p.total_memory, 'error': e,"
    " 'capability': '%d.%d' % (p.major, p.minor), 'architectures': torch.cuda.get_arch_list(),"
    " 'torch': torch.__version__, 'cuda': torch.version.cuda}))\n"
)


def docker_program() -> str:
    return find("docker", "docker.exe")


def _json(text: str) -> dict[str, Any]:
    """The first JSON object among the lines of a text, {} without one: warnings may stand before it."""
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict):
                return value
    return {}


def docker(params: dict[str, Any]) -> dict[str, Any]:
    """{program, code, text, server, platform, os, context, runtimes, root, unit} of the daemon."""
    limit = float(params.get("limit", 10))
    program = docker_program()
    found: dict[str, Any] = {"program": program, "code": None, "text": "", "server": ""}
    if program:
        code, text = run([program, "version", "--format", "{{json .}}"], limit)
        server = _json(text).get("Server") or {}
        found.update(code=code, text=text[:SHOWN], server=str(server.get("Version", "")))
        found["platform"] = str((server.get("Platform") or {}).get("Name", ""))
    if found["server"]:
        info = _json(run([program, "info", "--format", "{{json .}}"], limit)[1])
        found["os"] = str(info.get("OperatingSystem", ""))
        found["root"] = str(info.get("DockerRootDir", ""))
        found["runtimes"] = sorted(info.get("Runtimes") or {})
        code, text = run([program, "context", "show"], limit)
        found["context"] = "" if code else text.strip()
    systemctl = find("systemctl") if params.get("unit") else ""
    if systemctl:
        lines = run([systemctl, "is-active", "docker"], limit)[1].strip().splitlines()
        found["unit"] = lines[-1] if lines else ""
    toolkit = find("nvidia-ctk", "nvidia-container-cli")
    found["toolkit"] = run([toolkit, "--version"], limit)[1][:200] if toolkit else ""
    return found


def _container(params: dict[str, Any], entry: str, *words: str) -> tuple[int, str]:
    """`docker run --rm --gpus all` of an image; a container that takes too long is removed."""
    image = str(params.get("image", ""))
    if not IMAGE.match(image):
        raise Failed("invalid", "%r is no image name" % image)
    program = docker_program()
    if not program:
        raise Failed("no-docker", "there is no docker command on this host")
    name = "gonogo-probe-%d" % os.getpid()
    argv = [program, "run", "--rm", "--name", name, "--gpus", "all"]
    argv += ["--entrypoint", entry, image, *words]
    try:
        return run(argv, float(params.get("limit", 60)))
    except Failed:
        run([program, "rm", "-f", name], 10)
        raise


def docker_gpu(params: dict[str, Any]) -> dict[str, Any]:
    """{code, text, cards}: what nvidia-smi -L says inside a container."""
    code, text = _container(params, "nvidia-smi", "-L")
    return {"code": code, "text": text[-SHOWN:], "cards": [list(c) for c in CARD.findall(text)]}


def kernel(params: dict[str, Any]) -> dict[str, Any]:
    """{code, text, result}: a multiplication on the card inside the training image, against the CPU's."""
    code, text = _container(params, "python", "-c", KERNEL)
    lines = [line[7:] for line in text.splitlines() if line.startswith("GONOGO ")]
    return {"code": code, "text": text[-SHOWN:], "result": _json(lines[-1]) if lines else {}}


def containers(params: dict[str, Any]) -> dict[str, Any]:
    """{code, text, found}: containers that publish `port` or carry `word` in name or image, newest first."""
    program = docker_program()
    if not program:
        raise Failed("no-docker", "there is no docker command on this host")
    code, text = run([program, "ps", "-a", "--no-trunc", "--format", "{{json .}}"], 10)
    port, word = ":%d->" % int(params.get("port", 0)), str(params.get("word", ""))
    rows = [_json(line) for line in text.splitlines()]
    wanted = [
        str(row["ID"])
        for row in rows
        if row.get("ID")
        and (
            port in str(row.get("Ports")) or word in "%s %s" % (row.get("Names"), row.get("Image"))
        )
    ][:5]
    found = []
    for one in wanted:
        shown = _json(run([program, "inspect", "--format", "{{json .}}", one], 10)[1])
        state = shown.get("State") or {}
        policy = (shown.get("HostConfig") or {}).get("RestartPolicy") or {}
        found.append(
            {
                "name": str(shown.get("Name", "")).lstrip("/"),
                "running": bool(state.get("Running")),
                "status": str(state.get("Status", "")),
                "started": str(state.get("StartedAt", "")),
                "restarts": shown.get("RestartCount"),
                "policy": str(policy.get("Name", "")),
                "mounts": [str(m.get("Destination", "")) for m in shown.get("Mounts") or []][:20],
            }
        )
    return {"code": code, "text": text[-SHOWN:] if code else "", "found": found}


PROBES = {
    "docker": docker,
    "docker_gpu": docker_gpu,
    "kernel": kernel,
    "containers": containers,
}
