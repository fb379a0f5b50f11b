"""Points of the fronts of the shipped spaces, as `slimfit emit` writes them, built by transformers without weights.

Searches each space for a published device for a few seconds, draws 200 points of all fronts from a fixed seed, emits
them, and compares the parameters that the class builds with those that slimfit counts: every point must load.
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
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

SLIMFIT = os.environ["SLIMFIT"]
SEED, WANTED = 8, 200
# Space, what lets it end soon, and what else is asked of it.
SEARCHES = {
    "slm-tiny": ["slm-tiny", "--epsilon", "0.1"],
    "slm-demo": ["slm-demo", "--epsilon", "0.05"],
    "slm-edge": ["slm-edge", "--epsilon", "0.5", "--max-memory", "200MiB"],
    "slm-1b": ["slm-1b", "--epsilon", "0.5", "--max-memory", "600MiB"],
    "slm-huge": ["slm-huge", "--epsilon", "0.5", "--max-memory", "100MiB"],
    "slm-layers": ["slm-layers", "--epsilon", "0.5"],
}


def slimfit(*arguments):
    """The object that slimfit prints."""
    finished = subprocess.run([SLIMFIT, *map(str, arguments), "--json"], capture_output=True, text=True)
    if finished.returncode != 0:
        raise ValueError(f"slimfit {arguments[0]} failed: {finished.stdout} {finished.stderr}")
    return json.loads(finished.stdout)


def searched(name, arguments, folder):
    """The points of a front, with the study that holds them."""
    space, *limits = arguments
    limits = [*limits, "--max-seconds", "15", "--seed", SEED, "--out", folder]
    slimfit("search", "--space", space, "--profile", "raspberry-pi-5", *limits)
    return [(name, folder, point["id"]) for point in json.loads((folder / "front.json").read_text())["points"]]


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
    fronts = {}
    for name, arguments in SEARCHES.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        points = searched(name, arguments, root / f"study-{name}")
        fronts[name] = points
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
        study, ids = root / f"study-{name}", [point for space, _, point in drawn if space == name]
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
