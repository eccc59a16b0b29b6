"""`gonogo.toml`: hosts, budget, gate, model and keys of one workspace, checked when it is read.

Every error names file, line and key. Money is decimal, paths may start with `~`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tui.files import MIB, read_file

FILE_NAME = "gonogo.toml"
MAX_BYTES = MIB
OWN_FILES = (FILE_NAME, "bindings.toml", "state.jsonl", "state.lock")
OWN_FOLDERS = ("evidence", "runs")


class SettingsError(ValueError):
    """A settings file that cannot be used; the text is one sentence with file, line and key."""

    exit_code = 2


def _expand(value: Any) -> Any:
    return Path(value).expanduser() if isinstance(value, str) and value else value


def _decimal(value: Any) -> Any:
    # A TOML float goes through its shortest text, so that 269.10 is not 269.1000000000000227.
    return Decimal(repr(value)) if isinstance(value, float) else value


UserPath = Annotated[Path, BeforeValidator(_expand)]
Money = Annotated[Decimal, BeforeValidator(_decimal), Field(ge=0, allow_inf_nan=False)]
ImageName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _plan_file(value: str) -> str:
    """The plan is a file of its own: nothing else in the workspace is read or replaced as one."""
    parts = PurePosixPath(value).parts
    if not parts or "\0" in value or parts[-1] == ".." or value.endswith("/"):
        raise ValueError("must name a file")
    if value in OWN_FILES or parts[0] in OWN_FOLDERS or parts[-1] in OWN_FILES:
        raise ValueError(f"{value} has another use; the plan is a file of its own")
    return value


class HostSettings(_Strict):
    """One host. `ssh` is an alias of ssh_config or user@host; empty means the host's own name.

    `shell` is the kind of login shell, found out when empty; "windows" runs the agent in WSL.
    """

    ssh: str = ""
    port: Port | None = None
    user: str | None = None
    identity_file: UserPath | None = None
    known_hosts: UserPath | None = None
    local: bool = False
    role: Literal["tower", "server", "laptop"] = "tower"
    python: str = "python3"
    shell: Literal["", "posix", "windows"] = ""
    backend: Literal["process", "docker"] = "process"
    simulate_gpu: bool = False


class BudgetSettings(_Strict):
    """Planned total, the binding limit, the goal's older limit; `warn_at` is a share of a row or limit.

    `price_per_kwh` is in `currency`; None means unknown, so that electricity is shown without a cost.
    """

    total: Money = Decimal(269)
    limit: Money = Decimal(300)
    goal: Money = Decimal(1000)
    warn_at: Annotated[float, Field(gt=0, le=1)] = 0.8
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    price_per_kwh: Money | None = None


class GateSettings(_Strict):
    """Thresholds and definitions of the GO/NO-GO gate; all are pinned into each decision."""

    min_improvement: Annotated[float, Field(allow_inf_nan=False)] = 10.0
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    metrics: Annotated[int, Field(ge=1)] = 10
    min_seeds: Annotated[int, Field(ge=1)] = 3
    primary: str = "functional_correctness"
    improvement: Literal["relative"] = "relative"
    test: Literal["paired-t"] = "paired-t"
    sided: Literal["two-sided"] = "two-sided"


class MlflowSettings(_Strict):
    """Where MLflow listens on its host; local port 0 chooses one that stays the same.

    `bind` beyond 127.0.0.1 lets other machines in (MLflow itself asks nobody for a password);
    `allowed_hosts` are names by which they call the server.
    """

    host: str = "server"
    port: Port = 5000
    local_port: Annotated[int, Field(ge=0, le=65535)] = 0
    bind: Annotated[str, Field(pattern=r"^[0-9A-Fa-f.:]+$")] = "127.0.0.1"
    allowed_hosts: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9.:*\[\]-]+$")], ...] = ()
    store: Literal["sqlite", "postgresql"] = "sqlite"
    image: ImageName = "ghcr.io/mlflow/mlflow:v3.17.0"
    postgres_image: ImageName = "postgres:17"


class NoticeSettings(_Strict):
    """How the end, the failure, a NaN or the standstill of a run is told besides on the screen.

    `desktop` is the escape sequence that the terminal turns into a notification: osc9 (iTerm2 and
    most), osc777 (foot, rxvt), osc99 (kitty). A run stalls without a point for `stall_factor`
    usual steps and at least `stall_seconds`.
    """

    bell: bool = True
    desktop: Literal["off", "osc9", "osc777", "osc99"] = "off"
    stall_factor: Annotated[float, Field(ge=2, allow_inf_nan=False)] = 20.0
    stall_seconds: Annotated[float, Field(ge=60, allow_inf_nan=False)] = 60.0


class PublicSettings(_Strict):
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


def _no_password(uri: str) -> str:
    """The address goes into a program's arguments, which every user of the host can read."""
    if "@" in uri.partition("://")[2].partition("/")[0]:
        raise ValueError(
            "must hold no password: set MLFLOW_TRACKING_USERNAME and _PASSWORD on the host instead"
        )
    return uri


class TrainingSettings(_Strict):
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
    tracking_uri: Annotated[str, AfterValidator(_no_password)] = ""
    max_steps: Annotated[int, Field(ge=1)] = 10
    seeds: tuple[int, ...] = (0, 1, 2)
    image: ImageName = "llama3-training"
    mounts: tuple[Annotated[str, Field(pattern=r"^(/|~/)[^\"\n:]*(:rw)?$")], ...] = ()
    memory_gb: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    shm_gb: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    gpus: bool = True
    network: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]*$")] = ""
    vram_gb: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 7.0
    disk_gb: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5.0


class Settings(_Strict):
    """Everything in `gonogo.toml`. `path` is the file it came from, if any."""

    title: str = "AI training demo"
    roadmap: Annotated[str, AfterValidator(_plan_file)] = "ROADMAP.md"
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


_TABLE = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]?\]")
_KEY = re.compile(
    r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*="
)
_PART = re.compile(r"[\w-]+|\"([^\"]*)\"|'([^']*)'")


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(m.group(1) or m.group(2) or m.group(0) for m in _PART.finditer(dotted))


def _keys(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """One-based line and full name of every table header and key of a TOML text."""
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header = _TABLE.match(line)
        entry = None if header else _KEY.match(line)
        if header:
            table = _parts(header.group(1))
            yield number, table
        elif entry:
            yield number, table + _parts(entry.group(1))


def table_lines(text: str) -> dict[str, int]:
    """The first line on which each top-level name of a TOML text stands."""
    found: dict[str, int] = {}
    for number, key in _keys(text):
        if key:
            found.setdefault(key[0], number)
    return found


def key_line(text: str, key: tuple[str, ...]) -> int:
    """One-based line where `key` stands in a TOML text, or that of its nearest table; 1 otherwise."""
    best, depth = 1, 0
    for number, here in _keys(text):
        if key[: len(here)] == here and len(here) > depth:
            best, depth = number, len(here)
    return best


def parse_settings(text: str, name: str = FILE_NAME) -> Settings:
    """Checks the text of a settings file. Raises SettingsError naming file, line and key."""
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise SettingsError(f"{name}:1: nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        line = place.group(1) if place else str(text.count("\n") + 1)
        reason = re.sub(r"\s*\(at .*\)$", "", str(error))
        raise SettingsError(f"{name}:{line}: not valid TOML: {reason}") from None
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = tuple(str(part) for part in first["loc"])
        what = first["msg"]
        if first["type"] == "extra_forbidden":
            what = "no such setting"
        line = str(key_line(text, where))
        raise SettingsError(f"{name}:{line}: {'.'.join(where)}: {what}") from None


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
