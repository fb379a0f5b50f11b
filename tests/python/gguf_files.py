"""Logits of `slimfit measure FILE.gguf` against transformers, for files that the `gguf` package writes.

Each case is a tiny random model of one family in one storage type, with the names, permutations and metadata of
llama.cpp's converter. Transformers computes with the values that the `gguf` package reads back, so what a type loses is in
both. In f32 the logits agree to rounding: the file was understood. In the file's own type slimfit also rounds activations.
Prints one line for each case: `ok NAME`, `FAILED NAME: why` or `skipped NAME: why`.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "golden"))

import gguf
import numpy
import torch
from gguf import GGMLQuantizationType as Type
from make import LLAMA3, LONG, TOKENS, computing, fill, generator, logits
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

SLIMFIT = os.environ["SLIMFIT"]
# Rows of 256 values: one block of the k formats.
USUAL = {
    "vocab_size": 64,
    "hidden_size": 256,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
    "use_cache": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
PARTIAL = {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}
GEMMA3 = {
    "num_hidden_layers": 7,
    "head_dim": 32,
    "query_pre_attn_scalar": 32,
    "sliding_window": 5,
    "tie_word_embeddings": True,
    "rope_parameters": {
        "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        "full_attention": {"rope_type": "linear", "rope_theta": 1000000.0, "factor": 4.0},
    },
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
# Name: GGUF architecture, class of transformers, fields.
FAMILIES = {
    "arcee": ("arcee", "arcee", {}),
    "falcon": ("falcon", "falcon", {"multi_query": True, "ffn_hidden_size": 1024, "tie_word_embeddings": True}),
    "gemma": ("gemma", "gemma", {"head_dim": 32, "tie_word_embeddings": True}),
    "gemma2": (
        "gemma2",
        "gemma2",
        {
            "head_dim": 32,
            # Not in the file: readers take the size of a head.
            "query_pre_attn_scalar": 32,
            "sliding_window": 5,
            "attn_logit_softcapping": 2.0,
            "final_logit_softcapping": 30.0,
            "tie_word_embeddings": True,
        },
    ),
    "gemma3": ("gemma3", "gemma3_text", GEMMA3),
    "gpt2": ("gpt2", "gpt2", {"n_embd": 256, "n_layer": 2, "n_head": 8, "n_positions": 64, "tie_word_embeddings": True}),
    "gpt_neox": ("gptneox", "gpt_neox", {"rope_parameters": PARTIAL}),
    "granite": (
        "granite",
        "granite",
        {"embedding_multiplier": 3.0, "attention_multiplier": 0.25, "residual_multiplier": 0.5, "logits_scaling": 2.0},
    ),
    "llama": ("llama", "llama", {}),
    "llama-rope-llama3": ("llama", "llama", {"rope_parameters": LLAMA3}),
    "llama-tied": ("llama", "llama", {"head_dim": 64, "tie_word_embeddings": True}),
    "mixtral": ("llama", "mixtral", {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None}),
    "nemotron": ("nemotron", "nemotron", {"rope_parameters": PARTIAL}),
    "olmo2": ("olmo2", "olmo2", {}),
    "phi": ("phi2", "phi", {"num_key_value_heads": 8, "intermediate_size": 1024, "rope_parameters": PARTIAL}),
    "phi3": ("phi3", "phi3", {}),
    "phi3-partial": ("phi3", "phi3", {"rope_parameters": PARTIAL}),
    "phi3-longrope": (
        "phi3",
        "phi3",
        {
            "original_max_position_embeddings": 16,
            "rope_parameters": {**LONG, "short_factor": [1.0, 1.1, 1.5, 2.0] * 4, "long_factor": [1.0, 2.0, 4.0, 8.0] * 4},
        },
    ),
    "qwen2": ("qwen2", "qwen2", {}),
    "qwen2_moe": ("qwen2moe", "qwen2_moe", {**EXPERTS, "shared_expert_intermediate_size": 128}),
    "qwen3": ("qwen3", "qwen3", {"head_dim": 64, "tie_word_embeddings": True}),
    "qwen3_moe": ("qwen3moe", "qwen3_moe", {**EXPERTS, "head_dim": 64, "norm_topk_prob": True}),
    "smollm3": ("smollm3", "smollm3", {"num_hidden_layers": 5}),
    "stablelm": ("stablelm", "stablelm", {"rope_parameters": {**PARTIAL, "partial_rotary_factor": 0.25}}),
    "starcoder2": ("starcoder2", "starcoder2", {"sliding_window": None, "tie_word_embeddings": True}),
}
# Whose files have the rows of queries and keys in the order in which pairs rotate, and whose have the 1 in their norms.
NEIGHBOURS = ("arcee", "granite", "llama", "smollm3")
SUMS = ("gemma", "gemma2", "gemma3", "nemotron")
# How far logits may be from the reference's, as roots of mean squares: sums of 256 terms in f32, thirty behind each other,
# are 30 · √256 · 2⁻²⁴ = 3e-5; the others round activations, to within 2⁻⁹ (bf16) or to steps of a 127th of the largest of
# a block, which is 1.2 % and 3.5 to 4.2 % over nine products.
EXACT = 1e-4
OWN = {
    Type.F32: EXACT,
    Type.F16: EXACT,
    Type.BF16: 1.2e-2,
    Type.Q8_0: 3.5e-2,
    Type.Q4_0: 3.5e-2,
    Type.Q4_K: 4.2e-2,
    Type.Q6_K: 4.2e-2,
}
# Types without a kernel are rounded once more, to q8_0 or q6_k.
ROUNDED = {Type.Q4_1: 3.5e-2, Type.Q5_0: 3.5e-2, Type.Q5_1: 3.5e-2, Type.Q5_K: 3.5e-2, Type.Q2_K: 6e-2, Type.Q3_K: 6e-2}
# Types that the package reads and does not write: where the f16 factors lie in a block, and what they are beside a first
# factor of 1, so that values lie around 0.
FACTORS = {
    Type.Q2_K: [(80, 1.0), (82, 1.5)],
    Type.Q3_K: [(108, 1.0)],
    Type.Q4_K: [(0, 1.0), (2, 7.5)],
    Type.Q5_K: [(0, 1.0), (2, 15.5)],
    Type.Q6_K: [(208, 1.0)],
}
ALL = [Type.F32, Type.F16, Type.BF16, Type.Q8_0, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, *FACTORS]


def scale(blocks, type, first):
    for at, factor in FACTORS[type]:
        blocks[:, at : at + 2] = numpy.array([first * factor], "<f2").view(numpy.uint8)


def encoded(name, values, type):
    """The stored bytes of a tensor, row by row, and the values they stand for."""
    if values.ndim == 1 or "ffn_gate_inp" in name:
        type = Type.F32
    if type not in FACTORS:
        stored = gguf.quants.quantize(values, type)
    else:
        size = gguf.GGML_QUANT_SIZES[type][1]
        blocks = generator(name, type.name).integers(0, 256, (values.size // 256, size), dtype=numpy.uint8)
        scale(blocks, type, 1.0)
        scale(blocks, type, values.std() / gguf.quants.dequantize(blocks, type).std())
        stored = blocks.reshape(*values.shape[:-1], -1)
    return type, stored, gguf.quants.dequantize(stored, type).reshape(values.shape)


def interleaved(rows, heads):
    """The rows of queries or keys as Llama's GGUF has them: pairs of a rotation beside each other."""
    return rows.reshape(heads, 2, -1, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)


def grouped(rows, heads):
    """Query, key and value of each head behind each other, to all queries, all keys, all values."""
    parts = rows.reshape(heads, 3, -1, *rows.shape[1:])
    return numpy.concatenate([parts[:, part].reshape(-1, *rows.shape[1:]) for part in range(3)])


def write(file, family, config, model, types):
    """Writes the file and leaves in the model the values that the file has."""
    writer = gguf.GGUFWriter(file, family)
    metadata(writer, family, config)
    architecture = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == family)
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    tied = config.tie_word_embeddings
    for path, parameter in model.named_parameters():
        if tied and path == "lm_head.weight":
            continue
        values = parameter.detach().float().numpy()
        conv = family == "gpt2" and path.split(".")[-2] in ("c_attn", "c_proj", "c_fc")
        if conv and values.ndim == 2:
            values = numpy.ascontiguousarray(values.T)
        known = path.replace("mlp.experts", "block_sparse_moe.experts") if config.model_type == "mixtral" else path
        known = known.replace("gate_up_proj", "up_proj") if ".experts." in path else known
        name = names.get_name(known if known.endswith((".weight", ".bias")) else f"{known}.weight", (".weight", ".bias"))
        if config.model_type == "mixtral" and ".experts." in path:
            layer = path.split(".")[2]
            name = f"blk.{layer}.{'ffn_down_exps' if 'down' in path else 'ffn_up_exps'}.weight"
        if name is None:
            raise KeyError(f"no name for {path}")
        if family in SUMS and path.endswith("norm.weight"):
            writer.add_tensor(name, values + 1)
            continue
        type, stored, kept = encoded(name, values, types(name))
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(kept.T if conv and kept.ndim == 2 else kept))
        raw = None if type in (Type.F32, Type.F16) else type
        if family in NEIGHBOURS and name.split(".")[-2] in ("attn_q", "attn_k"):
            key = name.split(".")[-2] == "attn_k"
            stored = interleaved(stored, config.num_key_value_heads if key else config.num_attention_heads)
        if family == "gptneox" and "attn_qkv" in name:
            stored = grouped(stored, config.num_attention_heads)
        if name.endswith("ffn_up_exps.weight"):
            gate, up = numpy.split(stored, 2, axis=1)
            writer.add_tensor(name.replace("up_exps", "gate_exps"), numpy.ascontiguousarray(gate), raw_dtype=raw)
            stored = numpy.ascontiguousarray(up)
        writer.add_tensor(name, stored, raw_dtype=raw)
    for name, factors in rotations(config):
        writer.add_tensor(name, numpy.array(factors, numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def metadata(writer, family, config):
    writer.add_name("Tiny")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(1 if family == "falcon" else getattr(config, "num_key_value_heads", config.num_attention_heads))
    writer.add_feed_forward_length(getattr(config, "intermediate_size", 4 * config.hidden_size))
    writer.add_vocab_size(config.vocab_size)
    writer.add_token_list([f"<{index}>" for index in range(config.vocab_size)])
    epsilon = getattr(config, "rms_norm_eps", None)
    if epsilon is not None:
        writer.add_layer_norm_rms_eps(epsilon)
    else:
        names = ("layer_norm_epsilon", "layer_norm_eps", "norm_epsilon", "norm_eps")
        writer.add_layer_norm_eps(next(getattr(config, name) for name in names if hasattr(config, name)))
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if family in ("gemma", "gemma2", "gemma3", "qwen3", "qwen3moe") or head * config.num_attention_heads != config.hidden_size:
        writer.add_key_length(head)
        writer.add_value_length(head)
    rope = getattr(config, "rope_parameters", None)
    if rope and "full_attention" in rope:
        writer.add_rope_freq_base_swa(rope["sliding_attention"]["rope_theta"])
        rope = rope["full_attention"]
    if rope:
        writer.add_rope_freq_base(rope["rope_theta"])
        writer.add_rope_dimension_count(int(head * rope.get("partial_rotary_factor", 1.0)))
    if rope and rope.get("rope_type") == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    if family == "gemma3":
        writer.add_sliding_window(config.sliding_window)
    if family == "granite":
        writer.add_attention_scale(config.attention_multiplier)
        writer.add_embedding_scale(config.embedding_multiplier)
        writer.add_residual_scale(config.residual_multiplier)
        writer.add_logit_scale(config.logits_scaling)
    if family == "phi3":
        writer.add_rope_scaling_orig_ctx_len(config.original_max_position_embeddings)
        writer.add_sliding_window(config.sliding_window or 0)
    if family == "gemma2":
        writer.add_sliding_window(config.sliding_window)
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    if family in ("gptneox", "stablelm"):
        writer.add_parallel_residual(config.use_parallel_residual)
    experts = getattr(config, "num_local_experts", None) or getattr(config, "num_experts", None)
    if experts:
        writer.add_expert_count(experts)
        writer.add_expert_used_count(config.num_experts_per_tok)


def rotations(config):
    """What the converter stores of a rotation's scaling: one divisor for each pair."""
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") == "longrope":
        return [("rope_factors_long.weight", rope["long_factor"]), ("rope_factors_short.weight", rope["short_factor"])]
    if rope.get("rope_type") != "llama3":
        return []
    head = config.hidden_size // config.num_attention_heads
    original, factor = rope["original_max_position_embeddings"], rope["factor"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    divisors = []
    for pair in range(head // 2):
        turns = original * rope["rope_theta"] ** (-2 * pair / head) / (2 * numpy.pi)
        smooth = min(max((turns - low) / (high - low), 0.0), 1.0)
        divisors.append(1 / ((1 - smooth) / factor + smooth))
    return [("rope_freqs.weight", divisors)]


def model_of(name):
    family, model_type, fields = FAMILIES[name]
    known = CONFIG_MAPPING[model_type]
    config = known(**{**{field: value for field, value in USUAL.items() if hasattr(known(), field)}, **fields})
    model = AutoModelForCausalLM.from_config(config)
    fill(model, f"gguf-{name}")
    return family, config, model.float()


def answer(name, folder, file, *arguments):
    """Logits as slimfit computes them; none after a line that says why not."""
    tokens, out = folder / "tokens.txt", folder / f"{name}.npy"
    tokens.write_text(" ".join(str(token) for token in TOKENS))
    command = [SLIMFIT, "measure", str(file), "--kv", "f32", "--token-ids", str(tokens), "--logits", str(out), *arguments]
    finished = subprocess.run([*command, "--json"], capture_output=True, text=True)
    if finished.returncode != 0:
        try:
            reason = json.loads(finished.stdout)["error"]["message"]
        except ValueError:
            reason = finished.stderr.strip().splitlines()[-1:]
        print(f"FAILED {name}: {reason}")
        return None
    return numpy.load(out)


def check(name, folder, right, bound, file, *arguments):
    found = answer(name, folder, file, *arguments)
    if found is None:
        return
    error = numpy.sqrt(((found - right) ** 2).mean() / (right**2).mean())
    if found.shape == right.shape and error <= bound:
        print(f"ok {name} ({error:.1e})")
    else:
        print(f"FAILED {name}: logits {found.shape} are {error:.1e} from those of transformers, allowed are {bound:.1e}")


def case(name, label, folder, types, own=None):
    """One file, read into f32 and, where `own` says how far it may be off, as it is."""
    family, config, model = model_of(name)
    file = folder / f"{name}-{label}.gguf"
    write(file, family, config, model, types)
    right = logits(computing(model)).numpy()
    check(f"{name}-{label}-in-f32", folder, right, EXACT, file, "--weights", "f32")
    if own is not None:
        check(f"{name}-{label}", folder, right, {**OWN, **ROUNDED}[own], file)
    file.unlink()


def mixed(name):
    """As published files of the k formats are: more bits where they matter most."""
    better = any(part in name for part in ("attn_v", "ffn_down", "output.weight"))
    return Type.Q6_K if better else Type.Q4_K


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name in FAMILIES:
            case(name, "f32", folder, lambda _: Type.F32)
            case(name, "q8_0", folder, lambda _: Type.Q8_0)
        for type in ALL[1:]:
            case("llama", type.name.lower(), folder, lambda _: type, type)
        case("llama", "mixed", folder, mixed, Type.Q4_K)
        case("qwen2", "q4_k", folder, lambda _: Type.Q4_K, Type.Q4_K)


if __name__ == "__main__":
    main()
