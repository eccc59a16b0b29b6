"""Hyper-parameters of a run: one frozen record, the same for every arm, hashed into the journal.

Defaults are those for Llama-3-8B on a 12 GB card: QLoRA (Dettmers et al. 2023, arXiv:2305.14314),
NF4 with double quantisation, bf16 compute, LoRA on all linear layers, paged 8-bit AdamW.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Recipe:
    """Lengths in tokens, rates per optimizer step."""

    max_length: int = 2048
    batch_size: int = 1
    grad_accum: int = 8
    learning_rate: float = 2e-4
    warmup: float = 0.1
    """Share of the steps."""
    schedule: str = "cosine"
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.05
    optimizer: str = "paged_adamw_8bit"
    activation_checkpointing: bool = True
    loss_chunk: int = 256
    """Positions whose logits exist at the same time."""
    save_steps: int = 100

    def sha256(self) -> str:
        """Hash of all values."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


LARGE = Recipe()

TINY = Recipe(
    max_length=512,
    batch_size=1,
    grad_accum=4,
    learning_rate=1e-3,
    lora_dropout=0.05,
    optimizer="adamw_torch",
    activation_checkpointing=False,
)
"""For models of a few hundred thousand parameters: they fit anywhere and learn slowly at 2e-4."""

TINY_PARAMETERS = 50_000_000


def recipe_for(parameters: int) -> Recipe:
    """The recipe for a model of that many parameters."""
    return TINY if parameters < TINY_PARAMETERS else LARGE
