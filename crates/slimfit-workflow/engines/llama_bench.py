#!/usr/bin/env python3
"""Runs llama.cpp's `llama-bench` for `slimfit measure --engine-command`: one line of JSON in, one out.

    slimfit measure smollm2-135m --engine llama.cpp --engine-command "python3 llama_bench.py /path/to/llama-bench"

Needs nothing beyond Python 3. What is resident counts the pages of the model's file that llama.cpp maps.
"""

import json
import resource
import subprocess
import sys

REQUEST, ANSWER = "slimfit/engine-request/v1", "slimfit/engine-answer/v1"
# The types of a cache that both sides have.
CACHES = ("f16", "bf16", "q8_0")


class Refused(Exception):
    """What cannot be run, in one sentence."""


def bench(program, request, prompt, generated, depth):
    """Runs one test; returns what the program says of it."""
    kv = request["kv"]
    if kv not in CACHES:
        raise Refused(f"llama.cpp keeps no cache in {kv}")
    arguments = {
        "--model": request["model"]["gguf"],
        "--threads": request["threads"],
        "--n-prompt": prompt,
        "--n-gen": generated,
        "--n-depth": depth,
        "--repetitions": request["repetitions"],
        "--cache-type-k": kv,
        "--cache-type-v": kv,
        # A quantised cache is read by flash attention only.
        "--flash-attn": int(kv == "q8_0"),
        "--n-gpu-layers": 0,
        "--output": "json",
    }
    command = [program] + [str(part) for pair in arguments.items() for part in pair]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if ran.returncode != 0:
        lines = ran.stderr.strip().splitlines()
        sys.exit(f"{program} ended with exit code {ran.returncode}: {lines[-1] if lines else 'no message'}")
    try:
        (test,) = json.loads(ran.stdout)
    except ValueError as error:
        sys.exit(f"{program} printed something else than one test as JSON: {error}")
    told = [test[name] for name in ("n_prompt", "n_gen", "n_depth", "n_threads", "type_k", "type_v")]
    asked = [prompt, generated, depth, request["threads"], kv, kv]
    if told != asked:
        sys.exit(f"{program} ran {told}, not {asked} (prompt, generated, depth, threads, cache of keys, of values)")
    return test


def answer(program, request):
    """What the engine says to a request."""
    if request.get("schema") != REQUEST:
        raise Refused(f"this speaks {REQUEST}, not {request.get('schema')}")
    if request["model"]["gguf"] is None:
        raise Refused("llama.cpp runs GGUF files, and there is none of this model")
    tests, numbers = [], {}
    if request["prompt_tokens"] > 0:
        test = bench(program, request, request["prompt_tokens"], 0, 0)
        numbers["prefill_seconds"] = [nanoseconds * 1e-9 for nanoseconds in test["samples_ns"]]
        tests.append(test)
    if request["generated_tokens"] > 0:
        test = bench(program, request, 0, request["generated_tokens"], request["depth_tokens"])
        numbers["decode_seconds"] = [nanoseconds * 1e-9 for nanoseconds in test["samples_ns"]]
        tests.append(test)
    if not tests:
        raise Refused("neither a prompt nor generated tokens were asked for")
    # Kibibytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    numbers["peak_memory_bytes"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    version = f"{tests[0]['build_number']} ({tests[0]['build_commit']})"
    return {"schema": ANSWER, "engine": {"name": "llama.cpp", "version": version}, **numbers}


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: llama_bench.py PATH-OF-LLAMA-BENCH < request")
    request = json.loads(sys.stdin.readline())
    try:
        said = answer(sys.argv[1], request)
    except Refused as refusal:
        said = {"schema": ANSWER, "error": str(refusal)}
    except OSError as error:
        sys.exit(f"{sys.argv[1]} cannot be started: {error.strerror}")
    print(json.dumps(said))


if __name__ == "__main__":
    main()
