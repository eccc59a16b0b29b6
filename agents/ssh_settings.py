"""~/.ssh/config as asyncssh can read it.

asyncssh refuses a whole file for what OpenSSH accepts: a comment behind a value, times such
as `2m`, tokens it does not know, `Keyword=command`. It is given a copy with the same line
numbers, so that what it still refuses is said with the user's own file and line. Rules:
ssh_config(5) of OpenSSH 9.
"""

from __future__ import annotations

import getpass
import glob
import os
import re
import shlex
import socket
import tempfile
from pathlib import Path
from typing import Any

import asyncssh

MAX_DEPTH = 16  # of nested Include, as in OpenSSH's readconf.c
_LINE = re.compile(r'"?([A-Za-z0-9]+)"?(?:\s*=\s*|\s+|$)(.*)', re.DOTALL)
_TIME = re.compile(r"(\d+)([smhdw]?)", re.IGNORECASE)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_TIMES = {"connecttimeout", "serveraliveinterval"}
_COMMANDS = {"proxycommand", "remotecommand", "localcommand", "knownhostscommand"}
_EXPANDED = {"identityfile", "certificatefile", "identityagent", "forwardagent", "proxycommand"}
_KNOWN_HOSTS = {"userknownhostsfile", "globalknownhostsfile"}
_TOKENS = "%CdhiLlnpru"  # those that asyncssh expands
# A terminal or a command of the user's would stand between the program and the host.
_UNWANTED = {"requesttty", "remotecommand"}
_CRITERIA = {"all", "canonical", "final", "host", "originalhost", "user", "localuser", "exec"}
_CRITERIA |= {"tagged"}
_PLAIN_CRITERIA = {"all", "canonical", "final"}


def split(text: str) -> list[str]:
    """The words of a value: quotes and backslashes as OpenSSH reads them, comment cut.

    Raises ValueError for a quote that is not closed.
    """
    words: list[str] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        if text[at] == "#":
            break
        word, quote = "", ""
        while at < len(text) and (quote or not text[at].isspace()):
            char, after = text[at], text[at + 1 : at + 2]
            if (
                char == "\\"
                and (after in ("'", '"', "\\") or (after == " " and not quote))
                and after
            ):
                word += after
                at += 1
            elif char == quote:
                quote = ""
            elif not quote and char in "'\"":
                quote = char
            else:
                word += char
            at += 1
        if quote:
            raise ValueError("a quote is not closed")
        words.append(word)
    return words


def seconds(text: str) -> int:
    """A time of ssh_config such as `90`, `2m` or `1h30m`, in s. Raises ValueError."""
    parts = _TIME.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no time")
    return sum(int(number) * _SECONDS[unit.lower()] for number, unit in parts)


def _expandable(text: str) -> bool:
    tokens = re.findall(r"%(.?)", text)
    names = re.findall(r"\$\{(.*?)\}", text)
    return all(t and t in _TOKENS for t in tokens) and all(n in os.environ for n in names)


def _local_tokens(text: str) -> str:
    """`text` with `~`, the environment and the tokens that no host decides."""
    known = {"d": str(Path.home()), "u": getpass.getuser(), "i": str(os.getuid())}
    text = re.sub(r"%([dui])", lambda m: known[m.group(1)], text)
    text = re.sub(r"\$\{(.*?)\}", lambda m: os.environ.get(m.group(1), m.group(0)), text)
    return os.path.expanduser(text)  # noqa: PTH111 - an unknown ~user stays as it is


def known_hosts_files(options: asyncssh.SSHClientConnectionOptions, alias: str) -> list[Path]:
    """The files that ssh_config names for a host, the first to be written; none if it wants none.

    `alias` is the host as it was asked for. The tokens that a host decides are filled in here.
    """
    configured: Any = options.known_hosts
    if configured is None:
        # `UserKnownHostsFile none`: asyncssh would trust every key, ssh asks about each.
        return []
    if not isinstance(configured, list) or not configured:
        return [Path("~/.ssh/known_hosts").expanduser()]
    known = {"%": "%", "h": options.host, "n": alias, "p": options.port}
    known |= {"r": options.username, "k": options.host_key_alias or alias}
    return [
        Path(re.sub("%([%hnprk])", lambda m: str(known[m[1]]), str(path))).expanduser()
        for path in configured
    ]


class SshSettings:
    """A readable copy of an ssh_config file; `close` removes it.

    `files` is what asyncssh gets: one path, or none where the user has no such file. Raises
    ValueError naming file and line for what no copy can mend. Blocking (small files).
    """

    def __init__(self, path: Path) -> None:
        self._origin: dict[str, Path] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="gonogo-ssh-")
        try:
            self.files = [self._copy(path, 0)] if os.access(path, os.R_OK) else []
        except BaseException:
            self.close()
            raise

    @classmethod
    def of_user(cls) -> SshSettings:
        """The copy of ~/.ssh/config."""
        return cls(Path("~/.ssh/config").expanduser())

    def close(self) -> None:
        """Remove the copy."""
        self._folder.cleanup()

    def named(self, text: str) -> str:
        """`text` of an error with the user's own files in place of the copies."""
        for copy, path in self._origin.items():
            text = text.replace(copy, str(path))
        return text

    def _copy(self, path: Path, depth: int) -> str:
        if depth > MAX_DEPTH:
            raise ValueError(f"{path}: Include is nested more than {MAX_DEPTH} deep")
        # Fixed width: no copy's name is the beginning of another's.
        copy = Path(self._folder.name) / f"{len(self._origin):06d}"
        self._origin[str(copy)] = path
        text = path.read_text("utf-8", errors="surrogateescape")
        lines = []
        for number, line in enumerate(text.split("\n"), 1):
            try:
                lines.append(self._line(line.strip(), depth))
            except ValueError as error:
                if re.search(r" line \d+: |: Include is nested", str(error)):
                    raise
                raise ValueError(f"{path} line {number}: {error}") from error
        descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write("\n".join(lines))
        return str(copy)

    def _line(self, line: str, depth: int) -> str:
        """One line as asyncssh reads it; empty for one that it shall not see."""
        match = _LINE.match(line)
        if line.startswith("#") or match is None:
            return ""
        keyword, rest = match.group(1), match.group(2)
        key = keyword.lower()
        if key in _UNWANTED:
            return ""
        if key in _COMMANDS:
            # The rest of the line belongs to the shell, comment signs and all.
            return f"{keyword} {rest}" if key not in _EXPANDED or _expandable(rest) else ""
        words = split(rest)
        if key == "include":
            return self._include(words, depth)
        if key == "match":
            words = self._criteria(words)
        elif key in _TIMES and words:
            if words[0].lower() == "none":
                return ""
            words[0] = str(seconds(words[0]))
        elif key == "port" and words and not words[0].isdecimal():
            try:
                words[0] = str(socket.getservbyname(words[0], "tcp"))
            except OSError:
                raise ValueError(f"{words[0]!r} is no port") from None
        elif (
            key == "pubkeyauthentication"
            and words
            and words[0].lower() in ("unbound", "host-bound")
        ):
            words[0] = "yes"
        elif key == "identityagent" and words and words[0].startswith(("SSH_AUTH_SOCK", "$")):
            name = words[0].strip("${}")
            if name == "SSH_AUTH_SOCK" or not os.environ.get(name):
                return ""  # the usual agent
            words[0] = os.environ[name]
        elif key in _KNOWN_HOSTS:
            words = [_local_tokens(word) for word in words]
        elif key == "proxyjump" and words:
            words[0] = re.sub(r"(^|,)ssh://([^,/]*)/?", r"\1\2", words[0])
        if key in _EXPANDED and not all(_expandable(word) for word in words):
            return ""
        return " ".join([keyword, *map(shlex.quote, words)])

    def _include(self, patterns: list[str], depth: int) -> str:
        if not patterns:
            raise ValueError("Include names no file")
        copies = []
        for pattern in patterns:
            full = Path("~/.ssh").expanduser() / _local_tokens(pattern)
            # Not Path.glob, whose `*` finds hidden files as well.
            for found in sorted(glob.glob(str(full))):  # noqa: PTH207
                if not Path(found).is_file():
                    continue
                try:
                    copies.append(self._copy(Path(found), depth + 1))
                except OSError as error:
                    raise ValueError(f"{found} cannot be read: {error.strerror}") from error
        return " ".join(["Include", *map(shlex.quote, copies)]) if copies else ""

    @staticmethod
    def _criteria(words: list[str]) -> list[str]:
        """The words of a Match line; one that asyncssh cannot judge matches nothing."""
        at = 0
        while at < len(words):
            name = words[at].lower().lstrip("!")
            if name not in _CRITERIA:
                return ["!all"]
            at += 1 if name in _PLAIN_CRITERIA else 2
        return words
