"""What evidence must not hold, what it must, and how long it may get."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from tui.roadmap.evidence import MAX_BYTES, put
from tui.roadmap.evidence import path as evidence_path
from tui.roadmap.redact import redact, redacted

SECRETS = [
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "hf_abcdefghijklmnopqrstuvwxyzABCDEF",
    "https://x.blob.core.windows.net/c/f.jsonl?sv=2024&sig=SECRETSIG%3D&se=2026",
    "Authorization: Bearer abc.def-0123456789",
    "AZURE_OPENAI_API_KEY=0123456789abcdef",
    "ana@tower.example.org",
    "ssh://ana:hunter2@10.0.0.5/x",
    "/home/ana/mlflow/x.db",
    "C:\\Users\\ana\\secret.txt",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAA\n-----END OPENSSH PRIVATE KEY-----",
]
TELLING = re.compile(
    r"ghp_0|hf_a|SECRETSIG|def-0123|0123456789abcdef|\bana\b|hunter2|b3Blb", re.IGNORECASE
)


@pytest.mark.parametrize("secret", SECRETS)
def test_evidence_loses_secrets_before_it_is_hashed(secret: str, tmp_path: Path) -> None:
    assert TELLING.search(secret), "the witness sees this one"
    assert not TELLING.search(redact(f"it said {secret} and ended"))
    name = put(tmp_path / "evidence", {"found": [secret], "deep": {"x": f"a\n{secret}"}})
    stored = evidence_path(tmp_path / "evidence", name).read_text()
    assert not TELLING.search(stored)
    assert "found" in stored


def test_what_is_no_secret_stays() -> None:
    for text in (
        "nvidia/cuda@sha256:0123abcd", "sha256:" + "ab" * 32, "tokens: 123456789", "max_tokens=500",
        "react@18.2.0", "loss 4.6 to 3.3", "basic authentication", "/usr/lib/wsl/lib/nvidia-smi",
        "GPU-7d1f0c3a-1111-2222", "http://127.0.0.1:5000/health",
    ):  # fmt: skip
        assert redact(text) == text
    assert redacted({"password": "x", "tokens": 5, "a": [1, None]}) == {
        "password": "[redacted]", "tokens": 5, "a": [1, None],
    }  # fmt: skip


def test_long_evidence_keeps_head_and_tail(tmp_path: Path) -> None:
    text = "BEGIN" + '"\n' * 400_000 + "THE END"
    name = put(tmp_path / "evidence", {"log": text})
    blob = evidence_path(tmp_path / "evidence", name).read_bytes()
    kept = json.loads(blob)
    assert len(blob) <= MAX_BYTES
    assert (kept["cut"], "BEGIN" in kept["head"], "THE END" in kept["tail"]) == (True, True, True)


@pytest.mark.parametrize("text", ["a-" * 100_000, "a.b+" * 50_000, "eyJ-" * 50_000, "x@" * 50_000])
def test_hostile_texts_take_no_long_time(text: str) -> None:
    began = time.process_time()
    redact(text)
    assert time.process_time() - began < 5, "quadratic would be minutes"
