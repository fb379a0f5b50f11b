"""GGUF files that slimfit writes, run by llama.cpp.

A model of each family of llama.cpp (`families.json`) is written in several formats, its norms and biases are given random
values in place, and llama.cpp and slimfit compute the logits of the same tokens. slimfit computes in f32 with the values
that the file has; what llama.cpp rounds of its activations is the bound.
Prints one line for each case: `ok NAME`, `FAILED NAME: why` or `skipped NAME: why`.
"""

import ctypes
import json
import os
import pathlib
import subprocess
import tempfile
import zlib

import llama_cpp
import numpy
from gguf import GGMLQuantizationType as Type
from gguf import GGUFReader

HERE = pathlib.Path(__file__).parent
SLIMFIT = os.environ["SLIMFIT"]
FAMILIES = json.loads((HERE / "families.json").read_text())
TOKENS = [5, 9, 2, 60, 0, 9, 9, 1, 30, 44, 17, 17, 8, 63, 22, 3, 51, 9, 2, 40]
# How far logits may be, as roots of mean squares: in f32 sums in another order; llama.cpp looks GELU up in a table of f16.
EXACT, TABLE = 1e-4, 1e-3
# Products with quantised weights round activations to steps of a 127th of the largest of a block.
BOUNDS = {"f32": EXACT, "f16": 3e-3, "bf16": 1.2e-2, "q8_0": 3.5e-2, "q4_0": 3.5e-2, "q4_k": 4.2e-2, "q6_k": 4.2e-2}
EVERY = ["f32", "q8_0", "q4_0", "q4_k"]


def lively(file):
    """Gives norms and biases values of their own: those that training begins with would hide a norm at the wrong place."""
    for tensor in GGUFReader(file, "r+").tensors:
        if len(tensor.shape) == 1 and tensor.tensor_type == Type.F32 and not tensor.name.startswith("rope_"):
            random = numpy.random.default_rng(zlib.crc32(tensor.name.encode()))
            middle = 0.0 if tensor.name.endswith(".bias") else 1.0
            tensor.data[:] = middle + random.uniform(-0.3, 0.3, tensor.data.shape).astype(numpy.float32)
        elif tensor.tensor_type == Type.F32 and "token_embd" not in tensor.name:
            # So that scores and branches count beside the embeddings.
            tensor.data[:] = tensor.data * 3
        if isinstance(tensor.data.base, numpy.memmap):
            tensor.data.base.flush()


def llama_logits(file):
    parameters = llama_cpp.llama_model_default_params()
    parameters.n_gpu_layers = 0
    model = llama_cpp.llama_model_load_from_file(str(file).encode(), parameters)
    if not model:
        return None
    options = llama_cpp.llama_context_default_params()
    options.n_ctx = options.n_batch = options.n_ubatch = 64
    options.n_threads = options.n_threads_batch = 1
    # Keys, values and scores are rounded by nobody.
    options.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
    options.type_k = options.type_v = llama_cpp.GGML_TYPE_F32
    context = llama_cpp.llama_init_from_model(model, options)
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    batch = llama_cpp.llama_batch_init(len(TOKENS), 0, 1)
    batch.n_tokens = len(TOKENS)
    for place, token in enumerate(TOKENS):
        batch.token[place], batch.pos[place], batch.logits[place] = token, place, 1
        batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
    failed = llama_cpp.llama_decode(context, batch)
    logits = None
    if failed == 0:
        rows = [llama_cpp.llama_get_logits_ith(context, place)[:vocabulary] for place in range(len(TOKENS))]
        logits = numpy.array(rows, numpy.float32)
    llama_cpp.llama_batch_free(batch)
    llama_cpp.llama_free(context)
    llama_cpp.llama_model_free(model)
    return logits


def slimfit_logits(file, folder):
    tokens, out = folder / "tokens.txt", folder / "logits.npy"
    tokens.write_text(" ".join(str(token) for token in TOKENS))
    command = [SLIMFIT, "measure", str(file), "--weights", "f32", "--kv", "f32", "--token-ids", str(tokens)]
    finished = subprocess.run([*command, "--logits", str(out), "--json"], capture_output=True, text=True)
    if finished.returncode != 0:
        raise RuntimeError(json.loads(finished.stdout)["error"]["message"])
    return numpy.load(out)


def emit(source, out, weights):
    """The file that slimfit writes, and why it does not."""
    command = [SLIMFIT, "emit", "--model", str(source), "--out", str(out), "--what", "gguf", "--weights", weights]
    finished = subprocess.run([*command, "--seed", "11", "--context", "64", "--json"], capture_output=True, text=True)
    problem = json.loads(finished.stdout)["error"]["message"] if finished.returncode else ""
    return out / f"model-{weights}.gguf", problem


def case(name, architecture, weights, folder):
    source = folder / f"{name}.json"
    source.write_text(json.dumps(architecture))
    file, problem = emit(source, folder / f"{name}-{weights}", weights)
    if problem:
        print(f"FAILED {name}-{weights}: {problem}")
        return
    # Families with a choice of parts have several models, named after what they choose.
    family = GGUFReader(file).get_field("general.architecture").contents()
    if family != name.split("-")[0]:
        print(f"FAILED {name}-{weights}: written as {family}")
        return
    lively(file)
    try:
        right, found = slimfit_logits(file, folder), llama_logits(file)
    except RuntimeError as error:
        print(f"FAILED {name}-{weights}: {error}")
        return
    file.unlink()
    if found is None:
        print(f"FAILED {name}-{weights}: llama.cpp does not run the file")
        return
    error = numpy.sqrt(((found - right) ** 2).mean() / (right**2).mean())
    gelu = "gelu_tanh" in json.dumps(architecture)
    bound = max(BOUNDS[weights], TABLE if gelu else 0)
    if error <= bound:
        print(f"ok {name}-{weights} ({error:.1e})")
    else:
        print(f"FAILED {name}-{weights}: logits are {error:.1e} from slimfit's, allowed are {bound:.1e}")


@llama_cpp.llama_log_callback
def quiet(level, text, data):
    """What llama.cpp says on its way matters only where it fails, and then its answer says so."""


def main():
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, architecture in FAMILIES.items():
            for weights in BOUNDS if name in ("llama", "gpt2") else EVERY:
                case(name, architecture, weights, folder)


if __name__ == "__main__":
    main()
