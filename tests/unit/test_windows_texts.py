"""Texts of Docker Desktop, WSL and the NVIDIA toolkit, and home folders as Windows writes them."""

from __future__ import annotations

import pytest

from tui.roadmap.causes import explain
from tui.roadmap.redact import redact

PIPE = 'error during connect: Get "http://%2F%2F.%2Fpipe%2Fdocker_engine/v1.45/version": open '


@pytest.mark.parametrize(
    ("text", "cause", "step"),
    [
        (f"{PIPE}//./pipe/docker_engine: Access is denied.", "may not talk to Docker Desktop",
         "docker-users"),
        (f"{PIPE}//./pipe/docker_engine: The system cannot find the file specified.",
         "Docker Desktop is not started", "log in on the tower"),
        ("docker: Error response from daemon: failed to discover GPU vendor from CDI: no known GPU "
         "vendor found", "does not know the NVIDIA container toolkit", "nvidia-ctk"),
        ("nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot "
         "open shared object file: no such file or directory: unknown.", "no driver library", "snap"),
        ("Unable to determine the device handle for GPU 0000:02:00.0: GPU is lost.  Reboot the system",
         "fell off the bus", "reboot"),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries",
         "not built for this host's processor", "uname -m"),
        ("docker: Error response from daemon: manifest for nvidia/cuda:12.1.0-base not found: manifest "
         "unknown: manifest unknown", "no image of that name and tag", "12.1.0-base-ubuntu22.04"),
    ],
)  # fmt: skip
def test_texts_that_look_alike_have_causes_of_their_own(text: str, cause: str, step: str) -> None:
    found = explain(text)
    assert found is not None
    assert cause in found.cause
    assert step in found.next


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/mnt/c/Users/ana/.vscode-server", "~/.vscode-server"),
        ("/c/Users/ana/x", "~/x"),
        ("/var/home/ana/x", "~/x"),
        ("C:/Users/ana/x", "~/x"),
        ("C:\\Users\\ana\\x", "~\\x"),
        ("C:\\Users\\Ana Maria\\x", "~\\x"),
        ('{"DockerRootDir":"C:\\\\Users\\\\ana\\\\x"}', '{"DockerRootDir":"~\\\\x"}'),
        ("\\\\wsl.localhost\\Ubuntu\\home\\ana\\x", "\\\\wsl.localhost\\Ubuntu\\home\\~\\x"),
        ("\\\\wsl$\\Ubuntu\\home\\ana\\x", "\\\\wsl$\\Ubuntu\\home\\~\\x"),
    ],
)
def test_home_folders_lose_their_owner(path: str, kept: str) -> None:
    assert redact(path) == kept
    assert redact(f"could not open {path}: denied") == f"could not open {kept}: denied"
    assert redact(kept) == kept, "twice changes nothing"


@pytest.mark.parametrize(
    "text", ["/mnt/c/Program Files/Docker", "/mnt/data/runs", "C:\\Windows\\System32", "/var/lib/docker"]
)  # fmt: skip
def test_folders_of_nobody_stay(text: str) -> None:
    assert redact(text) == text
