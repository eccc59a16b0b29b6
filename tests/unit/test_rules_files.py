"""Rules over files: each one passes on the right thing, fails on the wrong one, waits for what is missing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.rule_kit import (
    COMMENTS,
    SVG,
    lines,
    mp4,
    pdf,
    png,
    results,
    run_rule,
    sample,
    sha,
    write,
)
from tui.roadmap.rules.base import ProbeFailed
from tui.roadmap.rules.texts import sections
from tui.roadmap.workspace import Workspace


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "w")


MISSING: list[tuple[str, dict[str, Any]]] = [
    ("file", {"path": "a/*.png"}),
    ("json", {"path": "a.json", "where": [{"at": "x"}]}),
    ("manifest", {"path": "m.json"}),
    ("samples", {"path": "a.jsonl", "lines": 1}),
    ("split", {"path": "datasets", "train": 3}),
    ("scores", {"stage": "S3", "samples": 3}),
    ("comparison", {"stage": "S3", "samples": 3}),
    ("recomputed", {"stage": "S3"}),
    ("section", {"path": "paper/*.tex", "titles": ["x"]}),
    ("browser-test", {"title": "x"}),
    ("git", {"path": "sub"}),
    ("github-repositories", {"file": "datasets/sources.json", "at": ["a"]}),
    ("files-on-host", {}),
    ("served", {"file": "dashboard/deploy.json#port"}),
    ("url", {"file": "dashboard/deploy.json#url"}),
    ("url", {"field": "P4.dashboard_url"}),
    ("arxiv", {"field": "P5.arxiv_url"}),
    ("hacker-news", {"field": "P5.arxiv_url"}),
    ("youtube", {"field": "P5.video_url"}),
    ("citations", {"field": "P5.arxiv_url"}),
    ("field", {"fields": ["S2.cost"]}),
    ("run-started", {"stage": "S2", "arm": "control"}),
    ("eval-loss", {"stage": "P2"}),
    ("final-loss", {"stage": "P2"}),
    ("run-hours", {"stage": "P2"}),
    ("adapter-size", {"stage": "P2"}),
    ("adapter-saved", {"stage": "P2"}),
    ("mlflow-run", {"stage": "P2"}),
    ("run-completed", {"stage": "P2"}),
    ("no-crash", {"stage": "P2", "arms": ["control", "experiment"]}),
    ("github-issues", {}),
    ("github-readme", {"after": "P5.L1"}),
    ("github-tag", {"tag": "v1"}),
    ("all-done", {"items": ["S0.T"]}),
    ("all-pass", {"items": ["S0.T"]}),
    ("no-errors", {"items": ["S0.T"]}),
    ("stage-complete", {"section": "S0"}),
    ("gate", {"criterion": "C2"}),
    ("same-as", {"item": "S1.K5"}),
    ("spent", {}),
]


@pytest.mark.parametrize(("rule", "params"), MISSING, ids=lambda x: x if isinstance(x, str) else "")
async def test_what_is_not_there_yet_is_waited_for(
    ws: Workspace, rule: str, params: dict[str, Any]
) -> None:
    (ws.root / "sub").mkdir()
    found = await run_rule(ws, rule, **params)
    assert (found.verdict, bool(found.reason), bool(found.expected)) == ("SKIP", True, True), found


async def test_files_of_a_kind(ws: Workspace) -> None:
    good = {"a.png": png(), "b.svg": SVG, "c.pdf": pdf(), "d.pdf": pdf(packed=True), "e.mp4": mp4(200),
            "f.json": {"a": 1}, "g.txt": "words here"}  # fmt: skip
    for name, content in good.items():
        write(ws.root / "ok" / name, content)
        kind = name.split(".")[1].replace("txt", "text")
        assert (await run_rule(ws, "file", path=f"ok/{name}", kind=kind)).verdict == "PASS", name
    broken = {"a.png": png()[:-20], "b.png": png().replace(b"IDAT", b"IDAX"), "c.svg": "<html/>",
              "d.svg": '<!DOCTYPE s [<!ENTITY a "b">]><svg/>', "e.pdf": pdf()[:-8], "f.pdf": b"%PDF-\n%%EOF",
              "g.mp4": b"\0" * 64, "h.json": "{", "i.txt": " \n", "j.txt": b"\xff", "k.png": b""}  # fmt: skip
    for name, content in broken.items():
        write(ws.root / "bad" / name, content)
        kind = name.split(".")[1].replace("txt", "text")
        found = await run_rule(ws, "file", path=f"bad/{name}", kind=kind)
        assert (found.verdict, name in found.reason) == ("FAIL", True), (name, found)


async def test_how_many_files_how_large_how_long_how_new(ws: Workspace) -> None:
    write(ws.root / "c" / "a.png", png())
    both = {"path": "c/*", "kinds": {"png": 1, "svg": 1}}
    found = await run_rule(ws, "file", **both)
    assert (found.verdict, found.reason) == ("FAIL", "0 of 1 svg")
    write(ws.root / "c" / "b.svg", SVG)
    found = await run_rule(ws, "file", **both)
    assert (found.verdict, found.data["files"]["c/a.png"]) == ("PASS", sha(ws.root / "c" / "a.png"))
    assert (await run_rule(ws, "file", path="c/*", kind="any", count=3)).verdict == "FAIL"
    assert (
        await run_rule(ws, "file", path="c/a.png", max_mib=150.0, min_mib=100.0)
    ).verdict == "WARN"
    write(ws.root / "v.mp4", mp4(400))
    length = {"path": "v.mp4", "kind": "mp4", "seconds": [180, 300]}
    assert "400 s" in (await run_rule(ws, "file", **length)).reason
    write(ws.root / "v.mp4", mp4(240))
    assert (await run_rule(ws, "file", **length)).verdict == "PASS"
    source = write(ws.root / "w.tex", "x")
    made = write(ws.root / "w.pdf", pdf())
    os.utime(source, (1000, 1000))
    newer = {"path": "w.pdf", "kind": "pdf", "newer_than": "*.tex"}
    assert (await run_rule(ws, "file", **newer)).verdict == "PASS"
    os.utime(made, (500, 500))
    assert (await run_rule(ws, "file", **newer)).verdict == "FAIL"


async def test_a_report_cites_what_it_was_made_of(ws: Workspace) -> None:
    data = write(ws.root / "r.json", {"a": 1})
    cites = {"path": "r.md", "kind": "text", "cites": "r.json"}
    write(ws.root / "r.md", f"made of {sha(data)[:12]}")
    assert (await run_rule(ws, "file", **cites)).verdict == "PASS"
    write(data, {"a": 2})
    found = await run_rule(ws, "file", **cites)
    assert (found.verdict, "sha256 of r.json" in found.reason) == ("FAIL", True)


async def test_links_do_not_lead_out_of_the_workspace(ws: Workspace, tmp_path: Path) -> None:
    write(tmp_path / "secret.json", {"a": 1})
    (ws.root / "s.json").symlink_to(tmp_path / "secret.json")
    found = await run_rule(ws, "json", path="s.json", where=[{"at": "a", "equals": 1}])
    assert found.verdict == "SKIP"


@pytest.mark.parametrize(
    ("condition", "good", "bad"),
    [
        ({"equals": 0}, 0, 1), ({"equals": True}, True, 1), ({"equals": 1}, 1, True),
        ({"equals": "x"}, "x", "y"), ({"least": 3}, 3, 2.9), ({"most": 3}, 3, 3.1),
        ({"above": 5}, 5.1, 5.0), ({"below": 0.05}, 0.049, 0.05), ({"finite": True}, 1.5, None),
        ({"filled": True}, "a", ""), ({"count": 2}, [1, 2], [1]), ({"one_of": ["a", "b"]}, "b", "c"),
        ({"least": 0}, 1, "1"), ({"above": 10}, 10.0000001, 10.0000000001), ({}, None, ...),
    ],
)  # fmt: skip
async def test_conditions(ws: Workspace, condition: dict[str, Any], good: Any, bad: Any) -> None:
    where = [{"at": "a.0.b", **condition}]
    for value, verdict in ((good, "PASS"), (bad, "FAIL")):
        write(ws.root / "x.json", {"a": [{} if value is ... else {"b": value}]})
        found = await run_rule(ws, "json", path="x.json", where=where)
        assert found.verdict == verdict, (value, found)


async def test_values_of_two_files_and_of_every_entry(ws: Workspace) -> None:
    write(ws.root / "a.json", {"p": 0.03, "rows": [{"s": 200}, {"s": 200}]})
    write(ws.root / "b.json", {"stats": {"p": 0.03 + 1e-12}})
    same = [{"at": "p", "same": "b.json#stats.p"}, {"at": "rows.*.s", "equals": 200}]
    fills = {"S3.G.p_value": "p"}
    found = await run_rule(ws, "json", path="a.json", where=same, fills=fills)
    assert (found.verdict, dict(found.fills)) == ("PASS", {"S3.G.p_value": "0.03"})
    write(ws.root / "b.json", {"stats": {"p": 0.04}})
    assert (await run_rule(ws, "json", path="a.json", where=same)).verdict == "FAIL"
    write(ws.root / "a.json", {"p": 0.04, "rows": [{"s": 200}, {"s": 404}]})
    found = await run_rule(ws, "json", path="a.json", where=same)
    assert (found.verdict, "404" in found.reason) == ("FAIL", True)
    write(ws.root / "a.json", "{" * 100_000)
    assert "not JSON" in (await run_rule(ws, "json", path="a.json", where=same)).reason


async def test_manifests(ws: Workspace) -> None:
    files = {f"{n}.bin": sha(write(ws.root / "d" / f"{n}.bin", f"{n}")) for n in "abc"}
    write(
        ws.root / "d" / "manifest.json",
        {"files": files, "remote": {"a.bin": {"sha256": files["a.bin"]}}},
    )
    rule = {"path": "d/manifest.json"}
    assert (await run_rule(ws, "manifest", **rule, count=3)).verdict == "PASS"
    assert (await run_rule(ws, "manifest", **rule, key="remote")).verdict == "PASS"
    assert (await run_rule(ws, "manifest", **rule, count=4)).verdict == "FAIL"
    assert (await run_rule(ws, "manifest", **rule, key="other")).verdict == "FAIL"
    write(ws.root / "d" / "b.bin", "changed")
    (ws.root / "d" / "c.bin").unlink()
    found = await run_rule(ws, "manifest", **rule)
    assert found.reason == "b.bin has another sha256; c.bin is gone"
    write(ws.root / "d" / "manifest.json", {"files": {"../../etc/passwd": "0" * 64}})
    assert (await run_rule(ws, "manifest", **rule)).verdict == "FAIL"


async def test_samples(ws: Workspace) -> None:
    lines(ws.root / "c.jsonl", [sample(n) for n in range(4)])
    lines(ws.root / "e.jsonl", [sample(n, comments=COMMENTS) for n in range(4)])
    keys = ["id", "source.repo", "comments.*.params"]
    good = {"path": "e.jsonl", "lines": 4, "keys": keys, "unique": "id", "same_ids": "c.jsonl",
            "where": [{"at": "scenario", "equals": "react"}]}  # fmt: skip
    assert (await run_rule(ws, "samples", **good)).verdict == "PASS"
    wrong: list[dict[str, Any]] = [
        {"lines": 5}, {"path": "c.jsonl"}, {"absent": ["comments"]}, {"disjoint": ["c.jsonl"]},
        {"where": [{"at": "scenario", "equals": "sql"}]}, {"path": "[ce].jsonl"},
        {"at_least": 5, "lines": None},        {"share": {"at": "parses", "least": 0.8}},
    ]  # fmt: skip
    for change in wrong:
        found = await run_rule(ws, "samples", **(good | change))
        assert (found.verdict, bool(found.reason)) == ("FAIL", True), change
    both = {"path": "[ce].jsonl", "files": 2, "lines": 8}
    assert (await run_rule(ws, "samples", **both)).verdict == "PASS"
    assert "4 repeated id" in (await run_rule(ws, "samples", **both, unique="id")).reason
    lines(ws.root / "e.jsonl", [sample(n, comments=COMMENTS) for n in (0, 1, 2, 9)])
    assert "1 ids of c.jsonl missing, 1 others" in (await run_rule(ws, "samples", **good)).reason
    lines(ws.root / "g.jsonl", [{"parses": n < 8} for n in range(10)])
    share = {"path": "g.jsonl", "share": {"at": "parses", "least": 0.8}}
    assert (await run_rule(ws, "samples", **share)).verdict == "PASS"
    share["share"] = {"at": "parses", "least": 0.81}
    assert "parses in 8 of 10" in (await run_rule(ws, "samples", **share)).reason


async def test_splits(ws: Workspace) -> None:
    def make(arm: str, **ids: range) -> None:
        for name, numbers in ids.items():
            lines(ws.root / "d" / arm / f"{name}.jsonl", [sample(n) for n in numbers])

    rule = {"path": "d", "train": 7, "validation": 2, "test": 1, "seed_in": "d/split.json"}
    for arm in ("control", "experiment"):
        make(arm, train=range(7), validation=range(7, 9), test=range(9, 10))
    assert (await run_rule(ws, "split", **rule)).verdict == "SKIP"
    write(ws.root / "d" / "split.json", {"ratio": 1})
    assert "names no seed" in (await run_rule(ws, "split", **rule)).reason
    write(ws.root / "d" / "split.json", {"seed": 7})
    assert (await run_rule(ws, "split", **rule)).verdict == "PASS"
    make("experiment", test=range(10, 11))
    assert "test: the arms hold different ids" in (await run_rule(ws, "split", **rule)).reason
    for arm in ("control", "experiment"):
        make(arm, test=range(1))
    assert "1 ids stand in two splits" in (await run_rule(ws, "split", **rule)).reason
    make("control", test=range(9, 12))
    assert "control/test: 3 lines" in (await run_rule(ws, "split", **rule)).reason


async def test_scores_and_their_means(ws: Workspace) -> None:
    folder = results(ws.root, "S3", 15)
    rule = {"stage": "S3", "samples": 15, "metrics": ["f1"]}
    assert (await run_rule(ws, "scores", **rule)).verdict == "PASS"
    assert (await run_rule(ws, "scores", stage="S3", samples=15)).verdict == "PASS"
    assert (await run_rule(ws, "recomputed", stage="S3")).verdict == "PASS"
    for bad in ({"samples": 16}, {"metrics": ["bleu"]}, {"arms": ["control", "placebo"]}):
        assert (await run_rule(ws, "scores", **(rule | bad))).verdict == "FAIL", bad
    text = (folder / "rows.jsonl").read_text()
    (folder / "rows.jsonl").write_text(
        text.replace('"f1": 0.4,', '"f1": null,').replace('"f1": 0.4}', '"f1": NaN}')
    )
    found = await run_rule(ws, "scores", **rule)
    assert (found.verdict, "of 15 finite" in found.reason) == ("FAIL", True)
    assert (await run_rule(ws, "scores", **rule, gaps=True)).verdict == "WARN"
    found = await run_rule(ws, "recomputed", stage="S3")
    assert (found.verdict, "control f1" in found.reason) == ("FAIL", True)
    (folder / "rows.jsonl").write_text(text + "{broken\n")
    assert "1 of 31 rows" in (await run_rule(ws, "scores", **rule)).reason


async def test_comparisons(ws: Workspace) -> None:
    results(ws.root, "P3", 75)
    good = {
        "stage": "P3",
        "samples": 75,
        "metrics": 10,
        "above": 10,
        "p_below": 0.05,
        "runs": True,
        "effect": True,
    }
    found = await run_rule(ws, "comparison", **good, fills={"S2.control_accuracy": "f1.control"})
    assert (found.verdict, list(found.fills)) == ("PASS", ["S2.control_accuracy"]), found
    vulnerable = {"metric": "code_vulnerability", "above": 20}
    assert (await run_rule(ws, "comparison", stage="P3", **vulnerable)).verdict == "PASS"
    for bad in (
        {"samples": 74},
        {"metrics": 11},
        {"above": 30},
        {"p_below": 0.004},
        {"metric": "bleu"},
    ):
        assert (await run_rule(ws, "comparison", **(good | bad))).verdict == "FAIL", bad
    results(ws.root, "P3", 75, effect_size=None, runs={})
    assert (await run_rule(ws, "comparison", stage="P3", runs=True)).verdict == "FAIL"
    assert (await run_rule(ws, "comparison", stage="P3", effect=True)).verdict == "FAIL"
    write(ws.root / "evaluation" / "results" / "P3" / "comparison.json", {"n": "many"})
    assert (await run_rule(ws, "comparison", stage="P3")).verdict == "FAIL"
    top = results(ws.root, "S3", 15) / "comparison.json"
    top.rename(ws.root / "evaluation" / "results" / "comparison.json")
    assert (await run_rule(ws, "comparison", stage="S3", samples=15)).verdict == "PASS"
    assert (await run_rule(ws, "comparison", stage="S2")).verdict == "SKIP"


TEX = r"""
\section{Dataset creation}
% \section{Limitations} is only a comment
%s
\subsection*{Future work}
short
"""


async def test_sections_of_a_paper(ws: Workspace) -> None:
    write(ws.root / "p" / "a.tex", TEX.replace("%s", "word " * 120))
    rule = {"path": "p/*.tex", "titles": ["dataset"]}
    assert (await run_rule(ws, "section", **rule)).verdict == "PASS"
    for titles in (["future"], ["limitation"]):
        assert (await run_rule(ws, "section", path="p/*.tex", titles=titles)).verdict == "FAIL"
    assert sections("# One\na b\n## Two\nc") == [("One", 2), ("Two", 1)]


async def test_browser_tests(ws: Workspace) -> None:
    def report(ok: bool) -> None:
        spec = {"title": "shows the split-screen", "ok": ok}
        write(
            ws.root / "dashboard" / "test-results.json",
            {"suites": [{"title": "a", "suites": [{"specs": [spec]}]}]},
        )

    report(True)
    assert (await run_rule(ws, "browser-test", title="split-screen")).verdict == "PASS"
    assert (await run_rule(ws, "browser-test", title="export")).verdict == "WARN"
    report(False)
    assert (await run_rule(ws, "browser-test", title="split-screen")).verdict == "FAIL"


async def test_the_laptop_itself(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await run_rule(ws, "package", package="pydantic", least="2.0")).verdict == "PASS"
    assert "older than 99" in (await run_rule(ws, "package", package="pydantic", least="99")).reason
    assert "pip install" in (await run_rule(ws, "package", package="no-such-package-here")).reason
    monkeypatch.setenv("GONOGO_TEST_KEY", "top-secret-value")
    names = {"names": ["GONOGO_TEST_KEY", "GONOGO_TEST_NONE"]}
    found = await run_rule(ws, "environment", **names)
    assert (found.verdict, found.reason[:17]) == ("FAIL", "GONOGO_TEST_NONE ")
    found = await run_rule(ws, "environment", names=["GONOGO_TEST_KEY"])
    assert (found.verdict, "top-secret" in repr(found)) == ("PASS", False)


async def test_fields_and_money(ws: Workspace) -> None:
    ws.set_field("P4.dashboard_url", "http://10.0.0.5/", "user:ana")
    assert (await run_rule(ws, "field", fields=["P4.dashboard_url"])).verdict == "PASS"
    with pytest.raises(ProbeFailed, match="no field X"):
        await run_rule(ws, "field", fields=["X"])
    for row in ("S0", "S1", "S2", "S3", "P1", "P2", "P3", "P4", "P5"):
        ws.add_cost(row, "33.00", "user:ana")
    assert (await run_rule(ws, "spent")).verdict == "PASS"
    ws.add_cost("P5", "3.00", "user:ana")
    assert (await run_rule(ws, "spent")).verdict == "FAIL"
    assert (await run_rule(ws, "spent", below="300.01")).verdict == "PASS"


async def test_a_repository_is_read_and_git_is_not_run(ws: Workspace) -> None:
    git = ws.root / "r" / ".git"
    write(git / "HEAD", "ref: refs/heads/main\n")
    assert "no commit" in (await run_rule(ws, "git", path="r")).reason
    write(git / "refs" / "heads" / "main", "a" * 40)
    write(git / "packed-refs", f"# pack-refs\n{'b' * 40} refs/tags/v1\n")
    write(git / "config", "[core]\n\tfsmonitor = touch pwned\n")
    assert (await run_rule(ws, "git", path="r", branch="main", tag="v1")).verdict == "PASS"
    for bad in ({"branch": "other"}, {"tag": "v2"}, {"file": "README.md"}):
        assert (await run_rule(ws, "git", path="r", **bad)).verdict == "FAIL", bad
    assert not list(ws.root.rglob("pwned"))
