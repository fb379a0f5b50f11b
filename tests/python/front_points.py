"""Points of the fronts of the shipped spaces, as `slimfit emit` writes them, built by transformers without weights.

Searches each space, with fewer values of its axes, for a published device, draws 200 points of all fronts from a fixed
seed, emits them, and compares the parameters that the class builds with those that slimfit counts: every point must load.
Prints one line for each point: `ok NAME` or `FAILED NAME: why`.
"""

import json
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

import torch
import yaml
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

SLIMFIT = os.environ["SLIMFIT"]
HERE = pathlib.Path(__file__).parent
SEED, WANTED = 8, 200
# Fewer values of the axes of each space, so that its front is found in a few seconds; and how near to the exact one.
FFN = {"times": "hidden_size", "round": 64}
FEW = {"weights": ["q8_0", "q4_0"], "kv": "f16"}
SPACES = {
    "slm-demo": ({}, 0.05),
    "slm-tiny": ({"weights": ["f32", "q8_0"]}, 0.1),
    "slm-edge": (
        {
            "layers": {"from": 6, "to": 64, "step": 6},
            "hidden_size": {"from": 256, "to": 2048, "step": 256},
            "ffn": {"from": 1, "to": 8, "step": 1, **FFN},
            "vocabulary_size": [32768, 98304],
            **FEW,
        },
        0.05,
    ),
    "slm-1b": (
        {
            "layers": {"from": 8, "to": 64, "step": 8},
            "hidden_size": {"from": 768, "to": 4096, "step": 256},
            "ffn": {"from": 1, "to": 8, "step": 1, **FFN},
            "vocabulary_size": [32768, 98304],
            **FEW,
        },
        0.05,
    ),
    "slm-huge": (
        {
            "layers": {"from": 4, "to": 96, "step": 8},
            "hidden_size": {"from": 256, "to": 4096, "step": 512},
            "head_size": [64, 128],
            "heads": [4, 8, 16, 32],
            "ffn": {"from": 0.5, "to": 8, "step": 1.5, "times": "hidden_size", "round": 32},
            "vocabulary_size": [32768, 98304],
            **FEW,
        },
        0.05,
    ),
    "slm-layers": ({"ffn": {"from": 1, "to": 4, "step": 1.5, "times": "hidden_size"}}, 0.1),
}


def slimfit(*arguments):
    """The object that slimfit prints."""
    finished = subprocess.run([SLIMFIT, *map(str, arguments), "--json"], capture_output=True, text=True)
    if finished.returncode != 0:
        raise ValueError(f"slimfit {arguments[0]} failed: {finished.stdout} {finished.stderr}")
    return json.loads(finished.stdout)


def searched(name, folder):
    """The points of the front of a space with fewer values, and the study that holds them."""
    values, epsilon = SPACES[name]
    space = yaml.safe_load((HERE / f"../../search-spaces/{name}.yaml").read_text())
    space["axes"].update(values)
    path, study = folder / f"{name}.yaml", folder / f"study-{name}"
    path.write_text(yaml.safe_dump(space, sort_keys=False))
    limits = ["--epsilon", epsilon, "--max-seconds", "30", "--seed", SEED]
    slimfit("search", "--space", path, "--profile", "raspberry-pi-5", *limits, "--out", study)
    return [(name, point["id"]) for point in json.loads((study / "front.json").read_text())["points"]]


def check(name, folder, emitted):
    config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
    if config.architectures != [emitted["class"]]:
        raise ValueError(f"the config is of {config.architectures}, `slimfit emit` says {emitted['class']}")
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=True)
    if type(model).__name__ != emitted["class"]:
        raise ValueError(f"it is built as {type(model).__name__}")
    if GenerationConfig.from_pretrained(folder).max_length != config.max_position_embeddings:
        raise ValueError("the generation config has another length")
    counted, built = int(emitted["parameters"]["total"]), sum(part.numel() for part in model.parameters())
    if built != counted:
        raise ValueError(f"{counted} parameters counted, {built} built")


def main():
    root = pathlib.Path(FOLDER.name)
    fronts = {name: searched(name, root) for name in SPACES if name in (sys.argv[1:] or SPACES)}
    chance = random.Random(SEED)
    for points in fronts.values():
        chance.shuffle(points)
    # As many of each space as of any other, as far as its front goes.
    drawn, share = [], 0
    while len(drawn) < WANTED and share < max(map(len, fronts.values())):
        drawn += [points[share] for points in fronts.values() if share < len(points)]
        share += 1
    drawn = drawn[:WANTED]
    if not sys.argv[1:] and len(drawn) < WANTED:
        print(f"FAILED sample: the fronts have {len(drawn)} points in all, {WANTED} are wanted")
    for name in fronts:
        study, ids = root / f"study-{name}", [point for space, point in drawn if space == name]
        out = root / f"emitted-{name}"
        for emitted in slimfit("emit", "--study", study, "--pick", *ids, "--out", out)["emitted"]:
            case = f"{name}-{emitted['id']}-{emitted['class']}"
            folder = out if len(ids) == 1 else out / emitted["id"]
            try:
                check(case, folder, emitted)
                print(f"ok {case}")
            except Exception as error:
                print(f"FAILED {case}: {type(error).__name__}: {error}")


main()
