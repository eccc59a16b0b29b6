"""What a module may drag in: the core knows no user interface, the laptop no torch, a host nothing at all."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITH_SCREEN = {
    "tui.app",
    "tui.bridge",
    "tui.messages",
    "tui.actions",
    "tui.account_actions",
    "tui.money_actions",
    "tui.account_rows",
    "tui.host_actions",
    "tui.server_actions",
    "tui.train_actions",
    "tui.notice_actions",
    "tui.job_rows",
    "tui.palette",
    "tui.help",
    "tui.detail",
    "tui.field_detail",
    "tui.rows",
    "tui.theme",
    "tui.ascii",
    "tui.saving",
    "tui.filtering",
    "tui.going",
    "tui.gauge_model",
    "tui.sheet",
    "tui.pace",
    "tui.typeahead",
    "tui.roadmap_rows",
    "tui.web",  # textual-serve brings rich
}
WITH_TORCH = {"pipeline.training.train", "pipeline.training.load", "pipeline.training.loss",
              "pipeline.training.data", "pipeline.training.callbacks", "pipeline.training.tiny",
              "pipeline.evaluation.generate"}  # fmt: skip


def modules(package: str) -> list[str]:
    """Every module of a package but the program that runs on the hosts."""
    found = []
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if not name.startswith("agents.remote"):
            found.append(name)
    return found


def loaded_by(names: list[str], forbidden: list[str]) -> str:
    """Which of `forbidden` a fresh interpreter holds after importing `names`, one module at a time."""
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        f"    bad = [m for m in {forbidden!r} if m in sys.modules]\n"
        "    if bad: print(name, 'loads', bad); break\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def headless() -> list[str]:
    names = modules("agents") + modules("pipeline") + modules("tui")
    screens = ("tui.screens", "tui.widgets")
    return [n for n in names if n not in WITH_SCREEN | WITH_TORCH and not n.startswith(screens)]


def test_everything_but_the_screens_works_without_textual() -> None:
    assert (
        loaded_by(headless(), ["textual", "rich.console", "torch", "transformers", "mlflow"]) == ""
    )


def test_the_screens_work_without_torch() -> None:
    assert loaded_by(["tui.app", "tui.demo", "tui.cli"], ["torch", "transformers", "mlflow"]) == ""


HEAVY = ["asyncssh", "numpy", "tui.screens.live", "tui.screens.dialogs", "tui.roadmap.bindings",
         "tui.roadmap.verify", "tui.chart.series", "tui.train_plan"]  # fmt: skip


def test_a_first_frame_imports_nothing_that_it_does_not_draw() -> None:
    """What a paint has to wait for: `tui.later` loads the rest beside the app."""
    assert loaded_by(["tui.app"], HEAVY) == ""
    assert loaded_by(["tui.cli"], [*HEAVY, "pydantic", "textual", "tui.roadmap.workspace"]) == ""


def test_the_curve_waits_for_no_library_that_reaches_hosts() -> None:
    assert loaded_by(["tui.screens.live"], ["asyncssh", "http.client", "tui.tracked"]) == ""


def test_the_check_sees_what_it_is_made_for() -> None:
    assert "textual" in loaded_by(["tui.app"], ["textual"])


@pytest.mark.parametrize(
    "path", sorted((ROOT / "agents" / "remote").glob("*.py")), ids=lambda p: p.stem
)
def test_the_host_program_needs_the_standard_library_only(path: Path) -> None:
    allowed = set(sys.stdlib_module_names) | {
        "agents",
        "pynvml",
        "_sha256",
        "_sha2",
    }  # Python's own hash modules, before and from 3.12 on
    for node in ast.walk(ast.parse(path.read_text("utf-8"), feature_version=(3, 8))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        for name in names:
            top = name.split(".")[0]
            local = {p.stem for p in path.parent.glob("*.py")}
            assert top in allowed | local, f"{path.name} imports {name}"
