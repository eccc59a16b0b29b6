"""Which hosts end a job at logout, told from logind's own files."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.remote.logout import logout_warning

SHIPPED = "[Login]\n#KillUserProcesses={default}\n#KillOnlyUsers=\n#KillExcludeUsers=root\n"


def host(root: Path, default: str, **drop_ins: str) -> Path:
    (root / "run/systemd/system").mkdir(parents=True)
    (root / "etc/systemd/logind.conf.d").mkdir(parents=True)
    (root / "etc/systemd/logind.conf").write_text(SHIPPED.format(default=default))
    for name, text in drop_ins.items():
        (root / f"etc/systemd/logind.conf.d/{name}.conf").write_text(f"[Login]\n{text}\n")
    return root


@pytest.mark.parametrize(
    ("default", "drop_ins", "warned"),
    [
        ("no", {}, False),
        ("yes", {}, True),
        ("no", {"a": "KillUserProcesses=yes"}, True),
        ("yes", {"a": "KillUserProcesses=no"}, False),
        ("no", {"a": "KillUserProcesses=yes", "b": "KillUserProcesses=no"}, False),
        ("yes", {"a": "KillExcludeUsers=root ana"}, False),
        ("yes", {"a": "KillOnlyUsers=eve"}, False),
        ("yes", {"a": "KillOnlyUsers=ana"}, True),
    ],
)
def test_logind(tmp_path: Path, default: str, drop_ins: dict[str, str], warned: bool) -> None:
    text = logout_warning(str(host(tmp_path, default, **drop_ins)), "ana")
    assert bool(text) == warned
    assert ("add ana to KillExcludeUsers" in text) == warned


def test_root_is_spared_by_default_and_a_host_without_systemd_asks_nobody(tmp_path: Path) -> None:
    root = host(tmp_path / "x", "yes")
    assert logout_warning(str(root), "root") == ""
    assert logout_warning(str(tmp_path), "ana") == ""
