"""Cross-entropy over the completion only, without ever holding all logits.

With a vocabulary of 128,256 the logits of 2,048 positions are 1 GiB in fp32, and their gradient as
much again. Only positions that carry loss are projected, a chunk at a time, and each chunk is
recomputed in the backward pass. Gradients are those of the default loss.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint
from transformers import Trainer

from pipeline.training.data import IGNORE


def chunked_cross_entropy(
    head: Any, hidden: torch.Tensor, labels: torch.Tensor, chunk: int, train: bool
) -> tuple[torch.Tensor, int]:
    """Summed cross-entropy of next-token prediction.

    Args:
        head: the output projection, (n, width) -> (n, vocabulary).
        hidden: last hidden states, shape (batch, length, width).
        labels: shape (batch, length), IGNORE where a position carries no loss.
        chunk: positions projected at the same time.
        train: recompute each chunk in the backward pass instead of keeping its logits.

    Returns:
        The sum (a scalar that has a gradient even when no position counts) and the number of positions.
    """
    targets = labels[:, 1:]
    keep = targets != IGNORE
    kept, wanted = hidden[:, :-1][keep], targets[keep]
    if not len(wanted):
        return hidden.sum() * 0.0, 0

    def part(states: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(head(states).float(), target, reduction="sum")

    total = hidden.new_zeros((), dtype=torch.float32)
    for states, target in zip(kept.split(chunk), wanted.split(chunk), strict=True):
        if train:
            total = total + checkpoint(part, states, target, use_reentrant=False)
        else:
            total = total + part(states, target)
    return total, len(wanted)


class LeanTrainer(Trainer):  # type: ignore[misc]
    """transformers' Trainer with the loss above; counts the tokens it has seen."""

    chunk = 256
    tokens_seen = 0

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Mean loss per completion token over the whole accumulated batch."""
        base = self.accelerator.unwrap_model(model).get_base_model()
        hidden = base.model(
            input_ids=inputs["input_ids"],
            attention_mask=inputs.get("attention_mask"),
            use_cache=False,
        ).last_hidden_state
        total, count = chunked_cross_entropy(
            base.lm_head, hidden, inputs["labels"], self.chunk, model.training
        )
        if model.training:
            self.tokens_seen += int(inputs["attention_mask"].sum())
        size = count if num_items_in_batch is None else int(num_items_in_batch)
        loss = total / max(size, 1)
        return (loss, {}) if return_outputs else loss

    def preflight(self, batch: dict[str, torch.Tensor]) -> None:
        """One forward and backward of `batch` before step 1, so that a lack of memory shows at once.

        The random state is put back and the gradients are dropped: the run is the same with and
        without it.
        """
        device = next(self.model.parameters()).device
        devices = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            self.model.train()
            inputs = {key: value.to(device) for key, value in batch.items()}
            with self.compute_loss_context_manager():
                loss = self.compute_loss(self.model, inputs)
            loss.backward()
            self.model.zero_grad(set_to_none=True)
        self.tokens_seen = 0
