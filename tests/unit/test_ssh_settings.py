"""ssh_config as `ssh -G` understands it, through the copy that asyncssh is given."""

import getpass
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from asyncssh.config import SSHClientConfig

from agents.ssh_settings import SshSettings, seconds, split

TAIL = "\nHost *\n  User last\n"
WAYS = {
    "comment behind a value": "Host rig\n HostName h.example # my box\n",
    "comment behind a pattern": "Host rig # the tower\n HostName h.example\n",
    "comment sign inside quotes": 'Host rig\n IdentityFile "~/.ssh/a # b"\n',
    "comment sign inside a word": "Host rig\n IdentityFile ~/.ssh/a#b\n",
    "equals sign": "Host=rig\n HostName=h.example\n Port = 2200\n User= ann\n",
    "quoted values": 'Host "rig"\n HostName "h.example"\n User "ann"\n',
    "minutes": "Host rig\n ConnectTimeout 2m\n ServerAliveInterval 1h30m\n",
    "seconds": "Host rig\n ConnectTimeout 15s\n",
    "tokens": "Host rig\n HostName h.example\n User ann\n Port 7\n IdentityFile ~/.ssh/%h_%p_%r_%u\n",
    "home token": "Host rig\n IdentityFile %d/.ssh/key\n",
    "host token in the name": "Host rig\n HostName %h.lab.example\n",
    "wildcards": "Host r?g\n Port 2201\nHost *ig\n HostName h.example\n",
    "negation": "Host * !rig\n Port 9\nHost !other r*\n Port 2202\n",
    "several patterns": "Host a b rig\n Port 2203\n",
    "first value wins": "Host rig\n Port 1\nHost *\n Port 2\n",
    "match host": "Match host rig\n Port 2204\n",
    "match user": "Host rig\n User ann\nMatch user ann\n Port 2205\n",
    "match all": "Match all\n Port 2206\n",
    "match originalhost": "Host rig\n HostName h.example\nMatch originalhost rig\n Port 2207\n",
    "include of one file": "Include one.conf\n",
    "include in sorted order": "Include conf.d/*.conf\n",
    "nested include": "Include nest.conf\n",
    "include inside a block": "Host other\n Include one.conf\nHost rig\n Port 2208\n",
    "include of nothing": "Include none/*.conf\nHost rig\n Port 2209\n",
    "proxy jump": "Host rig\n ProxyJump ann@jump:2210\n",
    "proxy command": "Host rig\n ProxyCommand=nc -x p:1 %h %p\n",
    "identities only": "Host rig\n IdentitiesOnly yes\n IdentityFile ~/.ssh/none\n",
    "host key alias": "Host rig\n HostKeyAlias tower # one key\n",
    "known hosts": "Host rig\n UserKnownHostsFile ~/.ssh/one %d/.ssh/two\n",
    "no canonical name": "CanonicalizeHostname no\nHost rig\n Port 2211\n",
    "port of a service": "Host rig\n Port ssh\n",
    "keyword in capitals": "HOST rig\n\tHOSTNAME\th.example\r\n",
}  # fmt: skip
SAME = {
    "hostname": "Hostname", "port": "Port", "user": "User", "identityfile": "IdentityFile",
    "connecttimeout": "ConnectTimeout", "serveraliveinterval": "ServerAliveInterval",
    "proxyjump": "ProxyJump", "proxycommand": "ProxyCommand", "hostkeyalias": "HostKeyAlias",
    "identitiesonly": "IdentitiesOnly", "userknownhostsfile": "UserKnownHostsFile",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".ssh"
    (folder / "conf.d").mkdir(parents=True, mode=0o700)
    (folder / "one.conf").write_text("Host rig\n HostName one.example # it\n")
    (folder / "nest.conf").write_text("Include one.conf\nHost rig\n Port 2212\n")
    for number in (3, 1, 2, 10):
        (folder / f"conf.d/{number:02d}.conf").write_text(f"Host rig\n Port {3000 + number}\n")
    return folder


def ours(path: Path) -> dict[str, object]:
    settings = SshSettings(path)
    try:
        user = getpass.getuser()
        config = SSHClientConfig.load(
            None, settings.files, False, False, False, user, (), "rig", ()
        )
    except ValueError as error:
        raise ValueError(settings.named(str(error))) from error
    finally:
        settings.close()
    return {name: config.get(option) for name, option in SAME.items()}


def plain(value: object) -> list[str]:
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    values = value if isinstance(value, list) else [value]
    return [str(Path(str(v)).expanduser()) if str(v)[:1] == "~" else str(v) for v in values]


@pytest.mark.skipif(shutil.which("ssh") is None, reason="ssh is not installed")
@pytest.mark.parametrize("way", WAYS)
def test_a_file_means_what_ssh_makes_of_it(way, folder):
    path = folder / "config"
    # ssh finds the home folder in the password database, not in HOME.
    path.write_text(WAYS[way].replace("%d", str(folder.parent)) + TAIL)
    for included in folder.rglob("*.conf"):
        included.chmod(0o600)
    theirs_file = folder / "theirs"
    text = (
        path.read_text().replace("Include ", f"Include {folder}/").replace("~", str(folder.parent))
    )
    theirs_file.write_text(text)
    (folder / "nest.conf").write_text(f"Include {folder}/one.conf\nHost rig\n Port 2212\n")
    run = subprocess.run(
        ["ssh", "-G", "-F", str(theirs_file), "rig"], capture_output=True, text=True, check=True
    )
    theirs: dict[str, list[str]] = {}
    for line in run.stdout.splitlines():
        name, _, value = line.partition(" ")
        theirs.setdefault(name, []).append(value)
    found = ours(path)
    assert any(value is not None for value in found.values())
    for name, value in found.items():
        if value is None:
            continue  # ssh prints its default
        expected = theirs[name]
        if name == "userknownhostsfile":
            expected = expected[0].split()
        if name in ("identityfile", "proxycommand"):  # ssh -G prints these with their tokens
            for token, option in (("%h", "hostname"), ("%p", "port"), ("%r", "user")):
                expected = [v.replace(token, theirs[option][0]) for v in expected]
            expected = [v.replace("%u", getpass.getuser()) for v in expected]
        assert plain(value) == expected, name


def test_a_token_that_is_not_known_costs_its_entry_only(folder):
    path = folder / "config"
    path.write_text(
        "Host rig\n IdentityFile ~/%j\n IdentityFile ~/%h\n Port 5\n RequestTTY force\n"
    )
    found = ours(path)
    assert (found["identityfile"], found["port"]) == (["~/rig"], 5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Host rig\n\n Port many\n", "config line 3: 'many' is no port"),
        ('Host rig\n User "ann\n', "config line 2: a quote is not closed"),
        ("Host rig\n ConnectTimeout soon\n", "config line 2: 'soon' is no time"),
        ("Host rig\n IdentitiesOnly perhaps\n", "config line 2: Invalid IdentitiesOnly"),
        ("\nInclude bad\n", "bad line 2: Missing Hostname value"),
        ("Include config\n", "nested more than 16 deep"),
    ],
)
def test_what_stays_impossible_names_the_users_file_and_line(text, said, folder):
    (folder / "bad").write_text("Host rig\nHostName # none\n")
    (folder / "config").write_text(text)
    with pytest.raises(ValueError, match="^" + str(folder)) as caught:
        ours(folder / "config")
    assert said in str(caught.value)
    assert "gonogo-ssh" not in str(caught.value)


def test_the_copy_is_private_and_removed(folder):
    (folder / "config").write_text("Include one.conf\n")
    settings = SshSettings(folder / "config")
    copies = list(Path(settings.files[0]).parent.iterdir())
    assert len(copies) == 2
    assert {stat.S_IMODE(copy.stat().st_mode) for copy in copies} == {0o600}
    settings.close()
    assert not copies[0].parent.exists()
    none = SshSettings(folder / "nowhere")
    none.close()
    assert none.files == []


def test_words_and_times():
    assert split(r'a\ b "c # d" e\"f # rest') == ["a b", "c # d", 'e"f']
    assert [seconds(t) for t in ("90", "2m", "1h30m", "1W")] == [90, 120, 5400, 604800]
