"""Tokenizers that slimfit writes into GGUF files, asked by llama.cpp.

Tokenizers of every kind that is written are trained here by the `tokenizers` library, laid beside a small model and written
to GGUF. llama.cpp reads the file and must cut texts of all sorts into the very tokens that the library cuts them into, and
know which tokens begin and end a text.
Prints one line for each case: `ok NAME`, `FAILED NAME: why` or `skipped NAME: why`.
"""

import ctypes
import json
import os
import pathlib
import subprocess
import tempfile
import unicodedata

import llama_cpp
from gguf import GGUFReader
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SLIMFIT = os.environ["SLIMFIT"]

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
BAILING = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
SEED = QWEN2.replace(r"\p{N}|", r"\p{N}{1}|").replace(r"[^\s\p{L}\p{N}]+[\r\n]*", "[^\\s\\p{L}\\p{N}\r\n]+")
QWEN35 = QWEN2.replace(r"?\p{L}+", r"?[\p{L}\p{M}]+").replace(r"[^\s\p{L}\p{N}]", r"[^\s\p{L}\p{M}\p{N}]")
DEEPSEEK = [
    r"\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*"
    "|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
]

# What tokenizers trip over: contractions, digits, spaces and line ends of all sorts, scripts, marks, emoji, bytes, code.
TEXTS = [
    "Hello, world!",
    " a leading space, and two  spaces, and three   spaces",
    "   ",
    "\n",
    "\n\n\n",
    " \n \n\n  x",
    "a\tb\t\tc\r\nd\r\n\r\ne\rf",
    "trailing   ",
    "trailing newline\n",
    "I'm sure they'll say it's what we'd've done; DON'T SHOUT, WE'RE FINE, I'LL GO.",
    "1 12 123 1234 12345678 3.14159 1,000,000 0x1F -7 ½ ²³ Ⅷ ٣٤٥",
    "naïve café coöperate Ångström",
    "cafe\u0301 with a combining mark, and n\u0303",
    "Привет, мир! Как дела? ПРИВЕТ",
    "你好，世界。今天天气很好！汉字とかなカナ",
    "مرحبا بالعالم، كيف حالك؟",
    "नमस्ते दुनिया, हिन्दी में",
    "สวัสดีชาวโลก",
    "안녕하세요 세계",
    "emoji 😀😃 👩‍👩‍👧‍👦 🇩🇪 ❤️ 🤷🏽‍♀️!",
    "zero\u200bwidth, no\u00a0break, thin\u2009space, ideographic\u3000space, line\u2028separator, nel\u0085.",
    "def f(x):\n    if x == 0:\n        return [1, 2, 3]\n\n    return {'a': x ** 2}  # comment\n",
    "https://example.com/path?query=1&other=%20#fragment user.name+tag@mail.org",
    "C:\\path\\to\\file --flag=\"value\" $HOME ~/x <tag attr='v'/> || && >>= ...",
    "_underscore_ CamelCaseWord snake_case_word SCREAMING kebab-case",
    "“quotes” ‘single’ — dash – en… «guillemets» §¶†‡",
    "∑∫√∞≠≤≥ αβγΔΩ 𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    "\u0000\u0001\u001b\u007f control".replace("\u0000", ""),
    "x" * 40 + " " + "ab" * 30 + " " + "!" * 20 + "=" * 33,
    "<|begin|>system\nYou are kind.<|end|>\n<|begin|>user\nHi <|end|><|end|>",
    "no<|end|>space <tool> around<tool>  these <|begin|>",
    "the of and the cat sat on the mat, the end. " * 3,
    "ǅ ǈ ǋ ﬁ ﬂ ß ẞ İ ı ſ",
    "a\u0301\u0302\u0303 b\u20e3 c\ufe0f",
]
CORPUS = [
    "the cat sat on the mat and the dog lay by the door, because it's what they'd always done.",
    "I'm sure we'll say hello to the world again: hello, world! Don't you think they've done it?",
    "def function(value):\n    if value == 0:\n        return [1, 2, 3]\n\n    return value ** 2\n",
    "In 1999, 2024 and 12345 there were 100 or 1,000 of them; 3.14159 is not 2.71828.",
    "naïve café, Привет мир, 你好世界 今天天气, مرحبا بالعالم, नमस्ते, 안녕하세요, emoji 😀😃 ❤️",
    "https://example.com/path?query=1 user@mail.org <tag> || && === ... --- \n\n\n   spaces    and tabs\t\t",
    "HELLO WORLD. THE CAT. Camel snake_case_word _under_ “quotes” — dash…",
] * 4


def byte_level(pieces, normalizer=None, ignore_merges=False):
    """A tokenizer of bytes whose words are cut by these steps, the last of them the one that makes bytes."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(pieces) if len(pieces) > 1 else pieces[0]
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=460,
        special_tokens=["<|begin|>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_tokens([AddedToken("<tool>", special=False, normalized=False)])
    return tokenizer


def split(*expressions):
    isolated = [pre_tokenizers.Split(Regex(expression), behavior="isolated") for expression in expressions]
    return [*isolated, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]


def begins(tokenizer, token):
    """Puts a token before every text."""
    template = processors.TemplateProcessing(
        single=f"{token} $A", pair=f"{token} $A {token} $B", special_tokens=[(token, tokenizer.token_to_id(token))]
    )
    tokenizer.post_processor = template
    return tokenizer


def sentence_piece(prefix):
    """A tokenizer as those that are made of SentencePiece's: merges of all ways to make each token, best token first."""
    words = [pre_tokenizers.Metaspace(prepend_scheme="always")]
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.pre_tokenizer = pre_tokenizers.Sequence(words)
    trained.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=230, show_progress=False))
    pieces = sorted(trained.get_vocab(), key=trained.get_vocab().get)
    letters, words = [piece for piece in pieces if len(piece) == 1], [piece for piece in pieces if len(piece) > 1]
    order = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *words, *letters]
    vocabulary = {piece: number for number, piece in enumerate(order)}
    merges = []
    for word in words:
        ways = [(word[:place], word[place:]) for place in range(1, len(word))]
        merges += [way for way in ways if way[0] in vocabulary and way[1] in vocabulary]
    model = models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    tokenizer = Tokenizer(model)
    replaced = [normalizers.Replace(" ", "▁")]
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), *replaced] if prefix else replaced)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in order[:3]])
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in ("<|begin|>", "<|end|>")])
    tokenizer.add_tokens([AddedToken("<tool>", special=False, normalized=False)])
    return begins(tokenizer, "<s>")


def kinds():
    """Name, tokenizer, the config beside it, llama.cpp's names of the kind and of what cuts words."""
    end = {"eos_token": "<|end|>"}
    gpt2 = [pre_tokenizers.ByteLevel(add_prefix_space=False)]
    digits = [pre_tokenizers.Digits(individual_digits=True)]
    yield "gpt2", byte_level(gpt2), end, ("gpt2", "gpt-2")
    yield "smollm", byte_level(digits + gpt2), end, ("gpt2", "smollm")
    both = {"bos_token": {"content": "<|begin|>"}, "eos_token": {"content": "<|end|>"}, "chat_template": "{{ messages }}"}
    llama3 = begins(byte_level(split(LLAMA3), ignore_merges=True), "<|begin|>")
    yield "llama3", llama3, both, ("gpt2", "llama-bpe")
    yield "dbrx", byte_level(split(LLAMA3)), end, ("gpt2", "dbrx")
    yield "qwen2", byte_level(split(QWEN2), normalizers.NFC()), {**end, "add_bos_token": False}, ("gpt2", "qwen2")
    yield "deepseek", byte_level(split(*DEEPSEEK)), end, ("gpt2", "deepseek-v3")
    yield "bailing", byte_level(split(BAILING)), end, ("gpt2", "bailingmoe")
    yield "seed", byte_level(split(SEED)), end, ("gpt2", "seed-coder")
    yield "qwen35", byte_level(split(QWEN35)), end, ("gpt2", "qwen35")
    sentence = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    yield "sentencepiece", sentence_piece(True), sentence, ("llama", "default")
    yield "sentencepiece-no-prefix", sentence_piece(False), sentence, ("llama", "default")


class Vocabulary:
    """llama.cpp's tokenizer of a file."""

    def __init__(self, file):
        parameters = llama_cpp.llama_model_default_params()
        parameters.vocab_only = True
        self.model = llama_cpp.llama_model_load_from_file(str(file).encode(), parameters)
        if not self.model:
            raise RuntimeError("llama.cpp does not read the file")
        self.vocabulary = llama_cpp.llama_model_get_vocab(self.model)

    def ids(self, text, special):
        bytes_ = text.encode()
        ids = (llama_cpp.llama_token * (len(bytes_) + 8))()
        count = llama_cpp.llama_tokenize(self.vocabulary, bytes_, len(bytes_), ids, len(ids), special, True)
        return list(ids[:count])

    def text(self, ids):
        room, whole = ctypes.create_string_buffer(64), b""
        for token in ids:
            count = llama_cpp.llama_token_to_piece(self.vocabulary, token, room, len(room), 0, True)
            whole += room.raw[:count]
        return whole.decode(errors="replace")

    def close(self):
        llama_cpp.llama_model_free(self.model)


def emit(folder, out):
    command = [SLIMFIT, "emit", "--model", str(folder), "--out", str(out), "--what", "hf,gguf", "--weights", "f16"]
    finished = subprocess.run([*command, "--context", "64", "--json"], capture_output=True, text=True)
    return json.loads(finished.stdout)


def differences(tokenizer, vocabulary):
    """The texts that llama.cpp cuts otherwise."""
    for text in TEXTS:
        if tokenizer.normalizer and "NFC" in repr(tokenizer.normalizer):
            # llama.cpp does not compose letters and marks, of which slimfit warns.
            text = unicodedata.normalize("NFC", text)
        for special in (False, True):
            right, found = tokenizer.encode(text, add_special_tokens=special).ids, vocabulary.ids(text, special)
            if found != right:
                return f"{text!r} with{'' if special else 'out'} special tokens is {found} there, not {right}"
    return ""


def case(name, tokenizer, config, names, folder):
    source, out = folder / name, folder / f"{name}-out"
    source.mkdir()
    tokenizer.save(str(source / "tokenizer.json"))
    (source / "tokenizer_config.json").write_text(json.dumps(config))
    rows = tokenizer.get_vocab_size(with_added_tokens=True) + 7
    (source / "config.json").write_text(json.dumps({**CONFIG, "vocab_size": rows}))
    written = emit(source, out)
    if "error" in written:
        return f"{written['error']['message']}: {written['error']}"
    warned = [warning["code"] for warning in written["warnings"]]
    if warned != (["tokenizer-differs"] if name == "qwen2" else []):
        return f"warned of {warned}"
    about = written["emitted"][0]["tokenizer"]
    if (about["model"], about["pre"]) != names or about["tokens"] != rows - 7:
        return f"written as {about}"
    file = out / "model-f16.gguf"
    for copied in ("tokenizer.json", "tokenizer_config.json"):
        if (out / copied).read_bytes() != (source / copied).read_bytes():
            return f"`{copied}` does not lie beside the config"
    template = GGUFReader(file).get_field("tokenizer.chat_template")
    if (template and template.contents()) != config.get("chat_template"):
        return "another chat template"
    # The way back: another round changes no byte.
    again = folder / f"{name}-again"
    back = [SLIMFIT, "emit", "--model", str(file), "--out", str(again), "--what", "hf,gguf", "--weights", "f16"]
    finished = subprocess.run(back, capture_output=True, text=True)
    if finished.returncode or (again / file.name).read_bytes() != file.read_bytes():
        return f"the way back changes the file: {finished.stderr}"
    if (again / "tokenizer.json").exists():
        return "a tokenizer is made up beside a config"
    vocabulary = Vocabulary(file)
    try:
        text = config["eos_token"]
        ends = tokenizer.token_to_id(text if isinstance(text, str) else text["content"])
        if llama_cpp.llama_vocab_eos(vocabulary.vocabulary) != ends or not llama_cpp.llama_vocab_is_eog(
            vocabulary.vocabulary, ends
        ):
            return "another token ends a text"
        if vocabulary.text(vocabulary.ids(TEXTS[0], False)).strip() != TEXTS[0]:
            return "the tokens of a text are not that text"
        return differences(tokenizer, vocabulary)
    finally:
        vocabulary.close()


CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
}


def refused(folder):
    """A tokenizer whose words are cut as no pre-tokenizer of llama.cpp cuts them."""
    source = folder / "unknown"
    source.mkdir()
    tokenizer = byte_level(split(r"\p{L}+|\p{N}+|[^\p{L}\p{N}]+"))
    tokenizer.save(str(source / "tokenizer.json"))
    (source / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|end|>"}))
    (source / "config.json").write_text(json.dumps({**CONFIG, "vocab_size": 512}))
    error = emit(source, folder / "unknown-out").get("error", {})
    if error.get("code") != "unsupported-tokenizer" or error.get("field") != "pre_tokenizer":
        return f"not refused by its pre-tokenizer: {error}"
    return ""


@llama_cpp.llama_log_callback
def quiet(level, text, data):
    """What llama.cpp says on its way matters only where it fails, and then its answer says so."""


def main():
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        problems = [(name, case(name, *rest, folder)) for name, *rest in kinds()]
        problems.append(("unknown", refused(folder)))
    for name, problem in problems:
        print(f"FAILED {name}: {problem}" if problem else f"ok {name}")


if __name__ == "__main__":
    main()
