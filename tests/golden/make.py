"""Makes the golden models beside this file: tiny random models with the logits that `transformers` computes for them.

Each folder has what a published model has (`config.json`, `model.safetensors`, in shards where it is said so) and
`logits.json`: the tokens, the logits after each of them, and the versions that computed them. Weights are bf16, so a file
holds exactly the values that were computed with; logits are computed in f64 (norms, rotations and softmax in f32, where
the classes insist), attention and experts in plain PyTorch.

To make them anew, with the environment that `cargo xtask test` keeps in `~/.cache/slimfit` (or any with
`tests/python/requirements.txt`):

    python tests/golden/make.py [NAME…]

Values are seeded by model and tensor, so the same versions write the same bytes. Before a model is kept, the script sees
that the files give the same logits as the model they were written from, and that each field in `MATTERS` changes them.
"""

import copy
import hashlib
import importlib.util
import json
import os
import pathlib
import shutil
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import numpy
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils import logging

logging.disable_progress_bar()

HERE = pathlib.Path(__file__).parent
# slimfit's own class, which holds every architecture.
OWN = HERE / "../../crates/slimfit-emit/src/huggingface/modeling_slimfit.py"
specification = importlib.util.spec_from_file_location("modeling_slimfit", OWN)
modeling_slimfit = importlib.util.module_from_spec(specification)
sys.modules["modeling_slimfit"] = modeling_slimfit
specification.loader.exec_module(modeling_slimfit)
AutoConfig.register("slimfit", modeling_slimfit.SlimfitConfig)
AutoModelForCausalLM.register(modeling_slimfit.SlimfitConfig, modeling_slimfit.SlimfitForCausalLM)
TOKENS = [5, 9, 2, 60, 0, 9, 9, 1, 30, 44, 17, 17, 8, 63, 22, 3, 51, 9, 2, 40]
SPECIAL = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
USUAL = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
    "use_cache": False,
    **SPECIAL,
}
# Waves of the eight-value heads here are 6, 63, 628 and 6283 tokens long at the base 10 000, and 6, 20, 63, … in heads
# of 16: short contexts make every branch of a scaling matter within 20 tokens.
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
LONG = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0, 1.1, 1.5, 2.0],
    "long_factor": [1.0, 2.0, 4.0, 8.0],
}
MODELS = {
    "bloom": ("bloom", {"n_layer": 2, "n_head": 4, "tie_word_embeddings": True}),
    "falcon": ("falcon", {"ffn_hidden_size": 48, "multi_query": True, "parallel_attn": True, "bias": False, "tie_word_embeddings": True}),
    "gemma2": (
        "gemma2",
        {
            "num_hidden_layers": 3,
            "head_dim": 16,
            "query_pre_attn_scalar": 12,
            "sliding_window": 5,
            "attn_logit_softcapping": 2.0,
            "final_logit_softcapping": 8.0,
            "tie_word_embeddings": True,
        },
    ),
    "gemma3": (
        "gemma3_text",
        {
            "num_hidden_layers": 3,
            "head_dim": 16,
            "query_pre_attn_scalar": 12,
            "sliding_window": 5,
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
            "rope_parameters": {
                "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
                "full_attention": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0},
            },
            "tie_word_embeddings": True,
        },
    ),
    "gpt2": ("gpt2", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_inner": 48, "n_positions": 64, "tie_word_embeddings": True}),
    "gpt_neox": ("gpt_neox", {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}}),
    "granite": (
        "granite",
        {
            "embedding_multiplier": 3.0,
            "attention_multiplier": 0.25,
            "residual_multiplier": 0.5,
            "logits_scaling": 2.0,
            "tie_word_embeddings": True,
        },
    ),
    "llama": ("llama", {}),
    "llama-biases-tied": ("llama", {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    "llama-rope-llama3": ("llama", {"head_dim": 16, "rope_parameters": LLAMA3}),
    "llama-sharded": ("llama", {"num_hidden_layers": 3}),
    "mistral": ("mistral", {"sliding_window": 5}),
    "mixtral": ("mixtral", {"intermediate_size": 24, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None}),
    "olmo2": ("olmo2", {}),
    "opt": ("opt", {"ffn_dim": 48, "word_embed_proj_dim": 32, "tie_word_embeddings": True}),
    "phi": ("phi", {"num_key_value_heads": 4, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}}),
    "phi3": ("phi3", {"sliding_window": 7}),
    "phi3-longrope": ("phi3", {"original_max_position_embeddings": 16, "rope_parameters": LONG}),
    "qwen2": ("qwen2", {}),
    "qwen2_moe": (
        "qwen2_moe",
        {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "shared_expert_intermediate_size": 40},
    ),
    "qwen3": ("qwen3", {"head_dim": 16, "tie_word_embeddings": True}),
    "qwen3_moe": (
        "qwen3_moe",
        {"head_dim": 16, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "norm_topk_prob": True},
    ),
    "stablelm": ("stablelm", {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25}}),
    "starcoder2": ("starcoder2", {"sliding_window": 6, "use_bias": True, "tie_word_embeddings": True}),
}
# Architectures that no other class computes. What slimfit's runtime has no kernels for is in all but the first; there the
# tests hold their own reference to these logits.
ROTATED = {"base": 10000.0}
DENSE = {"kind": "dense", "size": 40}
EXPERTS = {"kind": "moe", "experts": 4, "top_k": 2, "expert_size": 16, "shared_size": 24, "gated": False, "activation": "gelu"}
ARCHITECTURES = {
    "slimfit-unlike": {
        "embedding_size": 16,
        "layers": [
            {"attention": {"heads": 4, "kv_heads": 2, "head_size": 8, "window": 5, "rope": ROTATED}, "ffn": EXPERTS},
            {"attention": {"heads": 2, "kv_heads": 1, "head_size": 16, "bias": {"qkv": True}}, "ffn": DENSE},
        ],
        "loops": {"first": 0, "layers": 2, "count": 2},
        "scales": {"logit_softcap": 8.0},
    },
    "slimfit-late-norms": {
        "layers": [
            {
                "attention": {
                    "heads": 4,
                    "kv_heads": 2,
                    "head_size": 8,
                    "qk_norm": "per_head_after_rotation",
                    "rope": {**ROTATED, "scaling": {"kind": "dynamic", "factor": 4.0, "original_context": 8}},
                },
                "ffn": DENSE,
            },
            {"attention": {"heads": 4, "kv_heads": 4, "head_size": 8, "qk_norm": "all_heads", "rope": ROTATED}, "ffn": DENSE},
        ],
        "norm": {"kind": "layer", "epsilon": 1e-5},
        "norm_placement": "sandwich",
    },
    "slimfit-scaled-alibi": {
        "layers": [
            {"attention": {"heads": 6, "kv_heads": 3, "head_size": 8, "qk_norm": "per_head", "softcap": 3.0}, "ffn": DENSE},
            {"attention": {"heads": 4, "kv_heads": 1, "head_size": 8, "window": 7}, "ffn": DENSE},
        ],
        "norm": {"kind": "layer_plain", "epsilon": 1e-5},
        "norm_placement": "parallel_two_norms",
        "positions": {"kind": "scaled_alibi"},
        "scales": {"logits": 0.5},
    },
    "slimfit-learned-factorised": {
        "embedding_size": 16,
        "tied_embeddings": True,
        "head_bias": True,
        "layers": [{"attention": {"heads": 4, "kv_heads": 2, "head_size": 8}, "ffn": {**DENSE, "bias": True}}],
        "norm": {"kind": "layer", "epsilon": 1e-5},
        "norm_placement": "post",
        "final_norm": False,
        "positions": {"kind": "learned", "context": 24, "offset": 2},
        "scales": {"logits": 0.5},
    },
}
# Fields that must change the logits when they have this value instead, or the model would show nothing.
MATTERS = {
    "gemma2": {"sliding_window": 64, "attn_logit_softcapping": None, "final_logit_softcapping": None, "query_pre_attn_scalar": 16},
    "gemma3": {"sliding_window": 64, "layer_types": ["sliding_attention"] * 3},
    "gpt_neox": {"use_parallel_residual": False},
    "granite": {"embedding_multiplier": 1.0, "attention_multiplier": 0.35, "residual_multiplier": 1.0, "logits_scaling": 1.0},
    "llama-rope-llama3": {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}},
    "mistral": {"sliding_window": None},
    "mixtral": {"num_experts_per_tok": 1},
    "phi3": {"sliding_window": None},
    "phi3-longrope": {"original_max_position_embeddings": 32},
    "qwen2_moe": {"norm_topk_prob": True},
    "qwen3_moe": {"norm_topk_prob": False},
    "starcoder2": {"sliding_window": None},
}
# Configs of that age say the same in other fields; most published ones are.
OLDER = {
    "llama-rope-llama3": lambda config: {
        **{key: value for key, value in config.items() if key not in ("rope_parameters", "dtype")},
        "rope_theta": LLAMA3["rope_theta"],
        "rope_scaling": {key: value for key, value in LLAMA3.items() if key != "rope_theta"},
        "torch_dtype": "bfloat16",
    },
}
# As the first published files of the family have them: without the name of the class's only child.
BARE = {"gpt2": "transformer."}
SHARDS = {"llama-sharded": "40KB"}


def generator(*names):
    digest = hashlib.sha256("/".join(names).encode()).digest()
    return numpy.random.Generator(numpy.random.PCG64(int.from_bytes(digest[:8], "little")))


def fill(model, name):
    """Values that show every convention: norms not all ones, biases not zero, products that neither vanish nor grow."""
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            values = generator(name, path).standard_normal(tuple(parameter.shape))
            values = torch.from_numpy(values)
            if parameter.dim() == 1:
                # Around what a new model has: 1 for norms, 0 for biases and for norms stored as offsets from 1.
                values = parameter.double() + 0.3 * values
            elif "embed" in path or "wte" in path or "wpe" in path:
                values = 0.7 * values
            else:
                values = values * 1.3 / parameter.shape[-1] ** 0.5
            parameter.copy_(values.to(torch.bfloat16))


def computing(model):
    model.set_attn_implementation("eager")
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")
    return model.eval().double()


def logits(model):
    with torch.no_grad():
        return model(torch.tensor([TOKENS])).logits[0].double()


def saved(config, folder):
    """Logits of a folder's files, whatever config they are read with."""
    return logits(computing(AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=torch.float64)))


def make(name):
    family, fields = MODELS.get(name) or ("slimfit", ARCHITECTURES[name])
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    known = CONFIG_MAPPING[family]
    if family == "slimfit":
        own = {"schema": modeling_slimfit.SCHEMA, "hidden_size": 32, "vocabulary_size": 64, **fields}
        fields = {"architecture": own, "max_position_embeddings": 24, "use_cache": False}
    else:
        # A field that the class does not have would be written all the same.
        fields = {**{field: value for field, value in USUAL.items() if hasattr(known(), field)}, **fields}
    config = known(**fields)
    model = AutoModelForCausalLM.from_config(config)
    fill(model, name)
    before = logits(computing(copy.deepcopy(model)))
    model = model.to(torch.bfloat16)
    model.save_pretrained(folder, max_shard_size=SHARDS.get(name, "1GB"))
    for more in ("generation_config.json", "modeling_slimfit.py"):
        (folder / more).unlink(missing_ok=True)
    if name in BARE:
        path = folder / "model.safetensors"
        bare = {key.removeprefix(BARE[name]): value for key, value in load_file(path).items()}
        save_file(bare, path, metadata={"format": "pt"})
    path = folder / "config.json"
    if name in OLDER:
        path.write_text(json.dumps(OLDER[name](json.loads(path.read_text())), indent=2, sort_keys=True) + "\n")
    found = saved(AutoConfig.from_pretrained(folder), folder)
    largest = found.abs().max()
    # Constants that a class keeps in f32, such as frequencies, may come back with or without that rounding.
    if (found - before).abs().max() > 1e-6 * largest:
        sys.exit(f"{name}: the files give other logits than the model, by {(found - before).abs().max()}")
    for field, value in MATTERS.get(name, {}).items():
        other = known(**{**fields, field: value})
        change = (saved(other, folder) - found).abs().max() / largest
        if change < 1e-2:
            sys.exit(f"{name}: `{field}` = {value} changes the logits by {change:.1e} only")
    record = {
        "made_with": {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]},
        "tokens": TOKENS,
        "logits": [[float(f"{value:.7g}") for value in row] for row in found.tolist()],
    }
    rows = ",\n  ".join(json.dumps(row, separators=(",", ":")) for row in record["logits"])
    head = json.dumps({key: record[key] for key in ("made_with", "tokens")})
    (folder / "logits.json").write_text(f'{head[:-1]}, "logits": [\n  {rows}\n]}}\n')
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{name}: {size} bytes, logits up to {largest:.2f}, spread {found.std():.2f}")
    return size


def main():
    names = sys.argv[1:] or [*MODELS, *ARCHITECTURES]
    print(f"{sum(make(name) for name in names)} bytes")


if __name__ == "__main__":
    main()
