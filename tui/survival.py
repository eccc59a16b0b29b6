"""The honest test of a detached job: start one, cut the link, come back, and see the same process."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents import AgentError, HostLink, HostSpec, JobSpec
from tui.roadmap.rules.base import Finding, judge

EXPECTED = "the same process (pid, start time, boot) after the link was cut"
CONNECT_SECONDS = 15.0
BACK_SECONDS = 40.0
JOB_SECONDS = "120"
Report = Callable[[str], None]


async def survives(spec: HostSpec, report: Report = lambda text: None) -> Finding:
    """Whether a job outlives the connection that started it. What it made on the host is removed.

    Raises LinkDown, RemoteError, TimeoutError.
    """
    with tempfile.TemporaryDirectory(prefix="gonogo-doctor-") as folder:
        link = HostLink(spec, Path(folder), lambda event: None)
        running = asyncio.create_task(link.run())
        try:
            await link.wait_live(CONNECT_SECONDS)
            return await _look(link, report)
        finally:
            await link.close()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def _look(link: HostLink, report: Report) -> Finding:
    report("starting a job that sleeps")
    labels = {"kind": "doctor"}
    job = await link.start_job(JobSpec("doctor", ("sleep", JOB_SECONDS), labels=labels))
    try:
        if str(job.state) != "running":
            said = f"the small job did not run: {job.detail or job.state}"
            return judge(False, EXPECTED, said, said, next="see whether any job starts there")
        before = await link.probe("process", pid=job.pid)
        agent, attempt = link.host_info.get("pid"), time.monotonic()
        report("cutting the link")
        link.drop()
        while link.host_info.get("pid") == agent:
            if time.monotonic() - attempt > BACK_SECONDS:
                raise TimeoutError(f"{link.name} was not back within {BACK_SECONDS:g} s")
            await asyncio.sleep(0.1)
        await link.wait_live(BACK_SECONDS)
        away = time.monotonic() - attempt
        report("back; looking for the job")
        after = await link.probe("process", pid=job.pid)
        state = next((str(j.state) for j in await link.jobs() if j.job_id == job.job_id), "gone")
    finally:
        await _remove(link, job.job_id)
    same = bool(after.get("starttime")) and before == after and state == "running"
    found = f"pid {job.pid} goes on, link away for {away:.1f} s"
    lost = f"pid {job.pid} is gone ({state}) after the link was cut"
    step = (
        "`loginctl enable-linger` on the host, and KillUserProcesses=no in /etc/systemd/logind.conf"
    )
    data: dict[str, Any] = {"before": before, "after": after, "state": state}
    if not same:
        data["next"] = step
    return judge(same, EXPECTED, found if same else lost, f"{lost}. Next: {step}", **data)


async def _remove(link: HostLink, job_id: str) -> None:
    """Ends the job and takes its folder away, if the host can be reached again."""
    try:
        await link.wait_live(BACK_SECONDS)
        await link.stop_job(job_id, 2)
        await link.probe("forget", job_id=job_id)
    except (AgentError, TimeoutError):
        return
