"""Asks the catalogue of machine probes, each in a child process that is ended when it takes too long."""

from __future__ import annotations

import base64
import json
import sys

from agents.remote.child import run_command
from agents.remote.errors import OpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from agents.remote.loop import Loop

NAMES = (
    "gpu", "system", "disk", "journal", "vscode", "port", "reach",
    "process", "forget",
    "docker", "docker_gpu", "kernel", "containers",
)  # fmt: skip
ALLOWED = ("path", "port", "image", "word", "unit", "limit", "pid", "job_id", "address")
LONGEST = 600.0


class Machine:
    """`ask` runs one probe of the catalogue; the code of the probes is compiled in the child only."""

    def __init__(self, loop: Loop, extra: dict[str, Any]) -> None:
        self._loop = loop
        self._stub = str(extra.get("stub", ""))
        self._packed = extra.pop("machine", "")
        self._hanging: set[str] = set()

    def ask(
        self,
        name: str,
        params: dict[str, Any],
        done: Callable[[dict[str, Any]], None],
        fail: Callable[[str, str], None],
    ) -> None:
        """Calls `done(facts)` or `fail(code, sentence)` later, "timeout" after params["timeout"] s."""
        if name not in NAMES or not self._packed:
            raise OpError("unknown-probe", "there is no probe %r" % (name,))
        if name in self._hanging:
            raise OpError(
                "timeout", "the %s probe before this one still hangs in the kernel" % name
            )
        timeout = max(0.5, min(LONGEST, float(params.get("timeout", 10))))
        told = {key: params[key] for key in ALLOWED if key in params}
        spare = 0.5 if timeout < 20 else 8.0  # to remove a container that took too long
        told["limit"] = max(0.3, min(float(told.get("limit", timeout)), timeout - spare))
        argv = [sys.executable or "/proc/self/exe", "-ISuB", "-c", self._stub]

        def hangs() -> None:
            self._hanging.add(name)  # killed and still there: no second one beside it
            fail("timeout", "the %s probe gave no answer within %g s" % (name, timeout))

        def finish(code: int | None, output: bytes) -> None:
            timer.cancel()
            self._hanging.discard(name)
            if code is None:
                fail("timeout", "the %s probe gave no answer within %g s" % (name, timeout))
                return
            text = output.decode("utf-8", "replace")
            try:
                answer = json.loads(text.strip().splitlines()[-1])
                if "value" in answer:
                    done(answer["value"])
                else:
                    fail(str(answer["fail"][0]), str(answer["fail"][1]))
            except (ValueError, IndexError, KeyError, TypeError):
                said = text.strip()[-300:] or "it ended with code %d" % code
                fail("broken", "the %s probe broke: %s" % (name, said))

        timer = self._loop.later(timeout + 1.5, hangs)
        run_command(
            self._loop, [*argv, name, json.dumps(told)], timeout, finish,
            limit=512 * 1024, data=base64.b64decode(self._packed),
        )  # fmt: skip
