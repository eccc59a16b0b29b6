"""Files go on where a drop left them, are checked, and appear under their name only when whole."""

from __future__ import annotations

import asyncio
import hashlib
import os

import pytest

from agents import LinkDown, RemoteError
from agents.fetch import parse_listing, part_of
from agents.transfer import PIECE, sha256_of

MEGA = 1 << 20


def content(size, seed=b"seed"):
    return hashlib.shake_128(seed).digest(size)


def cutter(proxy, after, times=1):
    """A progress callback that cuts the link the first `times` times `after` bytes are passed."""
    cuts = []

    def progress(done, size):
        progress.seen.append(done)
        if done >= after * (len(cuts) + 1) and len(cuts) < times:
            cuts.append(done)
            proxy.cut()

    progress.seen = []
    progress.cuts = cuts
    return progress


async def test_an_upload_goes_on_after_drops(sshd, proxy, make_link, tmp_path):
    link = await make_link(proxy.port).live()
    local = tmp_path / "data"
    local.write_bytes(content(12 * MEGA))
    progress = cutter(proxy, 4 * MEGA, 2)
    await link.put_file(local, "~/in/data", progress, patience=60)
    assert len(progress.cuts) == 2
    target = sshd.home / "in/data"
    assert target.read_bytes() == local.read_bytes()
    assert [p.name for p in target.parent.iterdir()] == ["data"]
    # What arrived was not sent again: after each drop the host's count goes on, not from 0.
    starts = [b for a, b in zip(progress.seen, progress.seen[1:], strict=False) if b < a]
    assert all(start > 0 for start in starts)


async def test_an_upload_resumes_only_what_is_the_same(sshd, make_link, tmp_path):
    link = await make_link().live()
    local = tmp_path / "data"
    local.write_bytes(content(2 * MEGA))
    key = sha256_of(local)[:16]
    (sshd.home / f".data.{key}.part").write_bytes(content(MEGA, b"other"))
    (sshd.home / ".data.0123456789abcdef.part").write_bytes(b"another content")
    seen = []
    await link.put_file(local, "~/data", lambda done, size: seen.append(done))
    assert seen[0] == 0
    assert (sshd.home / "data").read_bytes() == local.read_bytes()
    (sshd.home / f".data.{key}.part").write_bytes(local.read_bytes()[:MEGA])
    seen.clear()
    await link.put_file(local, "~/data", lambda done, size: seen.append(done))
    assert seen[0] == MEGA


async def test_two_uploads_of_one_file_do_not_mix(sshd, make_link, tmp_path):
    one, two = await make_link().live(), await make_link(name="again").live()
    request = {"path": "~/data", "size": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}
    begun = await one.call("put_begin", **request)
    with pytest.raises(RemoteError) as caught:
        await two.call("put_begin", **request)
    assert caught.value.code == "busy"
    await one.call("put_abort", upload=begun["upload"])
    local = tmp_path / "data"
    local.write_bytes(b"abc")
    await two.put_file(local, "~/data")


async def test_a_file_that_changes_while_it_is_sent_is_refused(sshd, make_link, tmp_path):
    link = await make_link().live()
    local = tmp_path / "data"
    local.write_bytes(content(3 * MEGA))

    def change(done, size):
        if done == 0:
            local.write_bytes(content(3 * MEGA, b"new"))

    with pytest.raises(RemoteError) as caught:
        await link.put_file(local, "~/data", change)
    assert caught.value.code == "changed"
    assert list(sshd.home.iterdir()) == []


async def test_an_interrupted_upload_leaves_its_part_for_later(sshd, make_link, tmp_path):
    link = await make_link().live()
    local = tmp_path / "data"
    local.write_bytes(content(8 * MEGA))
    half = asyncio.Event()
    task = asyncio.create_task(
        link.put_file(local, "~/data", lambda done, size: half.set() if done > 4 * MEGA else None)
    )
    await half.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not (sshd.home / "data").exists()
    seen = []
    await link.put_file(local, "~/data", lambda done, size: seen.append(done))
    assert seen[0] > 0
    assert (sshd.home / "data").read_bytes() == local.read_bytes()


@pytest.fixture
def adapter(sshd):
    """A folder as a training leaves it, on the host; returns the files it must become."""
    folder = sshd.home / ".gonogo/jobs/x/adapter"
    folder.mkdir(parents=True)
    files = {
        "adapter_model.safetensors": content(9 * MEGA + 17),
        "adapter_config.json": b"{}\n",
        "empty": b"",
        "tokenizer/vocab.txt": content(PIECE, b"v"),
    }
    for name, data in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    (folder / "link").symlink_to("/etc/passwd")
    return folder, files


def found(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


async def test_fetch_a_folder(adapter, make_link, tmp_path):
    link = await make_link().live()
    _, files = adapter
    seen = []
    target = tmp_path / "models/adapter"
    result = await link.fetch(
        "~/.gonogo/jobs/x/adapter", target, lambda done, size: seen.append((done, size))
    )
    assert found(target) == files
    assert result.sums == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    assert result.skipped == 1
    assert seen[-1] == (result.size, sum(len(data) for data in files.values()))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert [p.name for p in target.parent.iterdir()] == ["adapter"]
    with pytest.raises(FileExistsError):
        await link.fetch("~/.gonogo/jobs/x/adapter", target)
    (target / "mine").write_text("x")
    await link.fetch("~/.gonogo/jobs/x/adapter", target, replace=True)
    assert found(target) == files


async def test_fetch_goes_on_after_drops_and_after_the_app_was_restarted(
    adapter, proxy, make_link, tmp_path
):
    _, files = adapter
    target = tmp_path / "adapter"
    first = make_link(proxy.port)
    link = await first.live()
    with pytest.raises(LinkDown):
        await link.fetch("~/.gonogo/jobs/x/adapter", target, cutter(proxy, 2 * MEGA))
    assert not target.exists()
    had = sum(p.stat().st_size for p in part_of(target).rglob("*") if p.is_file())
    assert had >= 2 * MEGA
    await first.link.close()
    link = await make_link(proxy.port, name="next").live()
    progress = cutter(proxy, 4 * MEGA, 2)
    await link.fetch("~/.gonogo/jobs/x/adapter", target, progress, patience=60)
    assert len(progress.cuts) == 2
    assert min(progress.seen) > 0
    assert found(target) == files


async def test_a_damaged_part_is_not_resumed(adapter, make_link, tmp_path):
    folder, files = adapter
    link = await make_link().live()
    target = tmp_path / "one"
    part_of(target).write_bytes(b"x" * MEGA)
    await link.fetch(f"{folder}/adapter_model.safetensors", target)
    assert target.read_bytes() == files["adapter_model.safetensors"]


async def test_a_file_that_changes_while_it_is_fetched_is_refused(adapter, make_link, tmp_path):
    folder, _ = adapter
    link = await make_link().live()

    def change(done, size):
        if 0 < done < 2 * MEGA:
            os.utime(folder / "adapter_model.safetensors", ns=(1, 1))

    with pytest.raises(RemoteError) as caught:
        await link.fetch(f"{folder}/adapter_model.safetensors", tmp_path / "one", change)
    assert caught.value.code == "changed"
    assert not (tmp_path / "one").exists()


@pytest.mark.parametrize(
    ("path", "code"),
    [("~/nothing", "unreadable"), ("relative", "invalid"), ("/dev/zero", "unreadable")],
)
async def test_fetch_refuses_what_it_cannot_copy(path, code, make_link, tmp_path):
    link = await make_link().live()
    with pytest.raises(RemoteError) as caught:
        await link.fetch(path, tmp_path / "x")
    assert caught.value.code == code


async def test_the_host_hands_out_nothing_beside_the_folder(adapter, make_link):
    link = await make_link().live()
    folder, _ = adapter
    (folder.parent / "secret").write_text("s")
    names = {"../secret": "invalid", "/etc/passwd": "invalid", ".": "invalid",
             "tokenizer/../../secret": "invalid", "link": "unreadable"}  # fmt: skip
    for name, code in names.items():
        with pytest.raises(RemoteError) as caught:
            await link.call("get_data", path=str(folder), name=name, offset=0, size=0, mtime_ns=0)
        assert caught.value.code == code


@pytest.mark.parametrize(
    "files",
    [
        [["../evil", 1, 1, 0o600]],
        [["/etc/cron.d/evil", 1, 1, 0o600]],
        [["a/./b", 1, 1, 0o600]],
        [["a\nb", 1, 1, 0o600]],
        [["a", -1, 1, 0o600]],
        [["a", 1, 1, 0o600], ["a", 1, 1, 0o600]],
        [["a", 2**50, 1, 0o600]],
        [["", 1, 1, 0o600]],
        ["a"],
        [],
    ],
)
def test_a_listing_that_could_do_harm_is_refused(files):
    with pytest.raises(RemoteError):
        parse_listing({"kind": "folder", "files": files})
    assert parse_listing({"kind": "folder", "files": [["a/b", 1, 1, 0o777]]})[0]
