# Copyright The slimfit authors. Licensed under either of Apache-2.0 or MIT, at your option.
"""The model of every slimfit architecture in plain PyTorch, for architectures that no class of transformers holds.

`config.json` carries the architecture as `architecture.json` does; this file computes it. It trains, saves, loads and
generates like any other model of the library:

    config = AutoConfig.from_pretrained("FOLDER", trust_remote_code=True)
    model = AutoModelForCausalLM.from_config(config, trust_remote_code=True)

Shapes in comments: b sequences of q new tokens which see k tokens in all, h heads of s values, n experts.
Parameters are called what slimfit calls them (`layers.3.attention.query.weight`), so `slimfit inspect` and
`slimfit measure` read a saved folder as it is.
"""

import inspect
import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.cache_utils import DynamicCache
from transformers.modeling_outputs import CausalLMOutputWithPast

SCHEMA = "slimfit/architecture/v1"
# Newer versions of transformers call it `cache`.
CACHE = "cache" if "cache" in inspect.signature(CausalLMOutputWithPast).parameters else "past_key_values"


# ---- The architecture, read strictly: a field that is not known would change the model unseen. ----------------------


def read(fields, where, required=(), **defaults):
    """The fields of an object with its defaults; one that is unknown or missing is refused by name."""
    for name in fields:
        if name not in defaults and name not in required:
            raise ValueError(f"unknown field `{where}{name}`: perhaps a newer `modeling_slimfit.py` knows it")
    for name in required:
        if name not in fields:
            raise ValueError(f"the field `{where}{name}` is missing")
    return SimpleNamespace(**{**defaults, **fields})


def choice(value, where, known):
    if value not in known:
        raise ValueError(f"`{where}` is `{value}`; known are {', '.join(known)}")
    return value


def read_architecture(fields):
    """The architecture as objects, layers listed one by one."""
    model = read(
        {name: value for name, value in fields.items() if name != "schema"},
        "architecture.",
        required=("hidden_size", "vocabulary_size", "layers"),
        tied_embeddings=False,
        embedding_size=None,
        positions={"kind": "none"},
        norm={"kind": "rms", "epsilon": 1e-5},
        norm_placement="pre",
        embedding_norm=False,
        final_norm=True,
        head_bias=False,
        scales={},
        loops=None,
    )
    schema = fields.get("schema", SCHEMA)
    if schema != SCHEMA:
        raise ValueError(f"`architecture.schema` is `{schema}`; this file reads {SCHEMA}")
    model.embedding_size = model.embedding_size or model.hidden_size
    model.positions = read(model.positions, "architecture.positions.", required=("kind",), context=0, offset=0)
    choice(model.positions.kind, "architecture.positions.kind", ("none", "learned", "alibi", "scaled_alibi"))
    model.norm = read(model.norm, "architecture.norm.", required=("kind", "epsilon"), weight_plus_one=False)
    choice(model.norm.kind, "architecture.norm.kind", ("rms", "layer", "layer_no_bias", "layer_plain"))
    choice(model.norm_placement, "architecture.norm_placement", tuple(NORMS))
    scales = {"embedding": None, "residual": None, "logits": None, "logit_softcap": None}
    model.scales = read(model.scales, "architecture.scales.", **scales)
    model.layers = [layer for index, run in enumerate(model.layers) for layer in read_layers(run, index)]
    order = list(range(len(model.layers)))
    if model.loops is not None:
        loops = read(model.loops, "architecture.loops.", required=("first", "layers", "count"), immediate=False)
        block = order[loops.first : loops.first + loops.layers]
        again = [layer for layer in block for _ in range(loops.count)] if loops.immediate else block * loops.count
        order = order[: loops.first] + again + order[loops.first + loops.layers :]
    # Indices of stored layers in the order they run.
    model.order = order
    return model


def read_layers(run, index):
    where = f"architecture.layers[{index}]."
    run = read(run, where, required=("attention", "ffn"), repeat=1)
    attention = read(
        run.attention,
        where + "attention.",
        required=("heads", "kv_heads", "head_size"),
        window=None,
        rope=None,
        bias={},
        qk_norm="none",
        scale=None,
        softcap=None,
        qkv_clip=None,
    )
    attention.bias = read(attention.bias, where + "attention.bias.", qkv=False, output=False)
    kinds = ("none", "per_head", "per_head_after_rotation", "each_head", "all_heads")
    choice(attention.qk_norm, where + "attention.qk_norm", kinds)
    attention.scale = attention.scale or attention.head_size**-0.5
    if attention.rope is not None:
        attention.rope = read_rope(attention.rope, attention.head_size, where + "attention.rope.")
    kind = choice(run.ffn.get("kind"), where + "ffn.kind", ("dense", "moe"))
    more = {"gated": True, "activation": "silu"}
    if kind == "dense":
        ffn = read(run.ffn, where + "ffn.", required=("kind", "size"), bias=False, **more)
    else:
        needed = ("kind", "experts", "top_k", "expert_size")
        flags = {"shared_gate": False, "normalise_top_k": False, "router_bias": False}
        ffn = read(run.ffn, where + "ffn.", required=needed, shared_size=0, **flags, **more)
    choice(ffn.activation, where + "ffn.activation", tuple(ACTIVATIONS))
    return [SimpleNamespace(attention=attention, ffn=ffn) for _ in range(run.repeat)]


SCALINGS = {
    "linear": (("factor",), {}),
    "dynamic": (("factor", "original_context"), {}),
    "llama3": (("factor", "low_frequency_factor", "high_frequency_factor", "original_context"), {}),
    "yarn": (("factor", "beta_fast", "beta_slow", "original_context"), {"attention_factor": None}),
    "long_rope": (("short_factor", "long_factor", "original_context", "attention_factor"), {}),
}


def read_rope(rope, head_size, where):
    # Layers with the same rotation share its tables.
    key = repr((rope, head_size))
    rope = read(rope, where, required=("base",), rotated=None, interleaved=False, scaling=None)
    rope.key = key
    rope.rotated = rope.rotated or head_size
    if rope.scaling is not None:
        kind = choice(rope.scaling.get("kind"), where + "scaling.kind", tuple(SCALINGS))
        required, defaults = SCALINGS[kind]
        rope.scaling = read(rope.scaling, where + "scaling.", required=("kind", *required), **defaults)
    # Whether the frequencies depend on the length of the text.
    rope.by_length = rope.scaling is not None and rope.scaling.kind in ("dynamic", "long_rope")
    return rope


class SlimfitConfig(PretrainedConfig):
    """The architecture, and beside it the sizes that tools look for, which follow from it.

    `router_aux_loss_coef` weighs the load-balancing loss of mixtures, which is added to the loss in training mode only.
    """

    model_type = "slimfit"
    keys_to_ignore_at_inference = ["cache", "past_key_values"]

    def __init__(
        self,
        architecture=None,
        max_position_embeddings=2048,
        initializer_range=0.02,
        router_aux_loss_coef=0.001,
        use_cache=True,
        **kwargs,
    ):
        self.architecture = architecture
        self.max_position_embeddings = max_position_embeddings
        self.initializer_range = initializer_range
        self.router_aux_loss_coef = router_aux_loss_coef
        self.use_cache = use_cache
        # Without an architecture only where the library asks for a class's defaults.
        if architecture is not None:
            for name, value in summary(read_architecture(architecture)).items():
                kwargs.setdefault(name, value)
        super().__init__(**kwargs)
        self.parsed()

    def parsed(self):
        """The architecture as objects, after a look at the fields beside it, which must agree with it."""
        if self.architecture is None:
            return None
        model = read_architecture(self.architecture)
        for name, value in summary(model).items():
            found = getattr(self, name, value)
            if found != value:
                raise ValueError(f"`{name}` is {found}, but the architecture says {value}; change the architecture")
        return model


def summary(model):
    """The usual fields; of layers that differ, the largest."""

    def largest(sizes):
        return max(sizes, default=0)

    attention = [layer.attention for layer in model.layers]
    dense = [layer.ffn.size for layer in model.layers if layer.ffn.kind == "dense"]
    mixtures = [layer.ffn for layer in model.layers if layer.ffn.kind == "moe"]
    fields = {
        "hidden_size": model.hidden_size,
        "vocab_size": model.vocabulary_size,
        "num_hidden_layers": len(model.layers),
        "num_attention_heads": largest(part.heads for part in attention),
        "num_key_value_heads": largest(part.kv_heads for part in attention),
        "head_dim": largest(part.head_size for part in attention),
        "intermediate_size": largest(dense or [ffn.expert_size for ffn in mixtures]),
        "tie_word_embeddings": model.tied_embeddings,
    }
    if mixtures:
        fields["num_experts"] = largest(ffn.experts for ffn in mixtures)
        fields["num_experts_per_tok"] = largest(ffn.top_k for ffn in mixtures)
        fields["moe_intermediate_size"] = largest(ffn.expert_size for ffn in mixtures)
    return fields


# ---- Parts --------------------------------------------------------------------------------------------------------


ACTIVATIONS = {
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
    "relu_squared": lambda x: F.relu(x).square(),
}


def at_least_f32(x):
    return x.to(torch.promote_types(x.dtype, torch.float32))


class Norm(nn.Module):
    """The model's norm over the last axis. `each_head`: one weight for each of so many heads, and never a bias."""

    def __init__(self, norm, size, each_head=None):
        super().__init__()
        self.centred, self.epsilon, self.offset = norm.kind != "rms", norm.epsilon, float(norm.weight_plus_one)
        self.shape = (size,) if each_head is None else (each_head, size)
        weighted = each_head is not None or norm.kind != "layer_plain"
        biased = each_head is None and norm.kind == "layer"
        values = math.prod(self.shape)
        self.weight = nn.Parameter(torch.full((values,), 1.0 - self.offset)) if weighted else None
        self.bias = nn.Parameter(torch.zeros(values)) if biased else None

    def forward(self, x):
        y = at_least_f32(x)
        if self.centred:
            y = y - y.mean(-1, keepdim=True)
        y = y * torch.rsqrt(y.square().mean(-1, keepdim=True) + self.epsilon)
        if self.weight is not None:
            y = y * (self.weight.to(y.dtype) + self.offset).view(self.shape)
        if self.bias is not None:
            y = y + self.bias.to(y.dtype)
        return y.to(x.dtype)


def residual(linear):
    """Marks a projection whose result is added to the residual stream: it starts smaller."""
    linear.is_residual = True
    return linear


def rope_frequencies(rope, lengths):
    """Radians per position of each rotated pair, `(b or 1, pairs)`, and the factor on cosine and sine.

    `lengths`: tokens that each text has or will have, `(b or 1, 1)`; LongRoPE and dynamic scaling choose by it.
    """
    scaling, rotated = rope.scaling, rope.rotated
    exponents = torch.arange(0, rotated, 2, dtype=lengths.dtype, device=lengths.device)[None] / rotated
    plain = torch.pow(torch.full_like(exponents, rope.base), -exponents)
    if scaling is None:
        return plain, 1.0
    if scaling.kind == "linear":
        return plain / scaling.factor, 1.0
    context = scaling.original_context
    if scaling.kind == "dynamic":
        growth = scaling.factor * (lengths / context).clamp(min=1.0) - scaling.factor + 1.0
        return plain * growth.pow(-exponents * rotated / (rotated - 2)), 1.0
    if scaling.kind == "llama3":
        low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
        kept = ((context * plain / (2 * math.pi) - low) / (high - low)).clamp(0.0, 1.0)
        return plain * (kept + (1 - kept) / scaling.factor), 1.0
    if scaling.kind == "yarn":

        def pair(turns):
            return rotated * math.log(context / (turns * 2 * math.pi)) / (2 * math.log(rope.base))

        first = max(math.floor(pair(scaling.beta_fast)), 0.0)
        last = min(math.ceil(pair(scaling.beta_slow)), rotated - 1.0)
        span = last - first if last != first else 0.001
        divided = ((exponents * rotated / 2 - first) / span).clamp(0.0, 1.0)
        usual = 0.1 * math.log(scaling.factor) + 1.0 if scaling.factor > 1 else 1.0
        return plain * (divided / scaling.factor + 1 - divided), scaling.attention_factor or usual
    short, long = (torch.tensor(divisors).to(plain)[None] for divisors in (scaling.short_factor, scaling.long_factor))
    return plain / torch.where(lengths > context, long, short), scaling.attention_factor


def rotate(x, table, interleaved):
    """Turns the first values of each head, `(b, h, q, s)`, by a table of cosines and sines `(b, 1, q, pairs)`."""
    cosines, sines = (part.to(x.dtype) for part in table)
    turning, still = x.split((2 * cosines.shape[-1], x.shape[-1] - 2 * cosines.shape[-1]), -1)
    first, second = (turning[..., 0::2], turning[..., 1::2]) if interleaved else turning.chunk(2, -1)
    pair = (first * cosines - second * sines, second * cosines + first * sines)
    turned = torch.stack(pair, -1).flatten(-2) if interleaved else torch.cat(pair, -1)
    return torch.cat((turned, still), -1)


def alibi_slopes(heads):
    """What one token of distance costs each head (arXiv 2108.12409, with its authors' rule for any number of heads)."""
    whole = 1 << (heads.bit_length() - 1)
    regular = [2.0 ** (-8.0 * power / whole) for power in range(1, whole + 1)]
    between = [2.0 ** (-8.0 * (2 * index + 1) / (2 * whole)) for index in range(heads - whole)]
    return regular + between


class Step:
    """What all layers of one pass share: where queries and keys stand in their texts, and who sees whom."""

    def __init__(self, queries, past, padding, positions, context, device):
        keys = torch.arange(past + queries, device=device)
        self.cache, self.explicit, self.past = None, False, past
        self.padding = padding  # (b, k), false where nothing stands; none where all slots are text
        self.distance = keys[past:, None] - keys  # (q, k)
        if positions is None and padding is None:
            positions = keys[None, past:]
        elif positions is None:
            positions = (padding.long().cumsum(-1) - 1).clamp(min=0)[:, past:]
        self.positions = positions  # (b or 1, q)
        # Far out, f32 no longer tells neighbouring positions apart.
        self.real = torch.float32 if device.type == "mps" else torch.float64
        longest = positions.max(-1, keepdim=True).values + 1
        self.lengths = (longest if context is None else torch.full_like(longest, context)).to(self.real)
        self.masks, self.tables = {}, {}

    def causal_alone(self, window):
        """Whether every query sees all text before it, which PyTorch has fast kernels for."""
        return self.padding is None and (window is None or window >= self.distance.shape[1])

    def mask(self, window):
        """Whether a query sees a key: `(1, 1, q, k)`, or `(b, 1, q, k)` beside padding."""
        if window not in self.masks:
            seen = self.distance >= 0
            if window is not None:
                seen = seen & (self.distance < window)
            seen = seen[None, None]
            if self.padding is not None:
                # Padding sees itself, so that no row of scores is empty.
                seen = (seen & self.padding[:, None, None, :]) | (self.distance == 0)
            self.masks[window] = seen
        return self.masks[window]

    def table(self, rope):
        """Cosines and sines of the queries' positions, `(b or 1, 1, q, pairs)` each."""
        if rope.key not in self.tables:
            frequencies, magnitude = rope_frequencies(rope, self.lengths)
            angles = self.positions.to(self.real)[..., None] * frequencies[:, None, :]
            self.tables[rope.key] = ((magnitude * angles.cos())[:, None], (magnitude * angles.sin())[:, None])
        return self.tables[rope.key]


class Attention(nn.Module):
    def __init__(self, model, part):
        super().__init__()
        self.part, self.alibi = part, model.positions.kind if "alibi" in model.positions.kind else None
        hidden, size = model.hidden_size, part.head_size
        queries, keys = part.heads * size, part.kv_heads * size
        before, after, _, _ = NORMS[model.norm_placement]
        if before:
            self.norm = Norm(model.norm, hidden)
        self.query = nn.Linear(hidden, queries, bias=part.bias.qkv)
        self.key = nn.Linear(hidden, keys, bias=part.bias.qkv)
        self.value = nn.Linear(hidden, keys, bias=part.bias.qkv)
        if part.qk_norm == "all_heads":
            self.query_norm, self.key_norm = Norm(model.norm, queries), Norm(model.norm, keys)
        elif part.qk_norm == "each_head":
            self.query_norm = Norm(model.norm, size, each_head=part.heads)
            self.key_norm = Norm(model.norm, size, each_head=part.kv_heads)
        elif part.qk_norm != "none":
            self.query_norm, self.key_norm = Norm(model.norm, size), Norm(model.norm, size)
        self.output = residual(nn.Linear(queries, hidden, bias=part.bias.output))
        if after:
            self.post_norm = Norm(model.norm, hidden)

    def forward(self, x, step, place):
        """`x`: (b, q, hidden). `place`: of this pass in the cache. Returns also the weights (b, h, q, k), or none."""
        part = self.part
        query, key, value = self.query(x), self.key(x), self.value(x)
        if part.qkv_clip is not None:
            query, key, value = (y.clamp(-part.qkv_clip, part.qkv_clip) for y in (query, key, value))
        if part.qk_norm == "all_heads":
            query, key = self.query_norm(query), self.key_norm(key)
        # (b, q, h, s)
        query, key, value = (y.unflatten(-1, (-1, part.head_size)) for y in (query, key, value))
        if part.qk_norm in ("per_head", "each_head"):
            query, key = self.query_norm(query), self.key_norm(key)
        # (b, h, q, s)
        query, key, value = (y.transpose(1, 2) for y in (query, key, value))
        if part.rope is not None:
            query, key = (rotate(y, step.table(part.rope), part.rope.interleaved) for y in (query, key))
        if part.qk_norm == "per_head_after_rotation":
            query, key = self.query_norm(query), self.key_norm(key)
        if step.cache is not None:
            key, value = step.cache.update(key, value, place)
        mixed, weights = self.attend(query, key, value, step)
        return self.output(mixed.transpose(1, 2).flatten(-2)), weights

    def attend(self, query, key, value, step):
        part = self.part
        group = part.heads // part.kv_heads
        if group > 1:
            key, value = key.repeat_interleave(group, 1), value.repeat_interleave(group, 1)
        bias = None
        if self.alibi is not None:
            slopes = torch.tensor(alibi_slopes(part.heads), device=query.device)
            scale = part.scale if self.alibi == "scaled_alibi" else 1.0
            bias = (-scale * slopes[:, None, None] * step.distance)[None]  # (1, h, q, k)
        if step.explicit or part.softcap is not None:
            scores = at_least_f32(query @ key.transpose(-1, -2) * part.scale)
            if part.softcap is not None:
                scores = part.softcap * torch.tanh(scores / part.softcap)
            # Distance counts in full, whatever the cap.
            scores = scores if bias is None else scores + bias
            weights = scores.masked_fill(~step.mask(part.window), -math.inf).softmax(-1).to(query.dtype)
            return weights @ value, weights
        if bias is None and step.causal_alone(part.window) and (step.past == 0 or query.shape[2] == 1):
            causal = query.shape[2] > 1
            return F.scaled_dot_product_attention(query, key, value, is_causal=causal, scale=part.scale), None
        mask = step.mask(part.window)
        if bias is not None:
            mask = bias.masked_fill(~mask, -math.inf).to(query.dtype)
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=part.scale), None


class Mlp(nn.Module):
    """A dense feed-forward part, or the shared part of a mixture."""

    def __init__(self, hidden, size, gated, activation, bias=False):
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.gate = nn.Linear(hidden, size, bias=bias) if gated else None
        self.up = nn.Linear(hidden, size, bias=bias)
        self.down = residual(nn.Linear(size, hidden, bias=bias))

    def forward(self, x):
        inner = self.activation(self.up(x)) if self.gate is None else self.activation(self.gate(x)) * self.up(x)
        return self.down(inner)


class Stack(nn.Module):
    """One matrix for each expert: `(n, outputs, inputs)`."""

    def __init__(self, experts, outputs, inputs):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(experts, outputs, inputs))

    def forward(self, x, expert):
        return F.linear(x, self.weight[expert])


class Mixture(nn.Module):
    def __init__(self, hidden, part):
        super().__init__()
        self.part, self.activation = part, ACTIVATIONS[part.activation]
        self.router = nn.Linear(hidden, part.experts, bias=part.router_bias)
        self.experts = nn.Module()
        if part.gated:
            self.experts.gate = Stack(part.experts, part.expert_size, hidden)
        self.experts.up = Stack(part.experts, part.expert_size, hidden)
        self.experts.down = residual(Stack(part.experts, hidden, part.expert_size))
        if part.shared_size:
            self.shared = Mlp(hidden, part.shared_size, part.gated, part.activation)
            if part.shared_gate:
                self.shared.scale = nn.Linear(hidden, 1, bias=False)

    def forward(self, x):
        """Returns `(b, q, hidden)` and how uneven the experts' load is, 1 where it is even."""
        part, rows = self.part, x.flatten(0, -2)
        scores = at_least_f32(self.router(rows)).softmax(-1)  # (rows, n)
        weights, chosen = scores.topk(part.top_k, -1)  # (rows, top_k)
        if part.normalise_top_k:
            weights = weights / weights.sum(-1, keepdim=True)
        total = torch.zeros_like(rows)
        for expert in range(part.experts):
            row, place = (chosen == expert).nonzero(as_tuple=True)
            visited = self.expert(rows[row], expert) * weights[row, place, None].to(rows.dtype)
            total = total.index_add(0, row, visited)
        if part.shared_size:
            shared = self.shared(rows)
            total = total + (torch.sigmoid(self.shared.scale(rows)) * shared if part.shared_gate else shared)
        # The Switch Transformer's loss (arXiv 2101.03961): the share of visits and the mean score of each expert.
        visits = F.one_hot(chosen, part.experts).to(scores.dtype).mean((0, 1))
        return total.view_as(x), part.experts * (visits * scores.mean(0)).sum()

    def expert(self, x, expert):
        up = self.experts.up(x, expert)
        inner = self.activation(self.experts.gate(x, expert)) * up if self.part.gated else self.activation(up)
        return self.experts.down(inner, expert)


# Which norms a layer has: before and after the attention, before and after the feed-forward part. In `post` placement
# those before come after the sum.
NORMS = {
    "pre": (True, False, True, False),
    "post": (True, False, True, False),
    "post_branch": (False, True, False, True),
    "sandwich": (True, True, True, True),
    "parallel_one_norm": (True, False, False, False),
    "parallel_two_norms": (True, False, True, False),
}


class Layer(nn.Module):
    def __init__(self, model, part):
        super().__init__()
        self.placement, self.scale = model.norm_placement, model.scales.residual or 1.0
        self.attention = Attention(model, part.attention)
        dense = part.ffn.kind == "dense"
        if dense:
            sizes = (model.hidden_size, part.ffn.size, part.ffn.gated, part.ffn.activation, part.ffn.bias)
        self.ffn = Mlp(*sizes) if dense else Mixture(model.hidden_size, part.ffn)
        _, _, before, after = NORMS[model.norm_placement]
        if before:
            self.ffn.norm = Norm(model.norm, model.hidden_size)
        if after:
            self.ffn.post_norm = Norm(model.norm, model.hidden_size)

    def forward(self, x, step, place):
        """Returns the residual stream (b, q, hidden), attention weights or none, and a mixture's unevenness or none."""
        attention, ffn, weights, balance = self.attention, self.ffn, None, None

        def attend(y):
            nonlocal weights
            y, weights = attention(y, step, place)
            return y

        def feed(y):
            nonlocal balance
            y = ffn(y)
            if isinstance(y, tuple):
                y, balance = y
            return y

        if self.placement == "pre":
            x = x + self.scale * attend(attention.norm(x))
            x = x + self.scale * feed(ffn.norm(x))
        elif self.placement == "post":
            x = attention.norm(x + self.scale * attend(x))
            x = ffn.norm(x + self.scale * feed(x))
        elif self.placement == "post_branch":
            x = x + self.scale * attention.post_norm(attend(x))
            x = x + self.scale * ffn.post_norm(feed(x))
        elif self.placement == "sandwich":
            x = x + self.scale * attention.post_norm(attend(attention.norm(x)))
            x = x + self.scale * ffn.post_norm(feed(ffn.norm(x)))
        else:
            normed = attention.norm(x)
            other = ffn.norm(x) if self.placement == "parallel_two_norms" else normed
            x = x + self.scale * attend(normed) + self.scale * feed(other)
        return x, weights, balance


# ---- The model ----------------------------------------------------------------------------------------------------


class SlimfitForCausalLM(PreTrainedModel, GenerationMixin):
    config_class = SlimfitConfig
    base_model_prefix = ""
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_cache_class = True
    _no_split_modules = ["Layer"]
    _skip_keys_device_placement = ["cache", "past_key_values"]
    _tied_weights_keys = {"head.weight": "embedding.weight"}

    def __init__(self, config):
        super().__init__(config)
        model = config.parsed()
        if model is None:
            raise ValueError("the config holds no `architecture`")
        self.architecture, self.gradient_checkpointing = model, False
        self.embedding = nn.Embedding(model.vocabulary_size, model.embedding_size)
        factorised = model.embedding_size != model.hidden_size
        if factorised:
            self.embedding_in = nn.Linear(model.embedding_size, model.hidden_size, bias=False)
        if model.positions.kind == "learned":
            self.positions = nn.Embedding(model.positions.offset + model.positions.context, model.hidden_size)
        if model.embedding_norm:
            self.embedding_norm = Norm(model.norm, model.hidden_size)
        self.layers = nn.ModuleList(Layer(model, layer) for layer in model.layers)
        if model.final_norm:
            self.final_norm = Norm(model.norm, model.hidden_size)
        if factorised:
            self.embedding_out = nn.Linear(model.hidden_size, model.embedding_size, bias=False)
        self.head = nn.Linear(model.embedding_size, model.vocabulary_size, bias=model.head_bias)
        self.post_init()

    def _init_weights(self, module):
        """Normal values; what is added to the residual stream starts smaller by the root of the number of additions."""
        spread = self.config.initializer_range
        if getattr(module, "is_residual", False):
            spread /= math.sqrt(2 * len(self.architecture.order))
        if isinstance(module, (nn.Linear, nn.Embedding, Stack)):
            nn.init.normal_(module.weight, mean=0.0, std=spread)
            if getattr(module, "bias", None) is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, Norm):
            if module.weight is not None:
                nn.init.constant_(module.weight, 1.0 - module.offset)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def get_input_embeddings(self):
        return self.embedding

    def set_input_embeddings(self, value):
        self.embedding = value

    def get_output_embeddings(self):
        return self.head

    def set_output_embeddings(self, value):
        self.head = value

    def resize_token_embeddings(self, *arguments, **more):
        table = super().resize_token_embeddings(*arguments, **more)
        rows = table.weight.shape[0]
        self.config.architecture = {**self.config.architecture, "vocabulary_size": rows}
        self.config.vocab_size = self.architecture.vocabulary_size = rows
        return table

    def _prepare_cache_for_generation(self, generation_config, model_kwargs, *arguments, **more):
        """A cache that grows, with an entry for every pass: the library's own would have one for each stored layer."""
        ropes = (layer.attention.rope for layer in self.architecture.layers)
        if any(rope is not None and rope.by_length for rope in ropes):
            # The frequencies of the whole text, as keys in the cache cannot change any more.
            model_kwargs.setdefault("context", generation_config.max_length)
        if any(model_kwargs.get(name) is not None for name in ("cache", "past_key_values")):
            return super()._prepare_cache_for_generation(generation_config, model_kwargs, *arguments, **more)
        if generation_config.use_cache is False:
            return None
        if generation_config.cache_implementation not in (None, "dynamic"):
            found = generation_config.cache_implementation
            raise ValueError(f"slimfit models have no `{found}` cache; leave `cache_implementation` out")
        model_kwargs[CACHE] = DynamicCache()
        return None

    def embed(self, input_ids, inputs_embeds, step):
        x = self.embedding(input_ids) if inputs_embeds is None else inputs_embeds
        x = x * (self.architecture.scales.embedding or 1.0)
        if hasattr(self, "embedding_in"):
            x = self.embedding_in(x)
        if hasattr(self, "positions"):
            x = x + self.positions(step.positions + self.architecture.positions.offset)
        return self.embedding_norm(x) if hasattr(self, "embedding_norm") else x

    def logits(self, x):
        if hasattr(self, "embedding_out"):
            x = self.embedding_out(x)
        logits = self.head(x) * (self.architecture.scales.logits or 1.0)
        cap = self.architecture.scales.logit_softcap
        return logits if cap is None else cap * torch.tanh(logits / cap)

    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        position_ids=None,
        past_key_values=None,
        inputs_embeds=None,
        labels=None,
        use_cache=None,
        output_attentions=None,
        output_hidden_states=None,
        return_dict=None,
        logits_to_keep=0,
        cache=None,
        context=None,
        num_items_in_batch=None,
        **_,
    ):
        """`attention_mask`: (b, k), 0 where a slot is padding. `labels`: (b, q), -100 where nothing is predicted.

        `context`: tokens that the text will have, by which LongRoPE and dynamic scaling choose their frequencies; those
        it has now unless said. With a cache it must be the same in every step; `generate` sees to that.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either `input_ids` or `inputs_embeds`")
        given = input_ids if inputs_embeds is None else inputs_embeds
        cache = past_key_values if cache is None else cache
        checkpointing = self.gradient_checkpointing and self.training and torch.is_grad_enabled()
        use_cache = self.config.use_cache and not self.training if use_cache is None else use_cache
        if checkpointing:
            # A layer that is computed again must not add to the cache again.
            cache, use_cache = None, False
        if cache is None and use_cache:
            cache = DynamicCache()
        past = 0 if cache is None else self.checked(cache).get_seq_length()
        padding = self.padding(attention_mask, given, past)
        step = Step(given.shape[1], past, padding, position_ids, context, given.device)
        step.cache = cache
        attentions = self.config.output_attentions if output_attentions is None else output_attentions
        states = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        step.explicit = attentions or self.config._attn_implementation == "eager"
        learned = self.architecture.positions
        if learned.kind == "learned" and step.padding is None and past + given.shape[1] > learned.context:
            raise ValueError(f"{past + given.shape[1]} tokens, but the model has {learned.context} learned positions")
        x = self.embed(input_ids, inputs_embeds, step)
        all_states, all_weights, balances = [], [], []
        for place, index in enumerate(self.architecture.order):
            all_states.append(x)
            call = self.layers[index]
            if checkpointing:
                x, weights, balance = self._gradient_checkpointing_func(call.__call__, x, step, place)
            else:
                x, weights, balance = call(x, step, place)
            all_weights.append(weights)
            balances.append(balance)
        if hasattr(self, "final_norm"):
            x = self.final_norm(x)
        all_states.append(x)
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) and logits_to_keep else logits_to_keep
        logits = self.logits(x if isinstance(kept, int) else x[:, kept])
        output = CausalLMOutputWithPast(
            loss=None if labels is None else self.loss(logits, labels, num_items_in_batch, balances),
            logits=logits,
            hidden_states=tuple(all_states) if states else None,
            attentions=tuple(all_weights) if attentions else None,
            **{CACHE: cache if use_cache else None},
        )
        as_tuple = return_dict is False or (return_dict is None and getattr(self.config, "return_dict", True) is False)
        return output.to_tuple() if as_tuple else output

    def checked(self, cache):
        """The cache, where it can hold an entry for every pass."""
        if not isinstance(cache, DynamicCache):
            raise ValueError(f"slimfit models take a `DynamicCache`, not a `{type(cache).__name__}`")
        grows = getattr(cache, "layer_class_to_replicate", True) is not None
        if not grows and len(cache) < len(self.architecture.order):
            wanted = len(self.architecture.order)
            raise ValueError(f"a cache of {len(cache)} entries for {wanted} passes; make it with `DynamicCache()`")
        return cache

    @staticmethod
    def padding(attention_mask, given, past):
        """Which slots hold text, `(b, k)`; none where all do."""
        if attention_mask is None:
            return None
        wanted = (given.shape[0], past + given.shape[1])
        if tuple(attention_mask.shape) != wanted:
            raise ValueError(f"`attention_mask` has the shape {tuple(attention_mask.shape)}, not {wanted}")
        real = attention_mask.bool()
        return None if not torch.compiler.is_compiling() and bool(real.all()) else real

    def loss(self, logits, labels, num_items_in_batch, balances):
        """Cross-entropy of each next token; while training, also the load-balancing loss of mixtures."""
        targets = F.pad(labels[:, 1:], (0, 1), value=-100).flatten().to(logits.device)
        predicted = at_least_f32(logits.flatten(0, 1))
        if num_items_in_batch is None:
            loss = F.cross_entropy(predicted, targets, ignore_index=-100)
        else:
            loss = F.cross_entropy(predicted, targets, ignore_index=-100, reduction="sum") / num_items_in_batch
        balances = [balance for balance in balances if balance is not None]
        if self.training and balances and self.config.router_aux_loss_coef:
            loss = loss + self.config.router_aux_loss_coef * torch.stack(balances).mean().to(loss.device)
        return loss


SlimfitConfig.register_for_auto_class()
SlimfitForCausalLM.register_for_auto_class("AutoModelForCausalLM")
