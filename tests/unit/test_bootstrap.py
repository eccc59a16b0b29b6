"""The command and the payload that bring the agent to a host."""

from __future__ import annotations

import ast
import json
import os
import shlex
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from agents import bootstrap
from agents.errors import LinkLost, NeedsUser
from agents.spec import HostSpec

PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"


def unpack(payload: bytes) -> dict:
    header, _, body = payload.partition(b"\n")
    assert int(header.split()[0]) == len(body)
    return json.loads(zlib.decompress(body))


def test_the_payload_is_small_and_whole():
    payload = bootstrap.build_payload()
    assert len(payload) < 100_000
    content = unpack(payload)
    assert "agents.remote.main" in content["modules"]
    assert "agents.remote.nvml" not in content["modules"]
    assert "hashlib" not in content["modules"]["agents.remote.main"]
    import base64

    gpu = unpack(base64.b64decode(content["extra"]["gpu"]))
    assert "nvmlInit" in gpu["modules"]["pynvml"]


def test_the_stub_passes_every_shells_quoting():
    assert not set(bootstrap.STUB) & set('"$`\\\n!')
    assert len(bootstrap.STUB) < 500
    line = bootstrap.command("abc123")
    assert "\n" not in line
    assert len(line) < 4096
    assert shlex.split(line)[:2] == ["/bin/sh", "-c"]


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"])
def test_every_supported_python_reads_the_sources(version):
    programs = sorted(PYENV.glob(f"{version}.*/bin/python"))
    if not programs:
        pytest.skip(f"no Python {version} on this machine")
    code = (
        "import json,sys\n"
        "for name, source in json.load(sys.stdin).items(): compile(source, name, 'exec')\n"
    )
    modules = unpack(bootstrap.build_payload())["modules"]
    subprocess.run([programs[0], "-c", code], input=json.dumps(modules).encode(), check=True)


@pytest.mark.parametrize("path", sorted(bootstrap.REMOTE.glob("*.py")), ids=lambda p: p.stem)
def test_the_host_program_imports_the_standard_library_only(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            allowed = {"nvml": {"pynvml"}, "digest": {"_sha2", "_sha256"}}.get(path.stem, set())
            root = name.split(".")[0]
            assert (
                root in sys.stdlib_module_names
                or name.startswith("agents.remote")
                or name in allowed
            )


def test_a_damaged_payload_never_runs():
    payload = bytearray(bootstrap.build_payload())
    payload[200] ^= 1
    done = subprocess.run(
        ["/bin/sh", "-c", bootstrap.command("n", sys.executable)],
        input=bytes(payload),
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == bootstrap.EXIT_DAMAGED
    assert isinstance(bootstrap.explain_exit("tower", done.returncode, done.stderr), LinkLost)


def test_an_interpreter_with_a_blank_or_a_tilde_in_its_path(tmp_path):
    folder = tmp_path / "my env"
    folder.mkdir()
    (folder / "python").symlink_to(sys.executable)
    for python in (str(folder / "python"), "~/my env/python"):
        done = subprocess.run(
            ["/bin/sh", "-c", bootstrap.command("nonce", python)],
            input=bootstrap.build_payload(),
            capture_output=True,
            timeout=20,
            check=True,
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        )
        assert done.stdout.startswith(bootstrap.sentinel("nonce"))


@pytest.mark.parametrize(
    ("status", "stderr", "kind", "text"),
    [
        (97, b"", NeedsUser, "has no Python"),
        (98, b"python3 is Python 3.6.9\n", NeedsUser, "python3 is Python 3.6.9"),
        (1, b"This account is not available.\n", LinkLost, "This account is not available."),
        (None, b"", LinkLost, "without an exit code"),
        (
            127,
            b"\x1b[31msh: not found\x1b[0m\n",
            LinkLost,
            "code 127 before it answered: sh: not found",
        ),
    ],
)
def test_every_early_end_has_its_sentence(status, stderr, kind, text):
    error = bootstrap.explain_exit("tower", status, stderr)
    assert isinstance(error, kind)
    assert text in str(error)
    assert "tower" in str(error)


def test_host_output_loses_its_control_sequences():
    raw = b"\x1b]0;title\x07\x1b[2Jhello\x00\r\n\xffworld\x9b31m"
    assert bootstrap.printable(raw).replace("\ufffd", "") == "hello\nworld31m"


@pytest.mark.parametrize(
    ("ssh", "expected"),
    [
        ("", (None, "tower", None)),
        ("rig", (None, "rig", None)),
        ("ana@rig", ("ana", "rig", None)),
        ("ana@10.0.0.5:2222", ("ana", "10.0.0.5", 2222)),
        ("ana@[fe80::1]:2222", ("ana", "fe80::1", 2222)),
        ("[::1]", (None, "::1", None)),
        ("fe80::1", (None, "fe80::1", None)),
    ],
)
def test_targets(ssh, expected):
    assert HostSpec("tower", ssh=ssh).target() == expected


def test_overrides_win_over_the_target():
    spec = HostSpec("tower", ssh="ana@rig:22", user="bob", port=2200)
    assert spec.target() == ("bob", "rig", 2200)


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", "a b", "x" * 65])
def test_host_names_that_could_leave_a_folder_are_refused(name):
    with pytest.raises(ValueError, match="host name"):
        HostSpec(name)
