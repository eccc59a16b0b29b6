"""The files of a workspace folder: making them, reading the roadmap, noticing unsafe places."""

from __future__ import annotations

import codecs
import contextlib
import re
from pathlib import Path

from tui.files import read_file
from tui.roadmap.document import Document
from tui.roadmap.errors import InvalidValue, NotSaved, WorkspaceError
from tui.roadmap.labels import repair_mojibake
from tui.roadmap.naming import TEMPLATE
from tui.settings import SettingsError, load_settings, parse_settings
from tui.settings_text import settings_text
from tui.settings_values import FILE_NAME

MAX_ROADMAP = 4 * 1024 * 1024
IGNORED = "state.lock\nstate.torn-*\nstate.kept-*\nstate.edit-*\nruns/\nmodels/\n"
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_SYNCED = ("dropbox", "onedrive", "syncthing", "icloud", "google drive")


def decode(blob: bytes, name: str) -> str:
    """UTF-8 text without a byte-order mark; raises InvalidValue with one sentence."""
    if len(blob) > MAX_ROADMAP:
        raise InvalidValue(f"{name} is larger than 4 MiB.")
    try:
        return blob.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidValue(f"{name}: not UTF-8 (byte {error.start}).") from None


def read_text(path: Path) -> str:
    """The roadmap's text, byte for byte."""
    try:
        return decode(read_file(path, MAX_ROADMAP), path.name)
    except OSError as error:
        raise WorkspaceError(f"{path}: {error.strerror}.") from None


def read_import(path: Path) -> tuple[str, str]:
    """`import_text` of a file. Raises InvalidValue, also for what is no file or too large."""
    try:
        return import_text(read_file(path, MAX_ROADMAP), path.name)
    except OSError as error:
        raise InvalidValue(f"{path}: {error.strerror}.") from None


def import_text(blob: bytes, name: str) -> tuple[str, str]:
    """The text of a roadmap to take over, and a sentence where it had to be repaired.

    Raises InvalidValue for what is no text.
    """
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if blob.startswith(mark):
            try:
                text = blob[len(mark) :].decode(encoding)
            except UnicodeDecodeError:
                raise InvalidValue(f"{name} begins like UTF-16 but is not.") from None
            return decode(text.encode("utf-8"), name), "Decoded UTF-16."
    if b"\0" in blob[:8192]:
        raise InvalidValue(f"{name} is no text: it holds NUL bytes.")
    try:
        text = decode(blob, name)
    except InvalidValue:
        if len(blob) > MAX_ROADMAP:
            raise
        try:
            return blob.decode("cp1252"), "Decoded Windows-1252; look at the accents."
        except UnicodeDecodeError:
            raise InvalidValue(f"{name} is neither UTF-8 nor Windows-1252 text.") from None
    repaired = repair_mojibake(text)
    if repaired is None:
        return text, ""
    runs = len(_NOT_ASCII.findall(text))
    return repaired, f"Decoded Mac Roman mojibake ({runs} runs)."


def counts(document: Document) -> str:
    """One sentence on what a plan holds."""
    nested = sum(bool(box.parent) for box in document.boxes.values())
    parts = (
        (document.box_count, "checkbox", "checkboxes"), (nested, "nested", "nested"),
        (document.blank_count, "blank", "blanks"), (len(document.tables), "table", "tables"),
    )  # fmt: skip
    return ", ".join(f"{n} {one if n == 1 else many}" for n, one, many in parts) + "."


def create(root: Path, title: str, roadmap: str | None, settings: str | None) -> None:
    """Writes the files of a new workspace. Raises InvalidValue where one is there already."""
    if (root / FILE_NAME).exists():
        raise InvalidValue(f"{root} is a gonogo workspace already.")
    text = settings if settings is not None else settings_text(title)
    name = parse_settings(text).roadmap
    plan = TEMPLATE.read_bytes() if roadmap is None else roadmap.encode("utf-8")
    files = {
        name: plan,
        ".gitattributes": b"state.jsonl merge=union\n",
        ".gitignore": IGNORED.encode(),
        FILE_NAME: text.encode("utf-8"),  # last: a folder without it is no workspace yet
    }
    try:
        root.mkdir(parents=True, exist_ok=True)
        for file_name, content in files.items():
            target = root / file_name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
        for folder in ("runs", "evidence", "datasets", "exports"):
            (root / folder).mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise NotSaved(f"{root}: {error.strerror}.") from None


_NETWORK = (
    "nfs",
    "cifs",
    "smb",
    "9p",
    "afs",
    "ceph",
    "fuse.sshfs",
    "fuse.rclone",
    "fuse.s3fs",
    "davfs",
)


def _file_system(root: Path, mounts: str) -> str:
    """Type of the file system of the deepest mount point above `root`, "" where it is not known."""
    found = ("", "")
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) > 4 and kind:
            point = Path(fields[4].replace("\\040", " "))
            if root.is_relative_to(point) and len(str(point)) >= len(found[0]):
                found = (str(point), kind[0])
    return found[1]


def warnings(root: Path, mounts: str | None = None) -> list[str]:
    """Sentences about a place where locking cannot be relied on. `mounts` as in /proc/self/mountinfo."""
    place = root.resolve()
    if mounts is None:
        try:
            mounts = Path("/proc/self/mountinfo").read_text("utf-8", "replace")
        except OSError:
            mounts = ""
    kind, low = _file_system(place, mounts), str(place).casefold()
    out = [
        f"This folder is synchronised by {name.title()}: two machines may write state.jsonl at once."
        for name in _SYNCED
        if name in low
    ]
    if kind.startswith(_NETWORK):
        out.append(f"This folder lies on a network file system ({kind}): its locks may not hold.")
    return out


def find(start: Path) -> Path | None:
    """The nearest folder at or above `start` that is a workspace."""
    for place in (start, *start.parents):
        with contextlib.suppress(OSError, ValueError):
            if (place / FILE_NAME).is_file():
                return place
    return None


_MADE = ("evaluation", "datasets", "models")
_SHOWN = frozenset({".md", ".txt", ".csv", ".svg", ".png", ".html", ".pdf"})
"""What is made to be looked at and may be made again; the rest of the pipeline's files is data."""


def what_is(root: Path, path: Path) -> str:
    """What a file is to the workspace at `root`, "" where nothing stands on it. Links are followed."""
    try:
        plan: str = load_settings(root / FILE_NAME).roadmap
    except SettingsError:
        plan = "ROADMAP.md"
    for name, what in (
        (FILE_NAME, "the settings"), (plan, "the plan"), ("bindings.toml", "the bindings"),
        ("state.jsonl", "the state file"), ("state.lock", "the lock"),
    ):  # fmt: skip
        own = root / name
        with contextlib.suppress(OSError, ValueError):
            if own.resolve() == path or (path.exists() and own.exists() and own.samefile(path)):
                return f"{what} of this workspace"
    if not path.is_relative_to(root.resolve()):
        return ""
    inside = path.relative_to(root.resolve())
    if len(inside.parts) == 1 and inside.name.startswith("state."):
        return "kept for the state file of this workspace"
    if inside.parts[0] in ("evidence", "runs"):
        return f"in {inside.parts[0]}/, where only what was found is kept"
    if inside.parts[0] in _MADE and path.exists() and path.suffix.lower() not in _SHOWN:
        return f"what the pipeline made in {inside.parts[0]}/"
    return ""
