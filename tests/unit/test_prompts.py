"""What each arm reads and writes, and that nothing of the pipeline's torch-free part imports torch."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from pipeline.dataset.micro import SAMPLES
from pipeline.dataset.samples import Comment, Sample
from pipeline.training import prompts
from pipeline.training.prompts import context, render, template_sha256, with_inline_comments

BY_ARM = {arm: render(SAMPLES, arm) for arm in prompts.ARMS}


def remarks(sample: Sample) -> list[str]:
    return [comment.text for comment in sample.comments]


def test_every_arm_has_the_same_tasks_in_the_same_order() -> None:
    for texts in BY_ARM.values():
        assert [text.sample_id for text in texts] == [sample.id for sample in SAMPLES]


@pytest.mark.parametrize("index", range(len(SAMPLES)), ids=lambda i: SAMPLES[i].id)
def test_the_remarks_stand_inline_for_control_and_in_the_context_for_experiment(index: int) -> None:
    sample = SAMPLES[index]
    control, experiment = BY_ARM["control"][index], BY_ARM["experiment"][index]
    micro = BY_ARM["micro"][index]
    assert micro.context == control.context == context(sample.prompt)
    assert micro.completion == experiment.completion == sample.completion
    for text in remarks(sample):
        assert f"# {text}" in control.completion
        assert text not in control.context
        assert text in experiment.context
        assert text not in experiment.completion


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.id)
def test_inline_comments_change_the_text_but_not_the_program(sample: Sample) -> None:
    commented = with_inline_comments(sample)
    assert commented != sample.completion
    assert ast.dump(ast.parse(commented)) == ast.dump(ast.parse(sample.completion))


def test_placebo_is_experiment_with_remarks_of_another_sample() -> None:
    for index, text in enumerate(BY_ARM["placebo"]):
        own, other = remarks(SAMPLES[index]), remarks(SAMPLES[(index + 1) % len(SAMPLES)])
        assert all(remark not in text.context for remark in own)
        assert all(remark in text.context for remark in other)
        assert text.completion == BY_ARM["experiment"][index].completion
    assert render(SAMPLES, "placebo") == BY_ARM["placebo"]


def test_at_test_time_every_arm_gets_the_prompt_only() -> None:
    for sample in SAMPLES:
        asked = context(sample.prompt)
        assert not any(remark in asked for remark in remarks(sample))
        for arm in ("micro", "control"):
            assert render([sample], arm)[0].context == asked


def test_comment_marks_follow_the_language() -> None:
    for language, mark in (("python", "#"), ("sql", "--"), ("typescript", "//")):
        sample = Sample("a", language, "p", "one\n  two\n", (Comment(2, "why"),))
        assert with_inline_comments(sample) == f"one\n  {mark} why\n  two\n"


def test_the_template_hash_follows_the_template(monkeypatch: pytest.MonkeyPatch) -> None:
    before = template_sha256()
    assert before == template_sha256()
    monkeypatch.setattr(prompts, "TEMPLATE", prompts.TEMPLATE + " ")
    assert template_sha256() != before


def test_an_unknown_arm_is_named() -> None:
    with pytest.raises(ValueError, match=r"“both”.*control"):
        render(SAMPLES, "both")


def test_braces_in_a_prompt_are_text() -> None:
    assert "{metadata} {0}" in context("{metadata} {0}", [Comment(1, "{x}")])


def test_the_torch_free_modules_are_that() -> None:
    modules = (
        "pipeline.journal", "pipeline.dataset.micro", "pipeline.dataset.samples",
        "pipeline.training.prompts", "pipeline.training.recipe", "pipeline.training.tiny",
        "pipeline.training.options", "pipeline.training.attempts", "pipeline.training.train",
        "pipeline.training.track", "pipeline.evaluation.generate",
    )  # fmt: skip
    heavy = ("torch", "transformers", "mlflow", "numpy", "textual")
    code = f"import sys, {', '.join(modules)}; print([n for n in {heavy!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
