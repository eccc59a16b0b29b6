"""Arguments and answers of any size and content, and words of a host that aim at the terminal."""

from __future__ import annotations

import pytest

from agents import JobSpec, RemoteError

ODD = ("a\nb", "'\"`$(id)`\\", "é\udcff", "", "\x1b[2J", "%s")
PRINT = 'printf "%s|" "$@" > "$GONOGO_JOB_DIR/odd"'


async def test_any_argument_arrives_as_it_is(sshd, make_link, wait_until):
    watched = make_link()
    link = await watched.live()
    (sshd.home / "d\udcff").mkdir()
    argv = ("sh", "-c", PRINT, "sh", *ODD, "x" * 100_000)
    job = await link.start_job(JobSpec("odd", argv, cwd="~/d\udcff"))
    await wait_until(lambda: watched.job_states(job.job_id)[-1] == "succeeded")
    found = (sshd.home / ".gonogo/jobs" / job.job_id / "odd").read_bytes()
    wanted = [value.encode("utf-8", "surrogateescape") for value in (*ODD, "x" * 100_000)]
    assert found.split(b"|")[:-1] == wanted


@pytest.mark.parametrize("size", [300_000, 5_000_000])
async def test_arguments_that_are_too_long_are_refused_in_a_sentence(size, make_link):
    link = await make_link().live()
    with pytest.raises(RemoteError, match="too long"):
        await link.start_job(JobSpec("long", ("true", "x" * size)))
    assert await link.jobs() == []


async def test_an_answer_that_is_too_long_is_refused_at_once(sshd, make_link, tmp_path):
    """It would else be waited for until the request's own limit, a minute."""
    folder = sshd.home / "many"
    folder.mkdir()
    for number in range(4600):
        (folder / f"{number:0240d}").touch()
    link = await make_link().live()
    with pytest.raises(RemoteError, match="the answer is too long"):
        await link.fetch("~/many", tmp_path / "many")


async def test_what_a_host_refuses_with_is_printable(sshd, make_link):
    link = await make_link().live()
    with pytest.raises(RemoteError) as caught:
        await link.start_job(JobSpec("odd", ("true",), cwd="/\x1b[2J\x07/\x9bnone"))
    assert "does not exist on this host" in str(caught.value)
    assert str(caught.value).isprintable()
