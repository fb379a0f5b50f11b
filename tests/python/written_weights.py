"""Weights that slimfit writes, read by the programs they are written for.

GGUF: a random model of each family, saved by transformers and converted by slimfit, against the file that the `gguf`
package writes for the same model with the names, orders and metadata of llama.cpp's converter: the same tensors with the
same bytes, and every key that the converter writes with the same value.

Safetensors: initial weights of an architecture of each class are loaded by transformers, with no key missing or too many,
and give the logits that slimfit computes; a random model of each class comes back tensor by tensor.
Prints one line for each case: `ok NAME`, `FAILED NAME: why` or `skipped NAME: why`.
"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

FOLDER = tempfile.TemporaryDirectory()
os.environ["HF_MODULES_CACHE"] = FOLDER.name + "/modules"

import gguf_files
import numpy
import torch
from gguf import GGMLQuantizationType as Type
from gguf import GGUFReader
from gguf_files import FAMILIES, answer, check, model_of, write
from make import TOKENS, computing, logits
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent
SLIMFIT = os.environ["SLIMFIT"]
ARCHITECTURES = json.loads((HERE / "architectures.json").read_text())
# What a narrower family computes the same.
NARROWER = {"phi3": "llama"}
# What llama.cpp's graphs do not compute, and slimfit therefore does not write.
UNWRITTEN = {
    "falcon": "slimfit writes no file of this family",
    "gpt_neox": "the exact GELU, which llama.cpp replaces by its approximation",
    "phi3-longrope": "LongRoPE, whose list llama.cpp chooses by the size of the cache",
}


def emit(model, out, *arguments):
    """Why slimfit does not write a model into a new folder; empty when it did."""
    shutil.rmtree(out, ignore_errors=True)
    command = [SLIMFIT, "emit", "--model", str(model), "--out", str(out), *arguments, "--json"]
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode == 0:
        return ""
    try:
        return json.loads(finished.stdout)["error"]["message"]
    except ValueError:
        return finished.stderr.strip().splitlines()[-1]


def emit_gguf(model, out, weights):
    return emit(model, out, "--what", "gguf", "--weights", weights), out / f"model-{weights}.gguf"


def say(name, problems):
    print(f"FAILED {name}: {'; '.join(problems[:3])}" if problems else f"ok {name}")


def differences(ours, right):
    """Where two GGUF files differ in what llama.cpp reads."""
    found = {tensor.name: tensor for tensor in ours.tensors}
    expected = {tensor.name: tensor for tensor in right.tensors}
    problems = [f"{name} is not there" for name in expected.keys() - found.keys()]
    problems += [f"{name} is too many" for name in found.keys() - expected.keys()]
    for name in found.keys() & expected.keys():
        a, b = found[name], expected[name]
        # Trailing sizes of 1 are none.
        sizes = [[int(size) for size in tensor.shape] for tensor in (a, b)]
        sizes = [size[:1] + [each for each in size[1:] if each != 1] for size in sizes]
        if sizes[0] != sizes[1] or a.tensor_type != b.tensor_type:
            problems.append(f"{name} is {sizes[0]} {a.tensor_type.name}, not {sizes[1]} {b.tensor_type.name}")
        elif name == "rope_freqs.weight":
            if not numpy.allclose(a.data, b.data, rtol=1e-6):
                problems.append(f"{name} has other values")
        elif not numpy.array_equal(numpy.asarray(a.data).reshape(-1), numpy.asarray(b.data).reshape(-1)):
            problems.append(f"{name} has other values")
    for key, field in right.fields.items():
        if key.startswith(("GGUF.", "tokenizer.")) or key == "general.name":
            continue
        if key.endswith("moe.feed_forward_length"):
            # Of dense layers, of which there are none.
            continue
        if key == "phi3.rope.scaling.original_context_length":
            # Where LongRoPE begins, of which there is none.
            continue
        mine = ours.get_field(key)
        if mine is None:
            # Said by default, or of what the family does not have.
            problems.append(f"{key} is not there")
        elif mine.contents() != field.contents():
            problems.append(f"{key} is {mine.contents()}, not {field.contents()}")
    return problems


def gguf_case(name, folder):
    family, config, model = model_of(name)
    model.save_pretrained(folder / name)
    right = folder / f"{name}.gguf"
    problem, ours = emit_gguf(folder / name, folder / f"{name}-ours", "f32")
    if name in UNWRITTEN:
        refused = problem.startswith("llama.cpp has no architecture for this model")
        say(f"gguf-{name}-refused", [] if refused else [problem or f"written, in spite of {UNWRITTEN[name]}"])
        return
    if problem:
        print(f"FAILED gguf-{name}: {problem}")
        return
    narrower = NARROWER.get(name)
    if narrower is None:
        write(right, family, config, model, lambda _: Type.F32)
        say(f"gguf-{name}", differences(GGUFReader(ours), GGUFReader(right)))
    else:
        found = GGUFReader(ours).get_field("general.architecture").contents()
        say(f"gguf-{name}", [] if found == narrower else [f"written as {found}, not {narrower}"])
    check(f"gguf-{name}-logits", folder, logits(computing(model)).numpy(), gguf_files.EXACT, ours, "--weights", "f32")
    # The same from the file as from the model it was made of, and a quantised file from a quantised one unchanged.
    for weights in ("f32", "q4_0"):
        if weights != "f32":
            _, ours = emit_gguf(folder / name, folder / f"{name}-ours", weights)
        problem, again = emit_gguf(ours, folder / f"{name}-again", weights)
        stored = [] if problem else [[tensor.data.tobytes() for tensor in GGUFReader(file).tensors] for file in (ours, again)]
        say(f"gguf-{name}-again-{weights}", [] if stored and stored[0] == stored[1] else [problem or "its tensors changed"])


def loaded(name, folder):
    """The model that transformers loads, none after a line that says why not."""
    options = {"output_loading_info": True, "dtype": torch.float32, "trust_remote_code": True}
    model, report = AutoModelForCausalLM.from_pretrained(folder, **options)
    problems = [f"{kind}: {keys}" for kind, keys in report.items() if keys]
    if problems:
        print(f"FAILED {name}: {problems}")
        return None
    return model


def initial_case(name, architecture, folder):
    source, out = folder / f"{name}.json", folder / name
    source.write_text(json.dumps(architecture))
    arguments = ["--what", "hf,safetensors", "--dtype", "f32", "--seed", "7", "--context", "512"]
    problem = emit(source, out, *arguments)
    if problem:
        print(f"FAILED initial-{name}: {problem}")
        return
    model = loaded(f"initial-{name}", out)
    if model is None:
        return
    queries = ("q_proj.weight", "query.weight")
    matrices = torch.cat([value.flatten() for key, value in model.state_dict().items() if key.endswith(queries)])
    deviation = float(matrices.std())
    if not 0.0195 < deviation < 0.0205:
        print(f"FAILED initial-{name}: queries have a deviation of {deviation}")
        return
    compare(f"initial-{name}", model, out, folder)


def compare(name, model, source, folder):
    found = answer(name, folder, source, "--weights", "f32")
    if found is None:
        return
    right = logits(computing(model)).numpy()
    error = numpy.sqrt(((found - right) ** 2).mean() / (right**2).mean())
    say(name, [] if error <= gguf_files.EXACT else [f"logits are {error:.1e} off"])


def safetensors_case(name, folder):
    """A model of transformers with random values, norms and biases too, through slimfit and back."""
    _, _, model = model_of(name)
    first, second = folder / f"{name}-hf", folder / f"{name}-hf-again"
    model.save_pretrained(first)
    problem = emit(first, second, "--what", "hf,safetensors", "--dtype", "f32")
    if problem:
        print(f"FAILED safetensors-{name}: {problem}")
        return
    before, after = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    names = sorted(before.keys() ^ after.keys())
    values = [key for key in before.keys() & after.keys() if not torch.equal(before[key], after[key])]
    if names or values:
        say(f"safetensors-{name}", [f"names {names[:4]}", f"values of {values[:4]}"])
        return
    again = loaded(f"safetensors-{name}", second)
    if again is not None:
        compare(f"safetensors-{name}", again, second, folder)


# Of slimfit's own class.
CUSTOM = {
    "slimfit-loops": {**ARCHITECTURES["llama"], "loops": {"first": 1, "layers": 2, "count": 3}},
    "slimfit-unlike": {
        **ARCHITECTURES["llama-all-biases"],
        "layers": [*ARCHITECTURES["llama-all-biases"]["layers"], *ARCHITECTURES["mixtral"]["layers"]],
        "embedding_size": 64,
    },
}
# Model types whose class slimfit writes.
WRITTEN = ["arcee", "gemma", "gemma2", "gemma3", "granite", "llama", "llama-rope-llama3", "llama-tied", "mixtral", "olmo2",
           "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "smollm3"]  # fmt: skip


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name in FAMILIES:
            gguf_case(name, folder)
        for name in WRITTEN:
            safetensors_case(name, folder)
        for name, architecture in {**ARCHITECTURES, **CUSTOM}.items():
            initial_case(name, architecture, folder)


if __name__ == "__main__":
    main()
