"""Rules about Docker on a host: its daemon, a card in a container, a kernel on that card."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tui.roadmap.causes import Cause, because
from tui.roadmap.rules.base import Context, Finding, judge, on_hosts, warn
from tui.roadmap.rules.machine import Facts, MachineParams, failing, parent, told
from tui.settings import IMAGE_NAME, Settings

NO_DOCKER = Cause(
    "Docker is not installed", "install Docker on the host, or Docker Desktop on Windows"
)


class DaemonParams(MachineParams):
    """The Docker daemon answers. `desktop`: a plain engine is a warning; `unit`: systemd must run it."""

    desktop: bool = False
    unit: bool = False

    def expects(self, settings: Settings) -> str:
        del settings
        what = "Docker Desktop answers" if self.desktop else "the Docker daemon answers"
        return what + (", its service is active" if self.unit else "")


class ContainerGpuParams(MachineParams):
    """A card is seen inside a container of an image."""

    image: Annotated[str, Field(pattern=f"^{IMAGE_NAME}$")] = "nvidia/cuda:12.1.0-base-ubuntu22.04"
    timeout: Annotated[float, Field(gt=0, le=600)] = 310.0

    def expects(self, settings: Settings) -> str:
        del settings
        return f"a GPU in a container of {self.image}"


class KernelParams(MachineParams):
    """A multiplication on the card in the training image gives what the CPU gives."""

    max_error: float = 1e-3
    image: str = ""
    timeout: Annotated[float, Field(gt=0, le=600)] = 130.0

    def expects(self, settings: Settings) -> str:
        return f"a matmul in {self.image or settings.training.image}, error < {self.max_error:g}"


def no_docker(facts: Facts) -> Cause | None:
    """Why the Docker daemon did not answer, None when it did."""
    if not facts.get("program"):
        return NO_DOCKER
    if not facts.get("server"):
        return because(str(facts.get("text", "")), "the Docker daemon does not answer",
                       "run `docker version` on the host")  # fmt: skip
    return None


def judge_daemon(host: str, facts: Facts, params: DaemonParams, settings: Settings) -> Finding:
    """The daemon answers; a plain engine where Docker Desktop is expected is a warning."""
    expected = params.expects(settings)
    cause = no_docker(facts)
    if cause is not None:
        return failing(host, cause, expected, facts)
    platform = str(facts.get("platform") or facts.get("os") or "Docker Engine")[:80]
    finding = judge(True, expected, f"{facts['server']} ({platform})")
    unit = str(facts.get("unit", ""))[:60]
    if params.unit and unit and unit != "active":
        reason = f"the daemon runs, and systemd says of its service: {unit}"
        return told(host, warn(finding, reason), facts, "sudo systemctl enable --now docker")
    if params.desktop and "docker desktop" not in f"{platform} {facts.get('os', '')}".lower():
        return told(host, warn(finding, f"{platform} is not Docker Desktop"), facts,
                    "waive the box if the plain engine is meant")  # fmt: skip
    return told(host, finding, facts)


def judge_container_gpu(host: str, facts: Facts, expected: str) -> Finding:
    """nvidia-smi inside the container lists a card."""
    text, code = str(facts.get("text", "")), facts.get("code")
    cards = facts.get("cards")
    if code == 0 and isinstance(cards, list) and cards:
        found = ", ".join(f"GPU {card[0]}: {card[1]}" for card in cards if len(card) > 1)
        return told(host, judge(True, expected, found[:200]), facts)
    cause = because(text, f"the container ended with code {code}", "run the command on the host")
    return failing(host, cause, expected, facts)


def judge_kernel(host: str, facts: Facts, params: KernelParams, expected: str) -> Finding:
    """The result of the card is that of the CPU; without one the known cause."""
    result = facts.get("result")
    if not isinstance(result, dict) or not isinstance(result.get("error"), int | float):
        text = str(facts.get("text", ""))
        return failing(
            host, because(text, f"it ended with code {facts.get('code')}"), expected, facts
        )
    found = f"{result.get('name')}, error {result['error']:.1e}, torch {result.get('torch')}"
    return told(host, judge(result["error"] < params.max_error, expected, found, found), facts)


async def daemon(ctx: Context, params: DaemonParams) -> Finding:
    host = ctx.host(params.host)
    facts = await ctx.fact(host, "docker", timeout=25, limit=8, unit=True)
    return judge_daemon(host, facts, params, ctx.ws.settings)


async def container_gpu(ctx: Context, params: ContainerGpuParams) -> Finding:
    host, expected = ctx.host(params.host), params.expects(ctx.ws.settings)
    daemon = await ctx.fact(host, "docker", timeout=25, limit=8, unit=True)
    cause = no_docker(daemon)
    if cause is not None:
        return parent(host, "Docker", cause, expected, daemon)
    seconds = max(5.0, params.timeout - 10)
    facts = await ctx.fact(host, "docker_gpu", timeout=seconds, image=params.image)
    return judge_container_gpu(host, facts, expected)


async def kernel(ctx: Context, params: KernelParams) -> Finding:
    host, expected = ctx.host(params.host), params.expects(ctx.ws.settings)
    image = params.image or ctx.ws.settings.training.image
    cause = no_docker(await ctx.fact(host, "docker", timeout=25, limit=8, unit=True))
    if cause is not None:
        return parent(host, "Docker", cause, expected, {})
    facts = await ctx.fact(host, "kernel", timeout=max(5.0, params.timeout - 10), image=image)
    return judge_kernel(host, facts, params, expected)


RULES = {
    "docker-daemon": on_hosts(DaemonParams, daemon),
    "docker-gpu": on_hosts(ContainerGpuParams, container_gpu),
    "gpu-kernel": on_hosts(KernelParams, kernel),
}
