"""Copies a run journal into MLflow: a follower that may lag, fail and catch up; the training never waits.

The journal's own timestamps go with every metric. MLflow's SQL stores keep (run, key, step, timestamp,
value) once, so delivering a stretch again after a crash adds nothing. The cursor is a byte offset in
`track.json` beside the journal; losing it costs time, never points. A run that is gone from the server
is delivered again from the beginning.

The mlflow client makes all calls: it costs two seconds and 170 MB at the start of a process that runs
at low priority, and knows servers of several versions and ways to log in. Its own retries (four
minutes, then an exception) are turned off; this process has its own back-off and outlives outages of
a day.
API: https://mlflow.org/docs/latest/rest-api.html
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.journal import FILE_NAME
from pipeline.training.delivery import Cursor, RunDeleted, Tracker

LIFETIME = 24 * 3600.0
"""Seconds without anything new or delivered after which the follower gives up."""

PAUSE, LONGEST_PAUSE = 0.5, 15.0
"""Seconds between two looks at the journal, and the most between two tries of a silent server."""


def quiet_client() -> None:
    """One try a call, short time-outs, no telemetry; must run before mlflow is imported."""
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ASYNC_LOGGING", "false")


def alive(pid: int) -> bool:
    """Whether a process exists; a zombie, which writes no more, does not count."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        state = b""
    if state:
        return state not in (b"Z", b"X")
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


@contextlib.contextmanager
def only_one(run_dir: Path, lifetime: float) -> Iterator[bool]:
    """Hold the run's lock: an earlier attempt's follower may still be delivering."""
    with (run_dir / "track.lock").open("a") as file:
        deadline = time.monotonic() + lifetime
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    yield False
                    return
                time.sleep(PAUSE)
            else:
                yield True
                return


def follow(
    run_dir: Path, uri: str, lifetime: float = LIFETIME, attempt: int = 1, writer: int = 0
) -> int:
    """Deliver until the end of `attempt` is there. Returns 0, or 1 when nothing happened for too long.

    Args:
        run_dir: folder of run.jsonl; track.json and track.lock are kept beside it.
        uri: the tracking server.
        lifetime: seconds without news and without delivery to go on for.
        attempt: number of the attempt whose end is waited for.
        writer: process id of the training; when it is gone without an end, the run has failed. 0: unknown.
    """
    quiet_client()
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    shown = urlsplit(uri)._replace(netloc=urlsplit(uri).netloc.rpartition("@")[2]).geturl()
    client = MlflowClient(tracking_uri=uri)
    tracker = Tracker(client, run_dir / FILE_NAME, Cursor.load(run_dir / "track.json", uri))
    cursor = tracker.cursor
    pause, last_trouble = PAUSE, ""
    seen, news = (-1, -1), time.monotonic()
    while True:
        # Asked before the journal is read: what a process wrote is there once it is gone.
        gone = writer > 0 and not alive(writer)
        try:
            caught_up = tracker.step()
            if caught_up and gone and not cursor.ended and cursor.run:
                tracker.finish("FAILED", int(time.time() * 1000))
                cursor.save()
            if caught_up and ((cursor.ended and cursor.attempt >= attempt) or gone):
                print(f"delivered {cursor.offset} bytes to {shown}", flush=True)
                return 0
            pause, last_trouble = PAUSE if caught_up else 0.0, ""
        except FileNotFoundError:
            if gone:
                return 1
        except RunDeleted as problem:
            print(f"stopped: {problem}", flush=True)
            return 1
        except Exception as problem:
            # Whatever the server or the network does, there is a later try.
            if (
                isinstance(problem, MlflowException)
                and problem.error_code == "RESOURCE_DOES_NOT_EXIST"
            ):
                cursor.rewind()
            trouble = f"{type(problem).__name__}: {problem}".splitlines()[0][:300].replace(
                uri, shown
            )
            if trouble != last_trouble:
                print(f"trying again: {trouble}", flush=True)
            last_trouble, pause = trouble, min(max(pause, PAUSE) * 2, LONGEST_PAUSE)
        size = tracker.journal.stat().st_size if tracker.journal.exists() else 0
        if (size, cursor.offset) != seen:
            seen, news = (size, cursor.offset), time.monotonic()
        elif time.monotonic() - news > lifetime:
            print("gave up: nothing new for too long", flush=True)
            return 1
        time.sleep(pause)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="pipeline.training.track", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--run-dir", type=Path, required=True, help="folder with run.jsonl")
    parser.add_argument("--tracking-uri", required=True, help="like http://127.0.0.1:5000")
    parser.add_argument(
        "--lifetime", type=float, default=LIFETIME, help="seconds to go on without news"
    )
    parser.add_argument("--attempt", type=int, default=1, help="attempt whose end is waited for")
    parser.add_argument("--writer", type=int, default=0, help="process id of the training")
    options = parser.parse_args(arguments)
    os.nice(5)
    with only_one(options.run_dir, options.lifetime) as mine:
        if not mine:
            return 1
        return follow(
            options.run_dir, options.tracking_uri, options.lifetime, options.attempt, options.writer
        )


if __name__ == "__main__":
    sys.exit(main())
