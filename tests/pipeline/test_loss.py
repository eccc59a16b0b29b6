"""The lean loss is the default loss: same value, same gradients, same training."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.pipeline.conftest import Lab

pytestmark = pytest.mark.train


def batch_of(lab: Lab) -> Any:
    from pipeline.dataset.samples import read_samples
    from pipeline.training.data import Collator, RowDataset, encode_all
    from pipeline.training.load import load_tokenizer
    from pipeline.training.prompts import render

    tokenizer = load_tokenizer(str(lab.model))
    data = RowDataset(encode_all(render(read_samples(lab.dataset), "experiment"), tokenizer, 512))
    return Collator(tokenizer.pad_token_id)([data[index] for index in range(len(data))])


@pytest.mark.parametrize("chunk", [1, 7, 256, 100_000])
def test_value_and_gradients_equal_the_default_loss(lab: Lab, chunk: int) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from pipeline.training.loss import chunked_cross_entropy

    batch = batch_of(lab)
    default = AutoModelForCausalLM.from_pretrained(lab.model, dtype=torch.float64)
    lean = copy.deepcopy(default)
    expected = default(**batch, use_cache=False).loss
    expected.backward()

    hidden = lean.model(batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False)
    total, count = chunked_cross_entropy(
        lean.lm_head, hidden.last_hidden_state, batch["labels"], chunk, train=True
    )
    (total / count).backward()
    assert count == int((batch["labels"] != -100).sum())
    # Tokens are scored in fp32 by both; everything else is fp64, so the rest is rounding of the sums.
    assert (total / count).item() == pytest.approx(expected.item(), rel=1e-6)
    for (name, wanted), (_, got) in zip(
        default.named_parameters(), lean.named_parameters(), strict=True
    ):
        assert wanted.grad is not None, name
        assert got.grad is not None, name
        error = float((got.grad - wanted.grad).norm() / wanted.grad.norm().clamp(min=1e-12))
        assert error < 1e-6, f"{name}: {error}"


def test_evaluation_and_training_score_alike(lab: Lab) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from pipeline.training.loss import chunked_cross_entropy

    batch = batch_of(lab)
    model = AutoModelForCausalLM.from_pretrained(lab.model, dtype=torch.float32)
    with torch.no_grad():
        hidden = model.model(batch["input_ids"]).last_hidden_state
        parts = [
            chunked_cross_entropy(model.lm_head, hidden, batch["labels"], 16, train)
            for train in (True, False)
        ]
    assert float(parts[0][0]) == float(parts[1][0])


def test_a_batch_without_loss_has_a_gradient_of_zero() -> None:
    import torch

    from pipeline.training.loss import chunked_cross_entropy

    hidden = torch.randn(1, 4, 8, requires_grad=True)
    head = torch.nn.Linear(8, 16)
    total, count = chunked_cross_entropy(head, hidden, torch.full((1, 4), -100), 2, train=True)
    total.backward()
    assert (total.item(), count) == (0.0, 0)
    assert hidden.grad is not None
    assert float(hidden.grad.abs().sum()) == 0.0


def test_a_run_with_the_default_loss_learns_the_same(lab: Lab, tmp_path: Any) -> None:
    """Whole Trainer, NF4 and bf16, accumulation over unequal lengths: only the loss is exchanged."""
    from transformers import Trainer, TrainingArguments, set_seed

    from pipeline.dataset.samples import read_samples
    from pipeline.training import load
    from pipeline.training.data import Collator, RowDataset, encode_all
    from pipeline.training.loss import LeanTrainer
    from pipeline.training.prompts import render
    from pipeline.training.recipe import Recipe

    def losses(kind: type[Trainer]) -> list[float]:
        set_seed(0)
        tokenizer = load.load_tokenizer(str(lab.model))
        model = load.add_lora(load.load_base(str(lab.model)), Recipe(lora_dropout=0.0))
        rows = encode_all(render(read_samples(lab.dataset), "control"), tokenizer, 512)
        trainer = kind(
            model=model,
            args=TrainingArguments(
                output_dir=str(tmp_path), max_steps=6, per_device_train_batch_size=2,
                gradient_accumulation_steps=2, learning_rate=1e-3, lr_scheduler_type="constant",
                bf16=True, use_cpu=True, logging_steps=1, save_strategy="no", report_to=[],
                disable_tqdm=True, remove_unused_columns=False, prediction_loss_only=True,
                optim="adamw_torch",
            ),
            train_dataset=RowDataset(rows),
            data_collator=Collator(tokenizer.pad_token_id),
        )  # fmt: skip
        trainer.train()
        return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]

    default, lean = losses(Trainer), losses(LeanTrainer)
    assert len(lean) == 6
    assert lean[-1] < lean[0]
    assert lean == pytest.approx(default, rel=2e-3)  # bf16 logits
