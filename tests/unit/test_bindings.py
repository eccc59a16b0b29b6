"""Which box is bound to what: all automatic ones, no manual one, and what is said of a wrong binding."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tui.cli import main
from tui.roadmap.bindings import bindings_of, load_bindings, read_text
from tui.roadmap.rules.registry import RULES
from tui.roadmap.verify import verify
from tui.roadmap.workspace import Workspace

TABLE = Path(__file__).parents[1] / "data" / "box_classes.tsv"
LINES = [x for x in TABLE.read_text("utf-8").splitlines() if x and not x.startswith("#")]
CLASSES = {item: kind for item, _, kind in (line.partition("\t") for line in LINES)}
AUTOMATIC = {item for item, kind in CLASSES.items() if kind in ["T", "S", "L", "X", "P", "D"]}
HINTS = {item for item, kind in CLASSES.items() if kind == "M+"}


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "w")


def test_the_table_is_whole(ws: Workspace) -> None:
    assert set(CLASSES) == set(ws.document.boxes)
    assert (len(AUTOMATIC), len(HINTS), len(CLASSES) - len(AUTOMATIC | HINTS)) == (217, 31, 40)


def test_every_automatic_box_has_a_check_and_no_manual_one(ws: Workspace) -> None:
    found = bindings_of(ws)
    assert found.problems == ()
    missing = (AUTOMATIC | HINTS) - set(found.bound)
    assert not missing, sorted(missing)
    assert set(found.bound) <= AUTOMATIC | HINTS
    assert {i for i, b in found.bound.items() if b.hint} == HINTS & set(found.bound)


def test_every_check_says_what_it_expects_before_it_ran(ws: Workspace) -> None:
    for item, binding in bindings_of(ws).bound.items():
        assert binding.params.expects(ws.settings), item
        assert binding.source.startswith("bindings.toml:"), item
        assert len(binding.basis(ws.settings)) == 12


def test_the_fields_that_checks_fill_or_read_exist(ws: Workspace) -> None:
    for item, binding in bindings_of(ws).bound.items():
        told = binding.params.model_dump()
        names = [told[k] for k in ("field", "fill", "fill_start", "fill_end", "fill_train", "fill_val")
                 if told.get(k)]  # fmt: skip
        names += list(told.get("fills") or {}) + list(told.get("fields") or ())
        for name in names:
            assert name in ws.document.fields, (item, name)
        for other in binding.params.boxes(ws.document):
            assert other in ws.document.boxes, (item, other)
        if isinstance(told.get("items"), tuple):
            for name in told["items"]:
                assert ws.document.select(name), (item, name)


def test_every_rule_is_bound_or_written_about() -> None:
    used = {binding.rule for binding in load_bindings(Path("/nowhere")).values()}
    spare = {"field", "git", "gpu-kernel", "github-tag", "hugging-face", "pypi"}
    unused = {name for name in RULES if name not in used | spare}
    assert not unused


def test_the_command_counts_like_the_table(tmp_path: Path) -> None:
    CliRunner().invoke(main, ["init", str(tmp_path / "w")])
    for args in (["bindings"], ["verify", "--list"]):
        done = CliRunner().invoke(main, ["-C", str(tmp_path / "w"), *args, "--json"])
        assert done.exit_code == 0, done.output
        answer = json.loads(done.stdout)
        counts = answer["counts"]
        bound = load_bindings(Path("/nowhere"))
        auto, hints = AUTOMATIC & set(bound), HINTS & set(bound)
        told = (counts["automatic"], counts["hint"], counts["manual"])
        assert told == (len(auto), len(hints), 288 - len(auto) - len(hints))
        assert (counts["gate"], counts["estimate"]) == (3, 7)
        assert len(answer["bindings"]) == 288
    done = CliRunner().invoke(main, ["-C", str(tmp_path / "w"), "bindings", "S3.C"])
    assert "p < 0.05, two-sided paired-t" in done.stdout
    assert "6 automatic, 0 with a hint, 0 manual" in done.stdout
    done = CliRunner().invoke(main, ["-C", str(tmp_path / "w"), "bindings", "S9"])
    assert done.exit_code == 2


PLAN = """# Plan

## Stage 1: Work

- [ ] Write the survey
- [ ] Ask thirty people
- [ ] Training completes successfully
"""

OWN = """\
["{0}"]
rule = "json"
path = "survey.json"
where = [{{ at = "answers", least = 30 }}]

["{1}"]
rule = "jsn"
path = "x"

["{2}"]
rule = "file"
path = "/etc/passwd"
cuont = 3

["Z9"]
rule = "file"
path = "a"
"""


async def test_another_roadmap_binds_its_own_boxes(tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path / "w", roadmap_text=PLAN)
    one, two, three = ws.document.boxes
    assert bindings_of(ws).bound == {}, "the shipped bindings speak of the shipped roadmap"
    (ws.root / "bindings.toml").write_text(OWN.format(one, two, three))
    found = bindings_of(ws)
    assert list(found.bound) == [one]
    assert [str(problem) for problem in found.problems] == [
        f"bindings.toml:6: {two}.rule: there is no “jsn”; did you mean json?",
        f"bindings.toml:12: {three}.path: Value error, must be a path inside the workspace",
        f"bindings.toml:13: {three}.cuont: no such parameter",
        "bindings.toml:15: the roadmap has no box Z9",
    ]
    (ws.root / "survey.json").write_text('{"answers": 31}')
    words = {v.item: v for v in await verify(ws, [one, two, three], None)}
    assert words[one].verdict == "PASS"
    assert words[two].verdict == "ERROR"
    assert words[two].reason == str(found.problems[0])
    for problem in found.problems:
        assert str(problem) in ws.warnings
    done = CliRunner().invoke(main, ["-C", str(ws.root), "bindings"])
    assert done.exit_code == 1
    assert "! bindings.toml:13: " in done.stdout


async def test_a_reworded_box_keeps_its_check_and_another_one_does_not(tmp_path: Path) -> None:
    from tui.roadmap.naming import TEMPLATE

    text = TEMPLATE.read_text(encoding="utf-8")
    old = "Extract 20 samples from React Components scenario"
    assert old in text
    worded = text.replace(old, old.replace("20 samples", "20 good samples"))
    ws = Workspace.create(tmp_path / "a", roadmap_text=worded)
    assert "S2.D1" in bindings_of(ws).bound


def test_boxes_that_wait_for_each_other_are_named_with_the_way_round(ws: Workspace) -> None:
    (ws.root / "bindings.toml").write_text(
        '["S1.K1"]\nrule = "same-as"\nitem = "S1.K2"\n["S1.K2"]\nrule = "all-done"\nitems = ["S1.K3"]\n'
        '["S1.K3"]\nrule = "same-as"\nitem = "S1.K1"\n'
    )
    found = bindings_of(ws)
    assert set(found.broken) == {"S1.K1", "S1.K2", "S1.K3"}
    assert "S1.K4" in found.bound
    ways = {problem.text.split(": ")[1] for problem in found.problems}
    (way,) = ways
    steps = way.split(" → ")
    assert len(steps) == 4
    assert steps[0] == steps[-1]
    assert (steps[0], steps[1]) in (("S1.K1", "S1.K2"), ("S1.K2", "S1.K3"), ("S1.K3", "S1.K1"))
    (ws.root / "bindings.toml").write_text('["S1.K1"]\nrule = "same-as"\nitem = "S1.K1"\n')
    assert [p.text for p in bindings_of(ws).problems] == ["S1.K1 waits for itself: S1.K1 → S1.K1"]


@pytest.mark.parametrize(
    ("blob", "words"),
    [
        (b"\xff\xfe", "not UTF-8"), (b"[[[", "not valid TOML"), (b'"S1.K1" = 3', "rule: is missing"),
        (b"x = {" + b"a = {" * 3000, "not valid TOML"), (b"#" * (2**20 + 1), "is larger than 1 MiB"),
    ], ids=["bytes", "toml", "rule", "deep", "long"],
)  # fmt: skip
def test_a_file_that_cannot_be_used_leaves_the_shipped_checks(
    ws: Workspace, blob: bytes, words: str
) -> None:
    (ws.root / "bindings.toml").write_bytes(blob)
    found = bindings_of(ws)
    assert words in str(found.problems[0])
    assert str(found.problems[0]).startswith("bindings.toml:1")
    assert "S1.K2" in found.bound


def test_nothing_in_a_binding_is_a_command() -> None:
    _, problems = read_text('["A"]\nrule = "file"\npath = "a"\ncommand = "rm -rf /"\n')
    assert [p.text for p in problems] == ["A.command: no such parameter"]
    for name, rule in RULES.items():
        assert not {"command", "argv", "shell", "cmd"} & set(rule.params.model_fields), name
