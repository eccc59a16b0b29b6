"""Whether this host ends a user's processes when the login is over: systemd-logind can."""

from __future__ import annotations

import os
import pwd
import re

from agents.remote.host import read_text

FOLDERS = ("/usr/lib/systemd", "/run/systemd", "/etc/systemd")
SETTING = re.compile(r"^(#?)\s*(KillUserProcesses|KillOnlyUsers|KillExcludeUsers)=(.*)$", re.M)
TRUE = ("1", "yes", "true", "on")
ADVICE = (
    "this host ends processes at logout (KillUserProcesses=yes in logind.conf): the job may not outlive "
    "the link; set it to no, add %s to KillExcludeUsers, or use the docker backend"
)


def settings(root: str = "/") -> dict[str, str]:
    """What logind.conf and its drop-ins say; a commented line is the default it was built with."""
    found: dict[str, str] = {}
    given: dict[str, str] = {}
    paths = []
    for folder in FOLDERS:
        paths.append(os.path.join(root, folder.lstrip("/"), "logind.conf"))
    drop_ins: dict[str, str] = {}
    for folder in FOLDERS:
        place = os.path.join(root, folder.lstrip("/"), "logind.conf.d")
        try:
            # A later folder's file of the same name replaces an earlier one's.
            drop_ins.update((n, os.path.join(place, n)) for n in os.listdir(place))
        except OSError:
            continue
    paths += [drop_ins[name] for name in sorted(drop_ins) if name.endswith(".conf")]
    for path in paths:
        for mark, key, value in SETTING.findall(read_text(path)):
            (found if mark else given)[key] = value.strip()
    found.update(given)
    return found


def logout_warning(root: str = "/", user: str = "") -> str:
    """One sentence for a job that is a plain process here, "" where nothing threatens it."""
    if not os.path.isdir(os.path.join(root, "run/systemd/system")):
        return ""
    said = settings(root)
    if said.get("KillUserProcesses", "no").lower() not in TRUE:
        return ""
    if not user:
        try:
            user = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            user = str(os.getuid())
    only = said.get("KillOnlyUsers", "").split()
    excluded = said.get("KillExcludeUsers", "root").split()
    if user in excluded or (only and user not in only):
        return ""
    return ADVICE % user
