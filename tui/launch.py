"""Which programs run on the hosts, as fixed argv lists. No text of the roadmap ever becomes a command."""

from __future__ import annotations

import urllib.parse
import uuid
from collections.abc import Sequence

from agents import Container, JobSpec, Mount
from tui.live import MLFLOW_JOB as MLFLOW_JOB
from tui.settings import Settings

OUT_OF_MEMORY = 3
"""Exit code by which a training says that memory was short."""


IMAGE_PYTHON = "python3"
"""The interpreter's name in a training image."""

TRACKING_PATIENCE = 120
"""Seconds: a container takes its processes along, so a run in one delivers its points before it ends."""


def _python(settings: Settings, host: str) -> str:
    return settings.hosts[host].python


def _in_docker(settings: Settings) -> bool:
    return settings.hosts[settings.training.host].backend == "docker"


def _training_python(settings: Settings) -> str:
    chosen = settings.training.python
    if _in_docker(settings):
        return chosen or IMAGE_PYTHON
    return _python(settings, settings.training.host)


def container(settings: Settings, *reads: str) -> Container | None:
    """The container of a training job that reads these paths of its host; None for a process.

    A path is mounted where the host has it, so that argv, journal and adapter name one place. A
    model that is no path is a name of the hub and comes from the image's cache.
    """
    if not _in_docker(settings):
        return None
    chosen = settings.training
    places = dict.fromkeys(path for path in reads if path.startswith(("/", "~/")))
    mounts = [Mount(path) for path in places]
    for entry in chosen.mounts:
        path = entry.removesuffix(":rw")
        mounts.append(Mount(path, read_only=path == entry))
    near = urllib.parse.urlsplit(tracking_uri(settings)).hostname in ("127.0.0.1", "localhost")
    return Container(
        chosen.image,
        tuple(mounts),
        memory=None if chosen.memory_gb is None else round(chosen.memory_gb * 2**30),
        shm=None if chosen.shm_gb is None else round(chosen.shm_gb * 2**30),
        gpus=chosen.gpus,
        # A tracking server on the host's own loopback is out of reach of a network of its own.
        network=chosen.network or ("host" if near else ""),
    )


def tracking_uri(settings: Settings) -> str:
    """Where a training on the tower reaches MLflow, or an empty string when it is not used."""
    return settings.training.tracking_uri


def tiny_model_job(
    settings: Settings, output: str, op_id: str = "", preset: str = "demo"
) -> JobSpec:
    """Build the tiny base model (no download) in the folder `output` on the training host."""
    python = _python(settings, settings.training.host)
    argv = (python, "-m", "pipeline.training.tiny", "--output", output, "--preset", preset)
    return JobSpec("tiny-base", argv, labels={"kind": "model"}, op_id=op_id or str(uuid.uuid4()))


def train_job(
    settings: Settings,
    *,
    arm: str,
    dataset: str,
    max_steps: int,
    name: str,
    stage: str,
    seed: int = 0,
    model: str = "",
    op_id: str = "",
    options: Sequence[str] = (),
) -> JobSpec:
    """Train one arm on `dataset` (a path on the training host) for `max_steps` optimizer steps.

    `options` are more words for the training program.
    """
    python = _training_python(settings)
    model = model or settings.training.model
    argv = [
        python, "-m", "pipeline.training.train",
        "--model", model,
        "--dataset", dataset,
        "--arm", arm,
        "--seed", str(seed),
        "--max-steps", str(max_steps),
        "--name", name,
        "--stage", stage,
        *options,
    ]  # fmt: skip
    uri = tracking_uri(settings)
    if uri:
        argv += ["--tracking-uri", uri]
        if _in_docker(settings):
            argv += ["--wait-for-tracking", str(TRACKING_PATIENCE)]
    labels = {"kind": "train", "arm": arm, "stage": stage, "seed": str(seed)}
    op_id = op_id or str(uuid.uuid4())
    return JobSpec(
        name,
        tuple(argv),
        labels=labels,
        op_id=op_id,
        oom_codes=(OUT_OF_MEMORY,),
        container=container(settings, dataset, model),
    )


def generate_job(
    settings: Settings,
    *,
    adapter: str,
    prompt: str,
    name: str,
    stage: str,
    model: str = "",
    op_id: str = "",
) -> JobSpec:
    """Generate from a saved adapter on one prompt."""
    python = _training_python(settings)
    model = model or settings.training.model
    argv = (
        python, "-m", "pipeline.evaluation.generate",
        "--model", model,
        "--adapter", adapter,
        "--prompt", prompt,
        "--stage", stage,
    )  # fmt: skip
    return JobSpec(
        name,
        argv,
        labels={"kind": "generate", "stage": stage},
        op_id=op_id or str(uuid.uuid4()),
        container=container(settings, adapter, model),
    )


def mlflow_hosts(settings: Settings) -> str:
    """Host headers that MLflow shall accept besides its own list, or "" for its own list alone.

    It answers 403 to a name that it does not know (DNS rebinding protection) and by itself knows
    this machine and private networks, which the tunnel and most homes are content with.
    """
    if not settings.mlflow.allowed_hosts:
        return ""
    known = ["localhost", "localhost:*", "127.0.0.1", "127.0.0.1:*", "10.*", "192.168.*"]
    known += [f"172.{number}.*" for number in range(16, 32)]
    for name in settings.mlflow.allowed_hosts:
        known += [name] if ":" in name else [name, f"{name}:*"]
    return ",".join(known)


def mlflow_job(settings: Settings, *, folder: str, op_id: str = "", python: str = "") -> JobSpec:
    """The tracking server on its host, with a SQLite store in `folder`.

    `--backend-store-uri sqlite` because MLflow's file store is in maintenance mode and refuses to
    start; one worker because the store has one writer anyway. The server keeps the artifacts itself:
    a path of its disk would mean nothing to a training on another machine.
    """
    host = settings.mlflow.host
    argv = (
        python or _python(settings, host), "-m", "mlflow", "server",
        "--host", settings.mlflow.bind, "--port", str(settings.mlflow.port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination", f"{folder}/artifacts",
    )  # fmt: skip
    env = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        # Eight worker processes of 230 MB for features that a tracking server does not need.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    if settings.mlflow.allowed_hosts:
        env["MLFLOW_SERVER_ALLOWED_HOSTS"] = mlflow_hosts(settings)
    return JobSpec(
        MLFLOW_JOB, argv, env=env, labels={"kind": "service"}, op_id=op_id or str(uuid.uuid4())
    )
