"""Cutting the NVML bindings down must leave everything the reader asks for."""

from __future__ import annotations

import sys
import types

import pytest

from agents import bootstrap
from agents.trim import names_used, trim

SOURCE = '''import os

TABLE_A = 1
TABLE_B = 2
LATE = "hidden"


def helper():
    return os.sep + by_name("looked_up")


def by_name(name):
    return globals()[name]()


def looked_up():
    return "!"


@staticmethod
def wanted():
    """Doc."""
    return helper()


def unused():
    return LATE


class Unused:
    pass
'''


def run(source: str) -> dict[str, object]:
    module = types.ModuleType("trimmed")
    sys.modules["trimmed"] = module
    try:
        exec(compile(source, "trimmed", "exec"), module.__dict__)  # noqa: S102
    finally:
        del sys.modules["trimmed"]
    return vars(module)


def test_what_is_needed_stays_and_the_rest_goes():
    result = trim(SOURCE, {"wanted"}, ("TABLE_",))
    names = run(result)
    assert names["wanted"]() == "/!"
    assert (names["TABLE_A"], names["TABLE_B"]) == (1, 2)
    assert not {"unused", "Unused", "LATE"} & set(names)
    assert result.index("def wanted") > 0
    assert result.splitlines().index("def wanted():") == SOURCE.splitlines().index("def wanted():")


def test_a_source_that_is_no_python_is_refused():
    with pytest.raises(SyntaxError):
        trim("def", {"x"})


def test_the_bindings_hold_all_that_the_reader_uses():
    source = bootstrap.nvml_bindings()
    if source is None:
        pytest.skip("nvidia-ml-py is not installed")
    used = names_used((bootstrap.REMOTE / "nvml.py").read_text(), "nvml")
    assert {"nvmlInit", "NVMLError", "nvmlDeviceGetMemoryInfo"} <= used
    names = run(source)
    assert used <= set(names)
    assert issubclass(names["NVMLError_GpuIsLost"], names["NVMLError"])
    assert len(source) < 60_000
