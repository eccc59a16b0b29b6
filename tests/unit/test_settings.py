"""gonogo.toml: defaults, and errors that name file, line and key."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from tui.settings import (
    Settings,
    SettingsError,
    load_settings,
    parse_settings,
)
from tui.settings_text import settings_text
from tui.toml_lines import key_line


def test_defaults() -> None:
    settings = parse_settings("")
    assert settings.budget.total == Decimal(269)
    assert settings.budget.limit == Decimal(300)
    assert settings.gate.min_improvement == 10
    assert settings.auto_tick
    assert settings.hosts == {}
    assert settings.roadmap == "ROADMAP.md"


def test_the_file_of_a_new_workspace_says_the_defaults() -> None:
    settings = parse_settings(settings_text('A "quoted" \\ title'))
    assert settings.title == 'A "quoted" \\ title'
    assert set(settings.hosts) == {"tower", "server"}
    plain = Settings(title=settings.title, hosts=settings.hosts)
    assert settings == plain


def test_every_commented_line_of_it_is_valid() -> None:
    lines = []
    for line in settings_text("x").splitlines():
        bare = line.removeprefix("# ")
        lines.append(bare if "=" in bare.split("#")[0] else line)
    settings = parse_settings("\n".join(lines))
    assert settings.hosts["tower"].identity_file == Path("~/.ssh/id_ed25519").expanduser()
    assert settings.keymap == {"box.tick": "space"}


def test_money_is_decimal() -> None:
    assert parse_settings("[budget]\ntotal = 269.10\n").budget.total == Decimal("269.1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = 3\n", "gonogo.toml:1: title: "),
        (
            "# c\n\n[hosts.tower]\nrole = 'tower'\nport = 70000\n",
            "gonogo.toml:5: hosts.tower.port: ",
        ),
        ("[hosts.tower]\nprot = 22\n", "gonogo.toml:2: hosts.tower.prot: no such setting"),
        ("[hosts]\ntower = { port = 'x' }\n", "gonogo.toml:2: hosts.tower.port: "),
        ('hosts."my tower".port = 0\n', "gonogo.toml:1: hosts.my tower.port: "),
        ("[budget]\ntotal = nan\n", "gonogo.toml:2: budget.total: "),
        ("[budget]\ntotal = -1\n", "gonogo.toml:2: budget.total: "),
        ("[gate]\nalpha = 2\n", "gonogo.toml:2: gate.alpha: "),
        ("title = \n", "gonogo.toml:1: not valid TOML: "),
        ("a = 1\nb = [\n", "gonogo.toml:"),
        ("[tower]\n", "gonogo.toml:1: tower: no such setting"),
    ],
)
def test_errors_name_file_line_and_key(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "gonogo.toml"
    with pytest.raises(SettingsError, match="no such file"):
        load_settings(path)
    path.write_bytes(b"title = '\xff'")
    with pytest.raises(SettingsError, match=r"gonogo\.toml: not UTF-8"):
        load_settings(path)
    with pytest.raises(SettingsError):
        load_settings(tmp_path)


def test_key_lines() -> None:
    text = "a = 1\n[b]\nc = 2\n[b.d]\ne.f = 3\n"
    assert [
        key_line(text, key) for key in (("a",), ("b", "c"), ("b", "d", "e", "f"), ("b", "x"))
    ] == [1, 3, 5, 2]


def test_hosts_by_role() -> None:
    settings = parse_settings("[hosts.big]\nrole='tower'\n[hosts.nas]\nrole='server'\n")
    assert settings.host_of_role("tower") == "big"
    assert settings.host_of_role("server") == "nas"
    assert settings.host_of_role("laptop") == ""


def test_a_password_in_the_tracking_address_is_refused() -> None:
    """It would stand in an argv that every user of the host can read."""
    with pytest.raises(
        SettingsError, match=r"gonogo.toml:2: training\.tracking_uri.*MLFLOW_TRACKING"
    ):
        parse_settings('[training]\ntracking_uri = "http://ana:s3cret@server:5000/x"\n')
    parse_settings('[training]\ntracking_uri = "http://server:5000/a@b"\n')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[hosts.t]\nbackend = 'podman'\n", "2: hosts.t.backend: must be 'process' or 'docker'"),
        ("[hosts.t]\nprot = 1\n", "2: hosts.t.prot: no such setting; is port meant?"),
        ("[hosts]\nt = 3\n", "2: hosts.t: "),
        ("hosts = 3\n", "1: hosts: "),
        ("[keymap]\na = 'x'\nb = 3\n", "3: keymap.b: "),
        ("[training]\nseeds = [1, 'x']\n", "2: training.seeds.1: "),
        ("[training]\nimage = 'a b'\n", "2: training.image: "),
        ('[training]\nimage = "ab\\n"\n', "2: training.image: "),
        ("[training]\nvram_gb = inf\n", "2: training.vram_gb: must be a finite number"),
        ("[budget]\ntotal = 'much'\n", "2: budget.total: must be an amount of money"),
        ("[budget]\ntotal = true\n", "2: budget.total: must be an amount of money"),
        ("[budget]\nlimit = 'NaN'\n", "2: budget.limit: must be an amount of 0 or more"),
        ("[budget]\nprice_per_kwh = -0.1\n", "2: budget.price_per_kwh: must be"),
        ("roadmap = 'state.jsonl'\n", "1: roadmap: state.jsonl has another use"),
        ("roadmap = 3\n", "1: roadmap: must be a text"),
        ("[hosts.t]\nidentity_file = 3\n", "2: hosts.t.identity_file: must be a path"),
        (
            "[hosts.t]\nidentity_file = '~nobody-at-all/k'\n",
            "2: hosts.t.identity_file: names a user",
        ),
        ("title = 2020-01-01\n", "1: title: "),
        ('gate."a`b" = 1\n', "1: gate.a`b: no such setting"),
    ],
)
def test_what_is_wrong_is_said_by_its_full_name(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(text)
    assert str(caught.value).startswith(f"gonogo.toml:{message}")


def test_a_start_does_without_pydantic() -> None:
    """Its import and models would take a fifth of the time to the first frame."""
    code = (
        "import sys, tui.app; print('pydantic' in sys.modules, 'importlib.metadata' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False", "False"]


def test_a_byte_order_mark_is_passed_over_and_an_endless_number_is_said() -> None:
    assert parse_settings("\ufeff[budget]\ntotal = 5\n").budget.total == Decimal(5)
    with pytest.raises(SettingsError, match="a number in it is too long"):
        parse_settings(f"[budget]\ntotal = {'9' * 5000}\n")
