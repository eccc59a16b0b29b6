"""`gonogo.toml`: hosts, budget, gate, model and keys of one workspace, checked when it is read.

Every error names file, line and key. Money is decimal, paths may start with `~`.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

# Not pydantic, which the rules use: its import and models take a fifth of the time to the first frame.
from msgspec import Meta, Struct, ValidationError, convert
from msgspec.structs import fields

from tui.files import MIB, read_file
from tui.settings_values import FILE_NAME, Money, PlanFile, TrackingAddress
from tui.toml_lines import key_line

MAX_BYTES = MIB


class SettingsError(ValueError):
    """A settings file that cannot be used; the text is one sentence with file, line and key."""

    exit_code = 2


IMAGE_NAME = r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}"
ImageName = Annotated[str, Meta(pattern=rf"^{IMAGE_NAME}\Z")]
Port = Annotated[int, Meta(ge=1, le=65535)]


class _Strict(Struct, frozen=True, forbid_unknown_fields=True):
    """What the file may say; a name that is not here is an error."""


class HostSettings(_Strict, frozen=True):
    """One host. `ssh` is an alias of ssh_config or user@host; empty means the host's own name.

    `shell` is the kind of login shell, found out when empty; "windows" runs the agent in WSL.
    """

    ssh: str = ""
    port: Port | None = None
    user: str | None = None
    identity_file: Path | None = None
    known_hosts: Path | None = None
    local: bool = False
    role: Literal["tower", "server", "laptop"] = "tower"
    python: str = "python3"
    shell: Literal["", "posix", "windows"] = ""
    backend: Literal["process", "docker"] = "process"
    simulate_gpu: bool = False


class BudgetSettings(_Strict, frozen=True):
    """Planned total, the binding limit, the goal's older limit; `warn_at` is a share of a row or limit.

    `price_per_kwh` is in `currency`; None means unknown, so that electricity is shown without a cost.
    """

    total: Money = Money(269)
    limit: Money = Money(300)
    goal: Money = Money(1000)
    warn_at: Annotated[float, Meta(gt=0, le=1)] = 0.8
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")] = "USD"
    price_per_kwh: Money | None = None


class GateSettings(_Strict, frozen=True):
    """Thresholds and definitions of the GO/NO-GO gate; all are pinned into each decision."""

    min_improvement: float = 10.0
    alpha: Annotated[float, Meta(gt=0, lt=1)] = 0.05
    metrics: Annotated[int, Meta(ge=1)] = 10
    min_seeds: Annotated[int, Meta(ge=1)] = 3
    primary: str = "functional_correctness"
    improvement: Literal["relative"] = "relative"
    test: Literal["paired-t"] = "paired-t"
    sided: Literal["two-sided"] = "two-sided"


class MlflowSettings(_Strict, frozen=True):
    """Where MLflow listens on its host; local port 0 chooses one that stays the same.

    `bind` beyond 127.0.0.1 lets other machines in (MLflow itself asks nobody for a password);
    `allowed_hosts` are names by which they call the server.
    """

    host: str = "server"
    port: Port = 5000
    local_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    bind: Annotated[str, Meta(pattern=r"^[0-9A-Fa-f.:]+\Z")] = "127.0.0.1"
    allowed_hosts: tuple[Annotated[str, Meta(pattern=r"^[A-Za-z0-9.:*\[\]-]+\Z")], ...] = ()
    store: Literal["sqlite", "postgresql"] = "sqlite"
    image: ImageName = "ghcr.io/mlflow/mlflow:v3.17.0"
    postgres_image: ImageName = "postgres:17"


class NoticeSettings(_Strict, frozen=True):
    """How the end, the failure, a NaN or the standstill of a run is told besides on the screen.

    `desktop` is the escape sequence that the terminal turns into a notification: osc9 (iTerm2 and
    most), osc777 (foot, rxvt), osc99 (kitty). A run stalls without a point for `stall_factor`
    usual steps and at least `stall_seconds`.
    """

    bell: bool = True
    desktop: Literal["off", "osc9", "osc777", "osc99"] = "off"
    stall_factor: Annotated[float, Meta(ge=2)] = 20.0
    stall_seconds: Annotated[float, Meta(ge=60)] = 60.0


class PublicSettings(_Strict, frozen=True):
    """Public services that checks may ask, over https and without any secret; see `rules.public`."""

    enabled: bool = True
    github: str = "https://api.github.com"
    arxiv: str = "https://export.arxiv.org"
    hacker_news: str = "https://hn.algolia.com"
    youtube: str = "https://www.youtube.com"
    scholar: str = "https://api.semanticscholar.org"
    hugging_face: str = "https://huggingface.co"
    pypi: str = "https://pypi.org"
    repository: str = ""
    """owner/name of the project's own repository on GitHub."""


class TrainingSettings(_Strict, frozen=True):
    """Defaults of a training run; paths are paths on the training host.

    `vram_gb` (GiB) and `disk_gb` must be free before a start. What begins with `image` and ends
    with `network` counts where that host's backend is docker: `mounts` are more paths of the host
    that a container sees, "/path" or "/path:rw" (dataset and model come by themselves); `memory`
    is the limit over which a run is out of memory; `network` "" is chosen by the tracking URI.
    """

    host: str = "tower"
    model: str = "meta-llama/Meta-Llama-3-8B"
    python: str = "python3"
    dataset: str = ""
    tracking_uri: TrackingAddress = TrackingAddress("")
    max_steps: Annotated[int, Meta(ge=1)] = 10
    seeds: tuple[int, ...] = (0, 1, 2)
    image: ImageName = "llama3-training"
    mounts: tuple[Annotated[str, Meta(pattern=r"^(/|~/)[^\"\n:]*(:rw)?\Z")], ...] = ()
    memory_gb: Annotated[float, Meta(gt=0)] | None = None
    shm_gb: Annotated[float, Meta(gt=0)] | None = None
    gpus: bool = True
    network: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]*\Z")] = ""
    vram_gb: Annotated[float, Meta(ge=0)] = 7.0
    disk_gb: Annotated[float, Meta(ge=0)] = 5.0


class Settings(_Strict, frozen=True):
    """Everything in `gonogo.toml`. `path` is the file it came from, if any."""

    title: str = "AI training demo"
    roadmap: PlanFile = PlanFile("ROADMAP.md")
    auto_tick: bool = True
    user: str = ""
    theme: str = "dark"
    hosts: dict[str, HostSettings] = {}
    budget: BudgetSettings = BudgetSettings()
    gate: GateSettings = GateSettings()
    mlflow: MlflowSettings = MlflowSettings()
    public: PublicSettings = PublicSettings()
    training: TrainingSettings = TrainingSettings()
    notices: NoticeSettings = NoticeSettings()
    keymap: dict[str, str] = {}

    def host_of_role(self, role: str) -> str:
        """Name of the host that plays `role`: one named like it, else the first of that role, or ""."""
        if role in self.hosts:
            return role
        return next((name for name, host in self.hosts.items() if host.role == role), "")


class _Wrong(ValueError):
    """Arguments: the full name of a key, and what is wrong with its value."""


_AT = re.compile(r" - at `\$\.?([^`]*)`\Z")
_NO_FIELD = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)


def _made(kind: Any, value: object) -> Any:
    """A value of a type that msgspec leaves to its caller. Raises ValueError."""
    if kind is not Path:
        return kind.read(value)
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("must be a path")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ValueError("names a user without a home folder") from None


def _finite(value: object, where: tuple[str, ...] = ()) -> None:
    """TOML knows inf and nan; no setting does."""
    if isinstance(value, float) and not math.isfinite(value):
        raise _Wrong(where, "must be a finite number")
    if isinstance(value, (dict, list)):
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            _finite(part, (*where, str(name)))


def _read(kind: Any, data: object, above: tuple[str, ...] = ()) -> Any:
    """`data` as `kind`; `above` is the name of the table it stands in. Raises _Wrong."""
    try:
        return convert(data, kind, dec_hook=_made)
    except ValidationError as error:
        what = _AT.sub("", str(error))
        place = _AT.search(str(error))
        inner = tuple(re.findall(r"[^.\[\]]+", place[1])) if place else ()
        table = kind
        for part in inner:
            if _is_table(table):
                table = get_type_hints(table).get(part)
        if unknown := _NO_FIELD.match(what):
            if not _is_table(table):
                table, inner = kind, ()
            inner, what = (*inner, unknown[1]), "no such setting"
            names = [field.name for field in fields(table)]
            if near := difflib.get_close_matches(inner[-1], names, n=1):
                what += f"; is {near[0]} meant?"
        elif what.startswith("Invalid enum value"):
            what = f"must be {' or '.join(repr(choice) for choice in get_args(table))}"
        raise _Wrong((*above, *inner), what) from None


def _is_table(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


FREE_NAMES = {"hosts": HostSettings, "keymap": str}
"""Tables whose names the person gives, and what each entry is; msgspec would not say which is wrong."""


def _checked(data: dict[str, Any]) -> Settings:
    _finite(data)
    read = dict(data)
    for table, kind in FREE_NAMES.items():
        if isinstance(entries := data.get(table), dict):
            read[table] = {
                name: _read(kind, entry, (table, name)) for name, entry in entries.items()
            }
    found: Settings = _read(Settings, read)
    return found


def parse_settings(text: str, name: str = FILE_NAME) -> Settings:
    """Checks the text of a settings file. Raises SettingsError naming file, line and key."""
    text = text.removeprefix("\ufeff")
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise SettingsError(f"{name}:1: nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        line = place.group(1) if place else str(text.count("\n") + 1)
        reason = re.sub(r"\s*\(at .*\)$", "", str(error))
        raise SettingsError(f"{name}:{line}: not valid TOML: {reason}") from None
    except ValueError:  # Python reads no whole number of more than 4,300 digits
        raise SettingsError(f"{name}: a number in it is too long") from None
    try:
        return _checked(data)
    except _Wrong as error:
        where, what = error.args
        raise SettingsError(f"{name}:{key_line(text, where)}: {'.'.join(where)}: {what}") from None


def load_settings(path: Path) -> Settings:
    """Reads a settings file. Raises SettingsError with one sentence for every kind of bad file."""
    try:
        text = read_file(path, MAX_BYTES).decode("utf-8")
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path.name}: not UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    return parse_settings(text, path.name)
