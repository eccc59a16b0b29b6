"""Training texts to token ids and labels, and rows to padded batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from pipeline.dataset.samples import DatasetError
from pipeline.training.prompts import Text

IGNORE = -100
"""Label of a position that carries no loss (torch.nn.functional.cross_entropy's ignore_index)."""


@dataclass(frozen=True)
class Row:
    """One tokenised sample. `labels[i]` is `ids[i]` on the completion and its end token, else IGNORE."""

    sample_id: str
    ids: tuple[int, ...]
    labels: tuple[int, ...]

    @property
    def loss_tokens(self) -> int:
        """Positions that carry loss."""
        return sum(label != IGNORE for label in self.labels)


def context_ids(text: str, tokenizer: Any) -> list[int]:
    """Begin token and the text's own tokens; a special token's name inside the text stays plain text."""
    return list(tokenizer(text, split_special_tokens=True)["input_ids"])


def encode(text: Text, tokenizer: Any, max_length: int) -> Row:
    """Tokenise context and completion apart, so that no token spans their boundary, and end with EOS.

    Raises DatasetError when the sample is longer than `max_length`: cutting it would cut the answer.
    """
    context = context_ids(text.context, tokenizer)
    code = tokenizer(text.completion, add_special_tokens=False, split_special_tokens=True)
    answer = [*code["input_ids"], tokenizer.eos_token_id]
    ids = [*context, *answer]
    if len(ids) > max_length:
        raise DatasetError(
            f"sample {text.sample_id} has {len(ids)} tokens, more than {max_length}; "
            "shorten it or leave it out of every arm"
        )
    return Row(text.sample_id, tuple(ids), (*[IGNORE] * len(context), *answer))


def encode_all(texts: Sequence[Text], tokenizer: Any, max_length: int) -> list[Row]:
    """All rows in order. Raises DatasetError as `encode` does, and where EOS would not be trained."""
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        raise DatasetError(
            "the tokenizer pads with its end token, so the end would never be trained"
        )
    return [encode(text, tokenizer, max_length) for text in texts]


class RowDataset(torch.utils.data.Dataset):  # type: ignore[misc]
    """Rows as the Trainer wants them."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = list(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        row = self.rows[index]
        return {"input_ids": list(row.ids), "labels": list(row.labels)}


class Collator:
    """Pads a batch on the right to its longest row."""

    def __init__(self, pad_token_id: int) -> None:
        self.pad = pad_token_id

    def __call__(self, rows: Sequence[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        """input_ids, attention_mask and labels, each of shape (batch, longest), int64."""
        longest = max(len(row["input_ids"]) for row in rows)
        ids, mask, labels = [], [], []
        for row in rows:
            gap = longest - len(row["input_ids"])
            ids.append(row["input_ids"] + [self.pad] * gap)
            mask.append([1] * len(row["input_ids"]) + [0] * gap)
            labels.append(row["labels"] + [IGNORE] * gap)
        return {
            "input_ids": torch.tensor(ids),
            "attention_mask": torch.tensor(mask),
            "labels": torch.tensor(labels),
        }
