"""Copies of what is no file, or no longer the same: one sentence, no wait, nothing under the final name."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest

from agents import RemoteError
from agents.transfer import PIECE

SECONDS = 20
KINDS = ["a pipe", "a socket", "a folder", "a device"]


def make(kind: str, place: Path) -> Path:
    """Something of this kind at `place`; a device is a private node of the null device."""
    if kind == "a pipe":
        os.mkfifo(place)
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(place))
    elif kind == "a folder":
        place.mkdir()
    else:
        try:
            os.mknod(place, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        except OSError as problem:
            pytest.skip(f"no device node here: {problem}")
    return place


def content(size: int, word: bytes = b"gonogo") -> bytes:
    return (word * (size // len(word) + 1))[:size]


@pytest.mark.parametrize("kind", KINDS)
async def test_only_a_file_is_sent(kind, sshd, make_link, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    link = await make_link().live()
    local = make(kind, Path("odd"))
    with pytest.raises(OSError, match=f"is {kind}, not a file"):
        await asyncio.wait_for(link.put_file(local, "~/x"), SECONDS)
    assert list(sshd.home.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
async def test_only_a_file_is_replaced_on_the_host(kind, sshd, make_link, tmp_path, monkeypatch):
    monkeypatch.chdir(sshd.home)
    link = await make_link().live()
    local = tmp_path / "data"
    local.write_bytes(b"abc")
    before = os.lstat(make(kind, Path("odd")))
    with pytest.raises(RemoteError, match=f"is {kind}, not a file"):
        await asyncio.wait_for(link.put_file(local, "~/odd"), SECONDS)
    assert os.lstat("odd") == before
    assert os.listdir() == ["odd"]  # noqa: PTH208
    # The part of an earlier try may be such a thing too.
    key = "ba7816bf8f01cfea"
    part = make(kind, Path(f".data.{key}.part"))
    with pytest.raises(RemoteError, match="data"):
        await asyncio.wait_for(link.put_file(local, "~/data"), SECONDS)
    part.rmdir() if kind == "a folder" else part.unlink()
    await asyncio.wait_for(link.put_file(local, "~/data"), SECONDS)
    assert (sshd.home / "data").read_bytes() == b"abc"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "a folder"])
async def test_only_files_are_fetched(kind, sshd, make_link, tmp_path, monkeypatch):
    monkeypatch.chdir(sshd.home)
    link = await make_link().live()
    make(kind, Path("odd"))
    with pytest.raises(RemoteError, match=f"is {kind}, not a file"):
        await asyncio.wait_for(link.fetch("~/odd", tmp_path / "x"), SECONDS)
    folder = sshd.home / "folder"
    folder.mkdir()
    (folder / "real").write_bytes(b"1")
    make(kind, Path("folder/odd"))
    got = await asyncio.wait_for(link.fetch("~/folder", tmp_path / "y"), SECONDS)
    assert (list(got.sums), got.skipped) == (["real"], 1)
    # Here, in place of the target or of the part of an earlier try.
    monkeypatch.chdir(tmp_path)
    make(kind, Path("z"))
    make(kind, Path(".w.part"))
    real = str(folder / "real")
    with pytest.raises(OSError, match=f"is {kind}, not a file"):
        await asyncio.wait_for(link.fetch(real, tmp_path / "z", replace=True), SECONDS)
    await asyncio.wait_for(link.fetch(real, tmp_path / "w"), SECONDS)
    assert (tmp_path / "w").read_bytes() == b"1"


async def test_a_part_that_leads_elsewhere_is_not_followed(sshd, make_link, tmp_path):
    link = await make_link().live()
    (sshd.home / "data").write_bytes(b"longer than it")
    precious = tmp_path / "precious"
    precious.write_bytes(b"longer")
    (tmp_path / ".x.part").symlink_to(precious)
    await link.fetch("~/data", tmp_path / "x")
    assert precious.read_bytes() == b"longer"
    assert (tmp_path / "x").read_bytes() == b"longer than it"
    assert not (tmp_path / "x").is_symlink()


async def test_a_folder_is_not_replaced_by_a_file_nor_a_file_by_a_folder(sshd, make_link, tmp_path):
    link = await make_link().live()
    (sshd.home / "file").write_bytes(b"1")
    (sshd.home / "folder").mkdir()
    (sshd.home / "folder/one").write_bytes(b"1")
    here = tmp_path / "here"
    here.mkdir()
    (here / "mine").write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="is a folder here and a file on the host"):
        await link.fetch("~/file", here, replace=True)
    with pytest.raises(FileExistsError, match="is no folder here and one on the host"):
        await link.fetch("~/folder", here / "mine", replace=True)
    assert (here / "mine").read_bytes() == b"precious"
    await link.fetch("~/file", here / "mine", replace=True)
    assert (here / "mine").read_bytes() == b"1"


SIZE = 12 * PIECE


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shrink(path: Path) -> None:
    os.truncate(path, PIECE)


def rewrite(path: Path) -> None:
    path.write_bytes(content(SIZE, b"other"))


def swap(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(content(SIZE, b"other"))
    other.replace(path)


@pytest.mark.parametrize("change", [grow, shrink, rewrite, swap])
async def test_a_file_that_changes_while_it_is_sent(change, sshd, make_link, tmp_path):
    link = await make_link().live()
    local = tmp_path / "data"
    local.write_bytes(content(SIZE))
    done: list[int] = []

    def progress(sent: int, size: int) -> None:
        assert size == SIZE
        if sent > 2 * PIECE and not done:
            done.append(sent)
            change(local)

    target = sshd.home / "data"
    sending = asyncio.wait_for(link.put_file(local, "~/data", progress), SECONDS)
    if change is swap:  # the opened file is still what it was
        await sending
        assert target.read_bytes() == content(SIZE)
    else:
        with pytest.raises(RemoteError, match="changed while it was sent: send it again"):
            await sending
        assert list(sshd.home.iterdir()) == []
    await link.put_file(local, "~/data")
    assert target.read_bytes() == local.read_bytes()


@pytest.mark.parametrize("change", [grow, shrink, rewrite, swap])
async def test_a_file_that_changes_while_it_is_fetched(change, sshd, make_link, tmp_path):
    """Refused at once; the next try begins anew where the beginning is another."""
    link = await make_link().live()
    source = sshd.home / "data"
    source.write_bytes(content(SIZE))
    done: list[int] = []

    def progress(got: int, size: int) -> None:
        if got > 2 * PIECE and not done:
            done.append(got)
            change(source)

    target = tmp_path / "data"
    with pytest.raises(RemoteError, match="changed while it was copied"):
        await asyncio.wait_for(link.fetch("~/data", target, progress), SECONDS)
    assert not target.exists()
    seen: list[int] = []
    await link.fetch("~/data", target, lambda got, size: seen.append(got))
    assert target.read_bytes() == source.read_bytes()
    assert (seen[0] == 0) is (change is not grow)


async def test_a_drop_between_two_contents_mixes_nothing(sshd, proxy, make_link, tmp_path):
    """The file is another one of the same length when the link is back."""
    watched = make_link(proxy.port)
    link = await watched.live()
    local, target = tmp_path / "data", sshd.home / "data"
    local.write_bytes(content(SIZE))
    cut: list[int] = []

    def progress(sent: int, size: int) -> None:
        if sent > SIZE // 2 and not cut:
            cut.append(sent)
            proxy.cut()
            rewrite(local)

    await asyncio.wait_for(link.put_file(local, "~/data", progress, patience=60), 90)
    assert target.read_bytes() == local.read_bytes() == content(SIZE, b"other")
