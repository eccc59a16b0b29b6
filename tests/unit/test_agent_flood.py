"""A log that never ends to flow, and a pipe in the place of a journal, do not stop the agent."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from agents.frames import FrameDecoder
from agents.remote import tail
from agents.remote.tail import Subscription, Tails

FLOOD = """
from agents.remote.channel import Channel
from agents.remote.loop import Loop

loop = Loop()
channel = Channel(loop, lambda message, blob: None)

def flow():
    while True:
        while channel.backlog < 1 << 20:
            channel.send({"m": "chunk"}, b"x" * 262144)
        yield

loop.work(flow())
loop.every(0.005, lambda: channel.send_latest({"m": "gauge"}))
loop.run()
"""
ENOUGH = 10


def test_gauges_come_through_while_a_log_fills_the_channel():
    child = subprocess.Popen(
        [sys.executable, "-c", FLOOD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    decoder, gauges, chunks, waiting = FrameDecoder(), 0, 0, 0
    try:
        assert child.stdout is not None
        while gauges < ENOUGH and chunks < 400:
            data = os.read(child.stdout.fileno(), 1 << 16)
            assert data
            for message, _ in decoder.feed(data):
                gauges += message["m"] == "gauge"
                chunks += message["m"] == "chunk"
                waiting = 0 if message["m"] == "chunk" else waiting + 1
                assert waiting < 20  # nor do they queue up behind one another
    finally:
        child.kill()
        child.communicate()
    assert gauges >= ENOUGH


class Nothing:
    """Stands for what the tails need and this test does not."""

    backlog = 0

    def every(self, interval, callback):
        pass

    def work(self, steps):
        pass

    def send(self, message, blob=None):
        pass


def test_comparing_does_not_wait_at_a_pipe_that_took_the_journals_place(tmp_path):
    path = tmp_path / "run.jsonl"
    os.mkfifo(path)
    tails = Tails(Nothing(), Nothing(), Nothing(), Nothing())
    sub = Subscription(1, "job", str(path), 100, {})
    tails._subs[1] = sub
    over = threading.Event()

    def compare():
        list(tails._compare(sub))
        over.set()

    threading.Thread(target=compare, daemon=True).start()
    try:
        assert over.wait(20)
    finally:
        if not over.is_set():
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    assert tail.MAX_OPEN < 64
