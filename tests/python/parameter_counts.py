"""Counts of `slimfit inspect` against the real classes of transformers, built without weights.

Two ways: configs as each class writes them by default, and configs that `slimfit emit` wrote for the built-in models.
Prints one line for each case: `ok NAME`, `FAILED NAME: why` or `skipped NAME: why`.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

SLIMFIT = os.environ["SLIMFIT"]
# Configs of these types describe more than a text model; their text part has a type of its own.
TEXT_PART = {"gemma3": "gemma3_text"}


def slimfit(*arguments):
    """The object that slimfit prints, and its exit code."""
    finished = subprocess.run([SLIMFIT, *arguments, "--json"], capture_output=True, text=True)
    return json.loads(finished.stdout), finished.returncode


def built(config):
    """Parameters of the class itself, shared ones once."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return sum(parameter.numel() for parameter in model.parameters())


def compare(name, ours, config):
    try:
        theirs = built(config)
    except Exception as error:
        print(f"skipped {name}: transformers cannot build it: {type(error).__name__}")
        return
    if int(ours) == theirs:
        print(f"ok {name}")
    else:
        print(f"FAILED {name}: {ours} counted, {theirs} built")


def default_configs(families, folder):
    for family in families:
        name = f"default-{family}"
        key = TEXT_PART.get(family, family)
        if key not in CONFIG_MAPPING:
            print(f"skipped {name}: transformers has no such class")
            continue
        config = CONFIG_MAPPING[key]()
        config.architectures = None
        path = folder / family
        config.save_pretrained(path)
        answer, code = slimfit("inspect", str(path))
        if code == 2:
            print(f"skipped {name}: refused: {answer['error']['message']}")
            continue
        compare(name, answer["parameters"]["total"], config)


def emitted_configs(models, folder):
    for model in models:
        name = f"emitted-{model['name']}"
        out = folder / model["name"]
        answer, code = slimfit("emit", "--model", model["name"], "--out", str(out))
        if code == 2 and answer["error"]["code"] == "no-standard-class":
            # Refusing is right for these: no class can say what they are.
            continue
        if code != 0:
            print(f"FAILED {name}: {answer['error']['message']}")
            continue
        ours = model["parameters"]["total"]
        read, _ = slimfit("inspect", str(out))
        if int(read["parameters"]["total"]) != int(ours):
            print(f"FAILED {name}: {read['parameters']['total']} read back, {ours} before")
            continue
        compare(name, ours, AutoConfig.from_pretrained(out))


def main():
    answer, code = slimfit("models")
    if code != 0:
        sys.exit(f"`slimfit models` failed: {answer}")
    families = sorted({model["family"] for model in answer["models"]})
    with tempfile.TemporaryDirectory() as folder:
        default_configs(families, pathlib.Path(folder) / "default")
        emitted_configs(answer["models"], pathlib.Path(folder) / "emitted")


main()
