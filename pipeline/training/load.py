"""A base model in 4-bit NF4 with LoRA adapters, on CUDA where there is one, else on the CPU."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from pipeline.dataset.samples import InputError
from pipeline.training.recipe import Recipe

PAD_CANDIDATES = ("<|finetune_right_pad_id|>", "<|reserved_special_token_0|>")
"""Llama 3.1 has the first, Llama 3 only the second; neither needs the embeddings to grow."""


class ModelError(InputError):
    """A base model or tokenizer that cannot be loaded; the text is one sentence."""


def device_name() -> str:
    """`cuda:0 NVIDIA …` or `cpu`."""
    return f"cuda:0 {torch.cuda.get_device_name(0)}" if torch.cuda.is_available() else "cpu"


def quantization() -> BitsAndBytesConfig:
    """NF4, double quantisation, bf16 compute: bitsandbytes' own defaults are FP4, none and fp32."""
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def load_tokenizer(name: str, revision: str | None = None) -> Any:
    """The tokenizer with a pad token of its own. Raises ModelError."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
    except (OSError, ValueError) as problem:
        raise ModelError(_sentence(name, "tokenizer", problem)) from problem
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        known = tokenizer.get_vocab()
        for candidate in PAD_CANDIDATES:
            if candidate in known:
                tokenizer.pad_token = candidate
                break
    return tokenizer


def linear4bit_modules(model: Any) -> list[Any]:
    """All layers that hold 4-bit weights."""
    from bitsandbytes.nn import Linear4bit

    return [module for module in model.modules() if isinstance(module, Linear4bit)]


def load_base(name: str, revision: str | None = None) -> Any:
    """The base model, quantised while it is read.

    On CPUs with AVX512-BF16 an evaluation repacks 4-bit weights into a layout whose kernel has no
    gradient, and training then goes on with wrong ones; the repacking is switched off. CUDA is not
    concerned.

    Only safetensors are read: older weight files are pickles, which run code when they are loaded.
    Raises ModelError.
    """
    cuda = torch.cuda.is_available()
    try:
        model = AutoModelForCausalLM.from_pretrained(
            name,
            revision=revision,
            quantization_config=quantization(),
            dtype=torch.bfloat16,
            device_map={"": 0} if cuda else {"": "cpu"},
            attn_implementation="sdpa",
            use_safetensors=True,
        )
    except (OSError, ValueError) as problem:
        raise ModelError(_sentence(name, "base model", problem)) from problem
    for module in linear4bit_modules(model):
        module.support_avx512bf16_for_cpu = False
    return model


def _sentence(name: str, what: str, problem: BaseException) -> str:
    first = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
    return f"the {what} “{name}” cannot be loaded: {first[:300]}"


def add_lora(model: Any, recipe: Recipe) -> Any:
    """Freeze the base and add trainable adapters to every linear layer but the head.

    `prepare_model_for_kbit_training` is not called: it would raise embeddings and head to fp32,
    which costs 2 GiB on an 8B model.
    """
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        bias="none",
        task_type="CAUSAL_LM",
        target_modules="all-linear",
    )
    adapted = get_peft_model(model, config)
    adapted.enable_input_require_grads()
    return adapted


def gpu_bytes() -> tuple[int | None, int | None]:
    """(allocated, reserved) bytes on the GPU now, None without one."""
    if not torch.cuda.is_available():
        return None, None
    return torch.cuda.memory_allocated(), torch.cuda.memory_reserved()


def model_facts(model: Any) -> dict[str, Any]:
    """What the journal says of a loaded model; proves or disproves the 4-bit load."""
    config = getattr(model.config, "quantization_config", None)
    allocated, _ = gpu_bytes()
    facts = {
        "load_in_4bit": bool(getattr(config, "load_in_4bit", False)),
        "quant_type": str(getattr(config, "bnb_4bit_quant_type", "")),
        "double_quant": bool(getattr(config, "bnb_4bit_use_double_quant", False)),
        "compute_dtype": str(getattr(config, "bnb_4bit_compute_dtype", "")).removeprefix("torch."),
        "linear4bit": len(linear4bit_modules(model)),
        "parameters": sum(logical_size(p) for p in model.parameters()),
        "trainable": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "footprint_bytes": int(model.get_memory_footprint()),
        "gpu_bytes_after_load": allocated,
    }
    if allocated is None:
        facts["reason_no_gpu"] = "torch finds no CUDA device"
    return facts


def logical_size(parameter: Any) -> int:
    """Number of weights in a parameter; two of them share a byte where it is 4-bit."""
    state = getattr(parameter, "quant_state", None)
    shape = getattr(state, "shape", None)
    return int(torch.Size(shape).numel()) if shape is not None else int(parameter.numel())
