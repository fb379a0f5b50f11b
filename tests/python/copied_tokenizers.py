"""Tokenizers that `slimfit emit` lays beside a config, loaded by transformers.

`AutoTokenizer` of the written folder must give the very tokens that `AutoTokenizer` of the source folder gives, whether a
standard class holds the model or slimfit's own does.
Prints one line for each case: `ok NAME`, `FAILED NAME: why` or `skipped NAME: why`.
"""

import json
import os
import pathlib
import subprocess
import tempfile

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer

SLIMFIT = os.environ["SLIMFIT"]
TEXTS = ["Hello, world! 123", "  naïve café\n\n", "<|begin|>user\nHi<|end|>", "你好 😀"]
LAYER = {
    "attention": {"heads": 2, "kv_heads": 2, "head_size": 32, "rope": {"base": 10000.0}},
    "ffn": {"kind": "dense", "size": 64, "gated": True, "activation": "silu"},
}
MODEL = {"schema": "slimfit/architecture/v1", "hidden_size": 64, "vocabulary_size": 320, "tied_embeddings": True}
MODELS = {
    "standard-class": {**MODEL, "layers": [LAYER]},
    "own-class": {**MODEL, "layers": [LAYER], "loops": {"first": 0, "layers": 1, "count": 2}},
}


def trained():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|begin|>", "<|end|>"]
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(["hello world, hello café 123"] * 4, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|begin|> $A", pair="<|begin|> $A $B", special_tokens=[("<|begin|>", 0)]
    )
    return tokenizer


def emit(model, out, tokenizer):
    command = [SLIMFIT, "emit", "--model", str(model), "--out", str(out), "--context", "64"]
    finished = subprocess.run([*command, "--tokenizer", str(tokenizer), "--json"], capture_output=True, text=True)
    return json.loads(finished.stdout).get("error", {}).get("message", "")


def case(name, architecture, source, folder):
    model, out = folder / f"{name}.json", folder / name
    model.write_text(json.dumps(architecture))
    problem = emit(model, out, source)
    if problem:
        return problem
    options = {"trust_remote_code": True} if name == "own-class" else {}
    written, given = AutoTokenizer.from_pretrained(out, **options), AutoTokenizer.from_pretrained(source)
    for text in TEXTS:
        found, right = written(text)["input_ids"], given(text)["input_ids"]
        if found != right:
            return f"{text!r} is {found}, not {right}"
    if (written.bos_token, written.eos_token) != ("<|begin|>", "<|end|>"):
        return f"a text begins with {written.bos_token} and ends with {written.eos_token}"
    if written.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False) != "<|begin|>Hi<|end|>":
        return "another chat template"
    return ""


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        source = folder / "source"
        source.mkdir()
        trained().save(str(source / "tokenizer.json"))
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "<|begin|>",
            "eos_token": "<|end|>",
            "model_max_length": 64,
        }
        (source / "tokenizer_config.json").write_text(json.dumps(config))
        template = "{% for message in messages %}{{ bos_token + message['content'] + eos_token }}{% endfor %}"
        (source / "chat_template.jinja").write_text(template)
        for name, architecture in MODELS.items():
            problem = case(name, architecture, source, folder)
            print(f"FAILED {name}: {problem}" if problem else f"ok {name}")


if __name__ == "__main__":
    main()
