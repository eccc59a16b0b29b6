"""OpenSSH's own sshd for a test: any address, any login shell, any setting, any namespace."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pytest

from agents import HostSpec


def find_sshd() -> str:
    """The program; skips the test where it cannot be used."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("OpenSSH's sshd is not installed")
    if os.getuid() != 0:
        pytest.skip("sshd with a changed home needs root")
    return program


@dataclass
class OpenSsh:
    """One sshd with a home of its own. `prefix` runs it elsewhere, as in `ip netns exec NAME`.

    `shell` replaces root's login shell: /etc/passwd is bind-mounted in a mount namespace of
    this sshd alone, the machine's own file is not touched.
    """

    folder: Path
    client_key: Path
    address: str = "127.0.0.1"
    port: int = 0
    prefix: Sequence[str] = ()
    shell: str = ""
    settings: str = ""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def spec(self, name: str = "real") -> HostSpec:
        return HostSpec(
            name=name,
            ssh=f"root@{self.address}:{self.port}",
            identity_file=self.client_key,
            known_hosts=self.folder / "known_hosts",
        )

    def start(self) -> OpenSsh:
        """Start and wait until it listens; skips the test when it does not start here."""
        program = find_sshd()
        self.home.mkdir(parents=True, exist_ok=True)
        Path("/run/sshd").mkdir(exist_ok=True)
        if not self.port:
            with socket.socket() as sock:
                sock.bind(("127.0.0.1", 0))
                self.port = sock.getsockname()[1]
        self._configure()
        command = [program, "-D", "-e", "-f", str(self.folder / "config")]
        if self.shell:
            script = 'mount --bind "$0" /etc/passwd && exec "$@"'
            command = ["unshare", "-m", "sh", "-c", script, str(self._passwd()), *command]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*self.prefix, *command], stdout=log, stderr=log)
        self._wait()
        return self

    def _configure(self) -> None:
        key_file = self.folder / "host_key"
        if not key_file.exists():
            asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(key_file))
            key_file.chmod(0o600)
        public = asyncssh.read_private_key(key_file).export_public_key().decode()
        keys = self.folder / "authorized_keys"
        keys.write_bytes(self.client_key.with_name(self.client_key.name + ".pub").read_bytes())
        (self.folder / "config").write_text(
            f"Port {self.port}\nListenAddress {self.address}\nHostKey {key_file}\nStrictModes no\n"
            f"AuthorizedKeysFile {keys}\nPermitRootLogin yes\nUsePAM no\nPidFile none\n"
            f"SetEnv HOME={self.home}\nPasswordAuthentication no\n{self.settings}"
        )
        (self.folder / "known_hosts").write_text(f"[{self.address}]:{self.port} {public}")

    def _passwd(self) -> Path:
        lines = []
        for line in Path("/etc/passwd").read_text().splitlines():
            parts = line.split(":")
            lines.append(":".join([*parts[:-1], self.shell]) if parts[0] == "root" else line)
        path = self.folder / "passwd"
        path.write_text("\n".join(lines) + "\n")
        return path

    def _wait(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection((self.address, self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    pytest.skip(f"sshd does not start here: {self.log[-200:]}")
                time.sleep(0.05)
        pytest.fail(f"sshd does not listen: {self.log[-300:]}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
