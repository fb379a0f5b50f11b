"""slimfit's own class for transformers, `modeling_slimfit.py`, against `slimfit measure`, axis by axis.

Each case is a tiny model that differs from a plain one in one axis, or a random combination of them. `slimfit emit` writes
its files where no standard class holds it, and this script writes the same config where one does; then
- the class has exactly the parameters that slimfit counts,
- a few steps of gradient descent lower the loss, and the saved model loads with identical weights and logits,
- slimfit reads the saved folder and computes the same logits, and
- text generated with a cache is that generated without, and that of a padded batch.
Prints one line for each case: `ok NAME`, `FAILED NAME: why` or `skipped NAME: why`.
"""

import copy
import json
import math
import os
import pathlib
import random
import subprocess
import sys
import tempfile

FOLDER = tempfile.TemporaryDirectory()
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_MODULES_CACHE"] = FOLDER.name + "/modules"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import numpy
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

logging.disable_progress_bar()
SLIMFIT = os.environ["SLIMFIT"]
TOKENS = [5, 9, 2, 60, 0, 9, 9, 1, 30, 44, 17, 17, 8, 63, 22, 3, 51, 9, 2, 40]
# Sums of some hundred terms in f32, a few dozen behind each other.
BOUND = 1e-4
SEED = 20
RANDOM_CASES = 30

ATTENTION = {"heads": 4, "kv_heads": 2, "head_size": 8, "rope": {"base": 10000.0}}
FFN = {"kind": "dense", "size": 48}
MOE = {"kind": "moe", "experts": 5, "top_k": 2, "expert_size": 24}


def model(attention=None, ffn=None, layers=None, **top):
    """A plain model of two layers with these changes."""
    run = {"repeat": 2, "attention": {**ATTENTION, **(attention or {})}, "ffn": ffn or FFN}
    return {"hidden_size": 32, "vocabulary_size": 64, "layers": layers or [run], **top}


def layer(attention=None, ffn=None, repeat=1):
    return {"repeat": repeat, "attention": {**ATTENTION, **(attention or {})}, "ffn": ffn or FFN}


def rope(**fields):
    return {"rope": {"base": 10000.0, **fields}}


def scaled(kind, **fields):
    return rope(scaling={"kind": kind, **fields})


# Pairs of an eight-value head turn once in 6, 63, 628 and 6283 tokens: short contexts make every branch of a scaling
# matter within 20 tokens.
DIVISORS = {"short_factor": [1.0, 1.1, 1.5, 2.0], "long_factor": [1.0, 2.0, 4.0, 8.0]}
YARN = {"factor": 4.0, "beta_fast": 4.0, "beta_slow": 1.0, "original_context": 32}
ROPES = {
    "linear": scaled("linear", factor=2.5),
    "dynamic": scaled("dynamic", factor=2.0, original_context=8),
    "dynamic-short": scaled("dynamic", factor=2.0, original_context=99),
    "llama3": scaled("llama3", factor=8.0, low_frequency_factor=1.0, high_frequency_factor=4.0, original_context=32),
    "yarn": scaled("yarn", **YARN),
    "yarn-factor": scaled("yarn", **YARN, attention_factor=1.25),
    "longrope-long": scaled("long_rope", **DIVISORS, original_context=16, attention_factor=1.19),
    "longrope-short": scaled("long_rope", **DIVISORS, original_context=64, attention_factor=1.19),
    "partial": rope(rotated=4),
    "interleaved": rope(interleaved=True),
    "interleaved-partial": rope(interleaved=True, rotated=4),
    "none": {"rope": None},
}
NORMS = {
    "rms": {"kind": "rms", "epsilon": 1e-5},
    "rms-plus-one": {"kind": "rms", "epsilon": 1e-6, "weight_plus_one": True},
    "layer": {"kind": "layer", "epsilon": 1e-5},
    "layer-plus-one": {"kind": "layer", "epsilon": 1e-5, "weight_plus_one": True},
    "layer_no_bias": {"kind": "layer_no_bias", "epsilon": 1e-5},
    "layer_plain": {"kind": "layer_plain", "epsilon": 1e-5},
}
PLACEMENTS = ["pre", "post", "post_branch", "sandwich", "parallel_one_norm", "parallel_two_norms"]
QK_NORMS = ["per_head", "per_head_after_rotation", "each_head", "all_heads"]
ACTIVATIONS = ["silu", "gelu", "gelu_tanh", "relu", "relu_squared"]
BIASES = {"qkv": {"qkv": True}, "output": {"output": True}, "all": {"qkv": True, "output": True}}
FFNS = {
    **{f"gated-{name}": {**FFN, "activation": name} for name in ACTIVATIONS},
    **{f"ungated-{name}": {**FFN, "activation": name, "gated": False} for name in ACTIVATIONS},
    "bias": {**FFN, "bias": True},
    "ungated-bias": {**FFN, "bias": True, "gated": False},
    "moe": MOE,
    "moe-normalised": {**MOE, "normalise_top_k": True},
    "moe-all-ungated": {**MOE, "top_k": 5, "gated": False, "activation": "gelu"},
    "moe-router-bias": {**MOE, "router_bias": True},
    "moe-shared": {**MOE, "shared_size": 40},
    "moe-shared-gate": {**MOE, "shared_size": 40, "shared_gate": True, "normalise_top_k": True},
    "moe-shared-ungated": {**MOE, "shared_size": 40, "gated": False, "activation": "relu_squared"},
}
POSITIONS = {
    "learned": {"kind": "learned", "context": 32, "offset": 2},
    "alibi": {"kind": "alibi"},
    "scaled-alibi": {"kind": "scaled_alibi"},
}
SCALES = {"embedding": 3.0, "residual": 0.5, "logits": 0.25, "logit_softcap": 4.0}
LOOPS = {
    "block": {"first": 0, "layers": 2, "count": 3},
    "immediate": {"first": 0, "layers": 2, "count": 2, "immediate": True},
    "middle": {"first": 1, "layers": 1, "count": 4},
}
UNLIKE = [
    layer({"heads": 4, "kv_heads": 4}, {**FFN, "size": 20}),
    layer({"heads": 6, "kv_heads": 1, "head_size": 4, "window": 3}, MOE),
    layer({"heads": 2, "kv_heads": 2, "head_size": 16, "rope": None}, {**FFN, "size": 72, "gated": False}),
]


def cases():
    """Every axis by itself, and what only shows in pairs."""
    yield "plain", model()
    yield "tied", model(tied_embeddings=True)
    yield "factorised", model(embedding_size=16)
    yield "factorised-tied-wide", model(embedding_size=48, tied_embeddings=True, scales={"embedding": 2.0})
    yield "unlike-layers", model(layers=UNLIKE)
    yield "gaps", model(layers=[layer({"window": 5}, repeat=2), layer({"rope": None})])
    for heads, kv_heads in [(4, 4), (4, 1), (6, 2)]:
        yield f"heads-{heads}-{kv_heads}", model({"heads": heads, "kv_heads": kv_heads})
    for window in [1, 5, 64]:
        yield f"window-{window}", model({"window": window})
    for name, change in ROPES.items():
        yield f"rope-{name}", model(change)
    for name, bias in BIASES.items():
        yield f"bias-{name}", model({"bias": bias})
    for name in QK_NORMS:
        for norm in NORMS:
            yield f"qk-{name}-{norm}", model({"qk_norm": name}, norm=NORMS[norm])
    yield "qk-after-partial-rotation", model({"qk_norm": "per_head_after_rotation", **ROPES["interleaved-partial"]})
    yield "score-scale", model({"scale": 0.2})
    yield "softcap", model({"softcap": 2.0})
    yield "softcap-window", model({"softcap": 2.0, "window": 5})
    yield "qkv-clip", model({"qkv_clip": 0.7, "qk_norm": "per_head"})
    for name, ffn in FFNS.items():
        yield f"ffn-{name}", model(ffn=ffn)
    yield "moe-then-dense", model(layers=[layer(ffn=MOE), layer(), layer(ffn=FFNS["moe-shared"])])
    for placement in PLACEMENTS:
        for norm in NORMS:
            yield f"norm-{placement}-{norm}", model(norm_placement=placement, norm=NORMS[norm])
    yield "embedding-norm", model(embedding_norm=True, norm=NORMS["layer"])
    yield "no-final-norm", model(final_norm=False)
    yield "head-bias", model(head_bias=True)
    yield "head-bias-tied", model(head_bias=True, tied_embeddings=True)
    for name, value in SCALES.items():
        yield f"scale-{name}", model(scales={name: value})
    yield "scale-residual-parallel", model(norm_placement="parallel_one_norm", scales={"residual": 0.5})
    yield "scale-residual-post", model(norm_placement="post", scales={"residual": 0.5})
    for name, positions in POSITIONS.items():
        yield f"positions-{name}", model({"rope": None}, positions=positions)
    yield "positions-alibi-six-heads", model({"rope": None, "heads": 6}, positions=POSITIONS["alibi"])
    yield "positions-alibi-window-softcap", model(
        {"rope": None, "window": 6, "softcap": 3.0}, positions=POSITIONS["scaled-alibi"]
    )
    for name, loops in LOOPS.items():
        yield f"loops-{name}", model(loops=loops)
    yield "loops-unlike", model(layers=UNLIKE, loops={"first": 0, "layers": 2, "count": 2})


def combination(chance):
    """A random model that slimfit's runtime has kernels for: each axis at its plain value or at one of the others."""

    def one_of(values, plain=0.5):
        return None if chance.random() < plain else copy.deepcopy(chance.choice(list(values)))

    def kept(**fields):
        return {name: value for name, value in fields.items() if value is not None}

    norm = one_of(NORMS.values())
    positions = one_of([POSITIONS["learned"], POSITIONS["alibi"]], 0.7)
    weighted = norm is None or norm["kind"] in ("rms", "layer_no_bias")
    qk_norms = ["per_head", "each_head", "all_heads"] if weighted else ["each_head"]
    ropes = [change for name, change in ROPES.items() if not name.startswith("dynamic")]
    runs = []
    for _ in range(chance.randint(1, 3)):
        kv_heads = chance.choice([1, 2, 3])
        attention = kept(
            heads=kv_heads * chance.choice([1, 2]),
            kv_heads=kv_heads,
            window=one_of([1, 4, 9, 40]),
            bias=one_of(BIASES.values()),
            qk_norm=one_of(qk_norms),
            scale=one_of([0.2, 0.5]),
            softcap=one_of([2.0, 10.0], 0.7),
            qkv_clip=one_of([0.7], 0.8),
        )
        attention.update({"rope": None} if positions else one_of(ropes) or {})
        ffn = chance.choice(list(FFNS.values()))
        runs.append(layer(attention, ffn, repeat=chance.randint(1, 2)))
    depth = sum(run["repeat"] for run in runs)
    first = chance.randrange(depth)
    block = {"first": first, "layers": chance.randint(1, depth - first), "count": 2, "immediate": chance.random() < 0.5}
    flags = {name: chance.random() < 0.4 for name in ("tied_embeddings", "embedding_norm", "head_bias", "final_norm")}
    scales = {name: value for name, value in SCALES.items() if chance.random() < 0.3}
    if not flags["final_norm"] or norm == NORMS["layer_plain"]:
        scales.pop("logits", None)
    learned = positions == POSITIONS["learned"]
    fields = kept(
        embedding_size=None if learned else one_of([16, 40], 0.7),
        norm=norm,
        norm_placement=one_of(PLACEMENTS),
        positions=positions,
        loops=block if chance.random() < 0.4 else None,
    )
    return model(layers=runs, scales=scales, **flags, **fields)


def slimfit(*arguments):
    """The object that slimfit prints; an error where it refuses."""
    finished = subprocess.run([SLIMFIT, *map(str, arguments), "--json"], capture_output=True, text=True)
    answer = json.loads(finished.stdout)
    if finished.returncode != 0:
        raise ValueError(f"slimfit {arguments[0]}: {answer['error']['message']}")
    return answer


def as_custom(architecture, folder, code):
    """What `slimfit emit` would write if no standard class held the architecture."""
    config = {
        "architectures": ["SlimfitForCausalLM"],
        "auto_map": {
            "AutoConfig": "modeling_slimfit.SlimfitConfig",
            "AutoModelForCausalLM": "modeling_slimfit.SlimfitForCausalLM",
        },
        "model_type": "slimfit",
        "architecture": {"schema": "slimfit/architecture/v1", **architecture},
    }
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modeling_slimfit.py").write_text(code)


def fill(network, seed):
    """Random weights in which every part matters: biases and norms too are far from what they start as."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            values = torch.randn(parameter.shape, generator=generator)
            if name.endswith("norm.weight"):
                # Around what leaves the normed values alone: 1, or 0 where weights are offsets from it.
                parameter.copy_(parameter.mean().round() + 0.3 * values)
            elif parameter.dim() == 1:
                parameter.copy_(0.3 * values)
            else:
                parameter.copy_(values * 1.5 / math.sqrt(parameter.shape[-1]))


def relative(found, right):
    return float(numpy.abs(found - right).max() / numpy.abs(right).max())


def trained(network):
    """The loss before and after a few steps on one batch."""
    generator = torch.Generator().manual_seed(1)
    batch = torch.randint(0, 64, (2, 16), generator=generator)
    network.train()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01)
    losses = []
    for _ in range(4):
        loss = network(input_ids=batch, labels=batch).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    network.eval()
    missing = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    if missing:
        raise ValueError(f"no gradient reaches {missing}")
    if not losses[-1] < losses[0]:
        raise ValueError(f"the loss does not fall: {losses}")


def generated(network, prompt, mask=None, **more):
    """Greedy tokens after a prompt; `context` is that of the longest text, whatever padding adds."""
    batch = torch.tensor(prompt)
    mask = torch.ones_like(batch) if mask is None else torch.tensor(mask)
    limits = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 0, "eos_token_id": None, "context": 24}
    with torch.no_grad():
        return network.generate(batch, attention_mask=mask, **limits, **more)[:, batch.shape[1] :].tolist()


def check(name, architecture, folder, code):
    """Raises where the class and slimfit differ; returns how far their logits are apart."""
    path, start, saved = folder / f"{name}.json", folder / name, folder / f"{name}-saved"
    path.write_text(json.dumps(architecture))
    emitted = slimfit("emit", "--model", path, "--out", start, "--context", "32")["emitted"][0]
    if emitted["class"] != "SlimfitForCausalLM":
        start = folder / f"{name}-custom"
        as_custom(architecture, start, code)
    elif not emitted["why"]:
        raise ValueError("no reason is given for a class of its own")
    torch.manual_seed(7)
    config = AutoConfig.from_pretrained(start, trust_remote_code=True)
    network = AutoModelForCausalLM.from_config(config, trust_remote_code=True)
    counted = int(emitted["parameters"]["total"])
    built = sum(parameter.numel() for parameter in network.parameters())
    if counted != built:
        raise ValueError(f"{counted} parameters counted, {built} built")
    trained(network)
    fill(network, SEED)
    with torch.no_grad():
        right = network.eval()(torch.tensor([TOKENS])).logits[0]
    network.save_pretrained(saved)
    again = AutoModelForCausalLM.from_pretrained(saved, trust_remote_code=True).eval()
    loaded = again.state_dict()
    if not all(torch.equal(values, loaded[path]) for path, values in network.state_dict().items()):
        raise ValueError("weights differ after saving and loading")
    with torch.no_grad():
        # Where a matrix lies in memory decides the order in which PyTorch adds, so the last bit may differ.
        if relative(again(torch.tensor([TOKENS])).logits[0].numpy(), right.numpy()) > 1e-6:
            raise ValueError("logits differ after saving and loading")
        # Written out instead of the library's fused attention.
        eager = again(torch.tensor([TOKENS]), output_attentions=True)
    if relative(eager.logits[0].numpy(), right.numpy()) > BOUND or any(
        weights.shape[-2:] != (len(TOKENS), len(TOKENS)) for weights in eager.attentions
    ):
        raise ValueError("logits differ where attention weights are asked for")
    prompts = [TOKENS[:5], TOKENS[5:13]]
    alone = [generated(again, [prompt])[0] for prompt in prompts]
    if alone != [generated(again, [prompt], use_cache=False)[0] for prompt in prompts]:
        raise ValueError("text generated with a cache is not that generated without")
    padded, mask = [[0] * 3 + prompts[0], prompts[1]], [[0] * 3 + [1] * 5, [1] * 8]
    if generated(again, padded, mask) != alone:
        raise ValueError("text generated beside padding is not that generated alone")
    tokens, out = folder / "tokens.txt", folder / "logits.npy"
    tokens.write_text(" ".join(map(str, TOKENS)))
    formats = ("--weights", "f32", "--kv", "f32", "--token-ids", tokens, "--logits", out)
    try:
        slimfit("measure", saved, *formats)
    except ValueError as error:
        if "no kernel computes it" in str(error) and not name.startswith("random"):
            # `tests/golden` holds these to the reference of slimfit's own tests.
            print(f"skipped {name}-logits: {error.args[0]}")
            return math.nan
        raise
    error = relative(numpy.load(out), right.numpy())
    if not error <= BOUND:
        raise ValueError(f"logits are {error:.1e} from slimfit's, allowed are {BOUND:.0e}")
    return error


def refusals(folder, code):
    """Configs that contradict themselves or say what the class does not know."""
    for name, change, told in [
        ("contradiction", {"hidden_size": 64}, "`hidden_size` is 64"),
        ("unknown-axis", {"architecture": model(twist=1)}, "unknown field `architecture.twist`"),
        ("unknown-kind", {"architecture": model({"qk_norm": "sideways"})}, "qk_norm` is `sideways`"),
    ]:
        start = folder / f"refused-{name}"
        as_custom(model(), start, code)
        path = start / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
        try:
            AutoConfig.from_pretrained(start, trust_remote_code=True)
            print(f"FAILED refused-{name}: it was read")
        except ValueError as error:
            fine = told in str(error)
            print(f"ok refused-{name}" if fine else f"FAILED refused-{name}: the reason given is {error}")


def resized(folder, code):
    """More rows in the table are more tokens of the architecture, for slimfit too."""
    for tied in (False, True):
        name = f"resized{'-tied' * tied}"
        network = fresh(name, model(tied_embeddings=tied), folder, code)
        network.resize_token_embeddings(80)
        network.save_pretrained(folder / f"{name}-saved")
        read = slimfit("inspect", folder / f"{name}-saved")
        built = sum(parameter.numel() for parameter in network.parameters())
        same = read["architecture"]["vocabulary_size"] == 80 and int(read["parameters"]["total"]) == built
        print(f"ok {name}" if same else f"FAILED {name}: slimfit reads {read['parameters']}, {built} built")


def fresh(name, architecture, folder, code):
    as_custom(architecture, folder / name, code)
    config = AutoConfig.from_pretrained(folder / name, trust_remote_code=True)
    return AutoModelForCausalLM.from_config(config, trust_remote_code=True)


def in_bf16(folder, code):
    """Weights in bf16, and training in f32 that computes in bf16."""
    alibi = model({"rope": None, "softcap": 3.0}, MOE, positions=POSITIONS["alibi"])
    for name, architecture in [("unlike", model(layers=UNLIKE, loops=LOOPS["block"])), ("alibi", alibi)]:
        network = fresh(f"bf16-{name}", architecture, folder, code)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            trained(network)
        network = network.to(torch.bfloat16)
        with torch.no_grad():
            logits = network(torch.tensor([TOKENS])).logits
        fine = logits.dtype == torch.bfloat16 and bool(logits.isfinite().all())
        print(f"ok bf16-{name}" if fine else f"FAILED bf16-{name}: logits are {logits}")


def checkpointed(folder, code):
    """Gradients are the same whether activations are kept or computed again."""
    network = fresh("checkpointed", model(layers=UNLIKE, loops=LOOPS["block"]), folder, code).train()
    batch = torch.tensor([TOKENS])

    def gradients():
        network.zero_grad()
        network(input_ids=batch, labels=batch).loss.backward()
        return [parameter.grad.clone() for parameter in network.parameters()]

    kept = gradients()
    # The newer name, where there is one.
    getattr(network, "activation_checkpointing_enable", network.gradient_checkpointing_enable)()
    same = all(torch.allclose(one, other, atol=1e-7) for one, other in zip(kept, gradients()))
    print("ok checkpointed" if same else "FAILED checkpointed: gradients differ")


def main():
    torch.set_num_threads(1)
    folder = pathlib.Path(FOLDER.name)
    (folder / "loop.json").write_text(json.dumps(model(loops=LOOPS["block"])))
    slimfit("emit", "--model", folder / "loop.json", "--out", folder / "loop", "--context", "32")
    code = (folder / "loop" / "modeling_slimfit.py").read_text()
    chance = random.Random(SEED)
    combinations = [(f"random-{index}", combination(chance)) for index in range(RANDOM_CASES)]
    wanted = sys.argv[1:]
    for name, architecture in [*cases(), *combinations]:
        if wanted and name not in wanted:
            continue
        try:
            print(f"ok {name} ({check(name, architecture, folder, code):.1e})")
        except Exception as error:
            print(f"FAILED {name}: {type(error).__name__}: {error}")
            if name.startswith("random"):
                print(json.dumps(architecture))
    if not wanted:
        refusals(folder, code)
        resized(folder, code)
        in_bf16(folder, code)
        checkpointed(folder, code)


main()
