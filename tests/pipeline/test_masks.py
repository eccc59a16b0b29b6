"""Which tokens are trained: the code and its end, in every arm, and never the context."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.dataset.micro import SAMPLES
from pipeline.dataset.samples import DatasetError
from pipeline.training.prompts import ARMS, Text, render
from tests.pipeline.conftest import Lab

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def tokenizer(lab: Lab) -> Any:
    from pipeline.training.load import load_tokenizer

    return load_tokenizer(str(lab.model))


@pytest.mark.parametrize("arm", ARMS)
def test_loss_falls_on_the_completion_and_the_end_only(tokenizer: Any, arm: str) -> None:
    from pipeline.training.data import IGNORE, encode_all

    texts = render(SAMPLES, arm)
    for sample, text, row in zip(SAMPLES, texts, encode_all(texts, tokenizer, 512), strict=True):
        assert len(row.ids) == len(row.labels)
        trained = [label for label in row.labels if label != IGNORE]
        start = len(row.ids) - len(trained)
        assert row.labels == (IGNORE,) * start + row.ids[start:]  # one block, at the end
        assert trained[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(trained[:-1]) == text.completion
        assert tokenizer.decode(row.ids[:start]) == tokenizer.bos_token + text.context
        assert list(row.ids).count(tokenizer.bos_token_id) == 1
        if arm != "control":
            assert not any(c.text in tokenizer.decode(trained) for c in sample.comments)


def test_the_end_is_trained_in_a_padded_batch_and_padding_is_not(tokenizer: Any) -> None:
    from pipeline.training.data import IGNORE, Collator, RowDataset, encode_all

    rows = encode_all(render(SAMPLES, "experiment"), tokenizer, 512)
    data = RowDataset(rows)
    batch = Collator(tokenizer.pad_token_id)([data[i] for i in range(len(data))])
    longest = max(len(row.ids) for row in rows)
    assert tuple(batch["input_ids"].shape) == (len(rows), longest)
    for row, ids, mask, labels in zip(
        rows, batch["input_ids"], batch["attention_mask"], batch["labels"], strict=True
    ):
        size = len(row.ids)
        assert tuple(ids[:size].tolist()) == row.ids
        assert int(labels[size - 1]) == tokenizer.eos_token_id
        assert int(mask.sum()) == size
        assert (ids[size:] == tokenizer.pad_token_id).all()
        assert (labels[size:] == IGNORE).all()


def test_no_token_spans_context_and_completion(tokenizer: Any) -> None:
    from pipeline.training.data import encode

    row = encode(Text("a", "x = ret", "urn"), tokenizer, 512)
    together = tokenizer("x = return")["input_ids"]
    assert list(row.ids[: -row.loss_tokens]) == tokenizer("x = ret")["input_ids"]
    assert list(row.ids[:-1]) != together  # joined text would have merged at the border


def test_the_name_of_a_special_token_in_a_sample_is_only_text(tokenizer: Any) -> None:
    from pipeline.training.data import encode

    evil = f"print('{tokenizer.eos_token}{tokenizer.bos_token}{tokenizer.pad_token}')"
    row = encode(Text("a", evil, evil), tokenizer, 512)
    special = [i for i in row.ids if i in tokenizer.all_special_ids]
    assert special == [tokenizer.bos_token_id, tokenizer.eos_token_id]


def test_a_sample_that_is_too_long_is_refused_not_cut(tokenizer: Any) -> None:
    from pipeline.training.data import encode_all

    texts = render(SAMPLES, "experiment")
    length = max(len(row.ids) for row in encode_all(texts, tokenizer, 512))
    assert len(encode_all(texts, tokenizer, length)) == len(SAMPLES)
    with pytest.raises(
        DatasetError, match=rf"micro-\w+ has {length} tokens, more than {length - 1}"
    ):
        encode_all(texts, tokenizer, length - 1)


def test_a_tokenizer_that_pads_with_its_end_is_refused(lab: Lab) -> None:
    from transformers import AutoTokenizer

    from pipeline.training.data import encode_all

    tokenizer = AutoTokenizer.from_pretrained(lab.model)
    tokenizer.pad_token = tokenizer.eos_token
    with pytest.raises(DatasetError, match="end would never be trained"):
        encode_all(render(SAMPLES[:1], "micro"), tokenizer, 512)


def test_llama_3_without_a_pad_token_gets_one_of_its_own(lab: Lab, tmp_path: Any) -> None:
    from transformers import AutoTokenizer

    from pipeline.training.load import load_tokenizer

    tokenizer = AutoTokenizer.from_pretrained(lab.model)
    tokenizer.pad_token = tokenizer.eos_token  # what is commonly done to the base model
    tokenizer.save_pretrained(tmp_path)
    mended = load_tokenizer(str(tmp_path))
    assert mended.pad_token == "<|reserved_special_token_0|>"
    assert mended.pad_token_id != mended.eos_token_id


def test_the_arms_differ_in_tokens_but_not_in_tasks(tokenizer: Any) -> None:
    from pipeline.training.data import encode_all

    rows = {arm: encode_all(render(SAMPLES, arm), tokenizer, 512) for arm in ARMS}
    assert len({tuple(row.sample_id for row in found) for found in rows.values()}) == 1
    trained = {arm: sum(row.loss_tokens for row in found) for arm, found in rows.items()}
    assert trained["experiment"] == trained["placebo"] == trained["micro"] < trained["control"]
