"""Plans that other people write: every one is read, worked with, and written back as it was."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from mdit_py_plugins.front_matter import front_matter_plugin

from tests.unit.test_document_witness import TASK, ours
from tui.roadmap.document import Document
from tui.roadmap.errors import InvalidValue
from tui.roadmap.export import export_markdown
from tui.roadmap.folder import counts, import_text
from tui.roadmap.importer import read_filled
from tui.roadmap.reanchor import shipped_text
from tui.roadmap.workspace import Workspace

CORPUS = Path(__file__).parents[1] / "corpus"
PLANS = sorted(CORPUS.glob("*.md"))
COUNTS = tomllib.loads((CORPUS / "counts.toml").read_text("utf-8"))
plans = pytest.mark.parametrize("path", PLANS, ids=lambda p: p.stem)


def text_of(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def witness(text: str) -> list[int]:
    """Lines of the task items as markdown-it-py sees them, front matter left out."""
    tokens = MarkdownIt("commonmark").use(front_matter_plugin).parse(text)
    found = []
    for item, paragraph, inline in zip(tokens, tokens[1:], tokens[2:], strict=False):
        opens = item.type == "list_item_open" and paragraph.type == "paragraph_open"
        if opens and TASK.match(inline.content) and inline.map and item.map:
            found += [inline.map[0]] if inline.map[0] == item.map[0] else []
    return found


def test_the_corpus_is_a_corpus() -> None:
    assert len(PLANS) >= 12
    assert {path.stem for path in PLANS} == set(COUNTS)


@plans
def test_counts(path: Path) -> None:
    document = Document.parse(text_of(path))
    boxes = document.boxes.values()
    assert COUNTS[path.stem] == {
        "boxes": len(boxes),
        "ticked": sum(box.checked for box in boxes),
        "nested": sum(bool(box.parent) for box in boxes),
        "blanks": document.blank_count,
        "tables": len(document.tables),
    }


@plans
def test_the_witness_agrees(path: Path) -> None:
    text = text_of(path)
    if path.stem == "toml_front_matter":
        head, _, text = text.rpartition("+++\n")
        assert ours(head + "+++\n" + text) == [n + head.count("\n") + 1 for n in witness(text)]
        return
    if path.stem == "bom_and_tabs":
        text = text.removeprefix("\ufeff")
    assert ours(text_of(path)) == witness(text)


@plans
def test_an_untouched_plan_is_written_back_byte_for_byte(path: Path, tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path / "ws", title="T", roadmap_text=text_of(path))
    assert (ws.root / "ROADMAP.md").read_bytes() == path.read_bytes()
    assert export_markdown(ws.document, ws.state, ws.settings).encode("utf-8") == path.read_bytes()


VALUES = {"date": "2026-01-31", "money": "12.50", "percent": "4.5", "float": "0.25", "hours": "3",
          "gb": "7", "url": "https://example.com/x?a=1|2", "text": "a | b [ ] `c` \\ *d*"}  # fmt: skip


@plans
def test_ticks_and_values_touch_only_their_lines_and_read_back(path: Path, tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path / "ws", title="T", roadmap_text=text_of(path))
    document, touched = ws.document, set()
    leaves = [b for b in document.boxes.values() if not b.computed and not b.informational]
    for box in leaves[::2]:
        if not box.checked:
            ws.tick(box.id, "user:ana")
            touched.add(box.line)
            parent = document.boxes.get(box.parent)
            while parent is not None:
                touched.add(parent.line)
                parent = document.boxes.get(parent.parent)
    wanted = {}
    for item in document.fields.values():
        try:
            ws.set_field(item.id, VALUES[item.type], "user:ana")
        except InvalidValue:
            continue  # the ledger's cells are not filled by hand
        if item.kind != "notes":
            wanted[item.id] = VALUES[item.type]
        touched.add(item.line)
    out = export_markdown(ws.document, ws.state, ws.settings)
    lines = Document.parse(out).lines
    assert len(lines) == len(document.lines)
    for number, (before, after) in enumerate(zip(document.lines, lines, strict=True), 1):
        assert before == after or number in touched, number
    filled = read_filled(document, out)
    assert {i: v for i, v in filled.fields.items() if i in wanted} == wanted
    assert all(filled.ticks[box.id] for box in leaves[::2])
    assert Document.parse(out).box_count == document.box_count
    assert export_markdown(ws.document, ws.state, ws.settings) == out


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_mix_of_corpus_lines_is_read_like_the_witness_reads_it(data: st.DataObject) -> None:
    pool = [line for path in PLANS for line in text_of(path).splitlines() if len(line) < 200]
    pool = [line for line in pool if line not in ("---", "+++") and "\ufeff" not in line]
    lines = data.draw(st.lists(st.sampled_from(pool), min_size=1, max_size=25))
    ending = data.draw(st.sampled_from(["\n", "\r\n"]))
    text = ending.join(lines)
    document = Document.parse(text)
    assert "".join(a + b for a, b in zip(document.lines, document.endings, strict=True)) == text
    # A paragraph, a list and HTML that interrupt each other in one item are the witness's alone.
    assert set(ours(text)) <= set(range(len(lines)))


def run(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "tui.cli", *words], capture_output=True, check=False
    )


def test_scenario_01_a_garbled_plan_is_repaired_and_said(tmp_path: Path) -> None:
    seed = tmp_path / "seed.md"
    seed.write_bytes(shipped_text().encode("utf-8").decode("mac_roman").encode("utf-8"))
    before = seed.read_bytes(), seed.stat().st_mtime_ns
    done = run("init", str(tmp_path / "ws"), "--roadmap", str(seed))
    assert done.returncode == 0
    wanted = "Decoded Mac Roman mojibake (34 runs). 288 checkboxes, 11 nested, 85 blanks, 2 tables."
    assert wanted in done.stdout.decode()
    assert (seed.read_bytes(), seed.stat().st_mtime_ns) == before
    assert len((tmp_path / "ws/state.jsonl").read_bytes().splitlines()) == 1
    status = json.loads(run("-C", str(tmp_path / "ws"), "status", "--json").stdout)
    assert "√" not in json.dumps(status, ensure_ascii=False)
    assert "🎯" not in json.dumps(status, ensure_ascii=False)


def test_scenario_02_an_untouched_export_is_the_plan(tmp_path: Path) -> None:
    ws = tmp_path / "ws"
    assert run("init", str(ws)).returncode == 0
    before = (ws / "state.jsonl").read_bytes()
    done = run("-C", str(ws), "export", "-")
    assert done.returncode == 0
    assert len(done.stdout) == 17_887
    assert done.stdout == shipped_text().encode("utf-8")
    assert (ws / "state.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("blob", "said"),
    [
        (b"# A\n- [ ] caf\xe9\n", "Windows-1252"),
        ("# A\n- [ ] é\n".encode("utf-16"), "UTF-16"),
        ("\ufeff# A\n- [ ] é\n".encode(), ""),
        ("# A\n- [ ] 🎯\n".encode(), ""),
    ],
)
def test_other_encodings(blob: bytes, said: str) -> None:
    text, sentence = import_text(blob, "plan.md")
    assert said in sentence
    assert bool(said) == bool(sentence)
    assert Document.parse(text).box_count == 1


@pytest.mark.parametrize("blob", [b"\x89PNG\r\n\0\0", b"\xff\xfea", b"a\0b", b"\x81\x8d\x8f"])
def test_what_is_no_text_is_refused_in_one_sentence(blob: bytes) -> None:
    with pytest.raises(InvalidValue, match=r"^plan\.md .*\.$"):
        import_text(blob, "plan.md")


def test_a_plan_without_boxes_is_taken_and_said(tmp_path: Path) -> None:
    done = run("init", str(tmp_path / "ws"), "--roadmap", str(CORPUS / "tables_only.md"))
    assert done.returncode == 0
    assert "No task list was found" in done.stdout.decode()
    assert run("-C", str(tmp_path / "ws"), "status").returncode == 0
    assert counts(Document.parse("- [ ] a")) == "1 checkbox, 0 nested, 0 blanks, 0 tables."
