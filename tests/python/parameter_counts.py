"""Counts of `slimfit inspect` against the real classes of transformers, built without weights.

Three ways: configs as each class writes them by default, the same with fields changed that change the tensors
(`variations.json`), and configs that `slimfit emit` wrote for the built-in models and for one architecture of each class
that it writes (`architectures.json`).
Prints one line for each case: `ok NAME`, `FAILED NAME: why` or `skipped NAME: why`.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

CODE = tempfile.TemporaryDirectory()
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_MODULES_CACHE"] = CODE.name
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

SLIMFIT = os.environ["SLIMFIT"]
HERE = pathlib.Path(__file__).parent
VARIATIONS = json.loads((HERE / "variations.json").read_text())
ARCHITECTURES = json.loads((HERE / "architectures.json").read_text())


def slimfit(*arguments):
    """The object that slimfit prints, and its exit code."""
    finished = subprocess.run([SLIMFIT, *arguments, "--json"], capture_output=True, text=True)
    return json.loads(finished.stdout), finished.returncode


def built(config):
    """Parameters of the class itself, shared ones once."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=True)
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


def check_config(name, config, folder):
    """A config as transformers writes it, read by slimfit."""
    config.architectures = None
    config.save_pretrained(folder / name)
    answer, code = slimfit("inspect", str(folder / name))
    if code != 0:
        print(f"FAILED {name}: {answer['error']['message']}")
        return
    compare(name, answer["parameters"]["total"], config)


def known_families(folder):
    """The model types that slimfit lists when it refuses one."""
    folder.mkdir(parents=True)
    path = folder / "config.json"
    path.write_text('{"model_type": "no such type"}')
    answer, _ = slimfit("inspect", str(path))
    return answer["error"]["allowed"].split(", ")


def default_configs(families, folder):
    for family in families:
        name = f"default-{family}"
        if family not in CONFIG_MAPPING:
            print(f"skipped {name}: transformers has no such class")
            continue
        check_config(name, CONFIG_MAPPING[family](), folder)


def varied_configs(families, folder):
    for family, variations in VARIATIONS.items():
        if family not in families:
            print(f"FAILED varied-{family}: slimfit does not know this type")
            continue
        for index, fields in enumerate(variations):
            name = f"varied-{family}-{index}"
            check_config(name, CONFIG_MAPPING[family](**fields), folder)


def emitted_config(name, model, ours, folder, *arguments):
    """The config that slimfit writes for a model, read back by slimfit and built by transformers; its model type."""
    out = folder / name
    answer, code = slimfit("emit", "--model", model, "--out", str(out), *arguments)
    if code != 0:
        print(f"FAILED {name}: {answer['error']['message']}")
        return None
    read, _ = slimfit("inspect", str(out))
    if int(read["parameters"]["total"]) != int(ours):
        print(f"FAILED {name}: {read['parameters']['total']} read back, {ours} before")
        return None
    config = AutoConfig.from_pretrained(out, trust_remote_code=True)
    compare(name, ours, config)
    return config.model_type


def emitted_configs(models, folder):
    for model in models:
        # Some of these need slimfit's own class: no other can say what they are.
        emitted_config(f"emitted-{model['name']}", model["name"], model["parameters"]["total"], folder)
    for name, architecture in ARCHITECTURES.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(architecture))
        answer, code = slimfit("inspect", str(path))
        if code != 0:
            print(f"FAILED emitted-{name}: {answer['error']['message']}")
            continue
        total = answer["parameters"]["total"]
        model_type = emitted_config(f"emitted-{name}", str(path), total, folder, "--context", "512")
        if model_type is None or not name.startswith(model_type):
            print(f"FAILED emitted-{name}-class: written as {model_type}")


def main():
    answer, code = slimfit("models")
    if code != 0:
        sys.exit(f"`slimfit models` failed: {answer}")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        families = known_families(folder / "unknown")
        default_configs(families, folder / "default")
        varied_configs(families, folder / "varied")
        emitted_configs(answer["models"], folder / "emitted")


main()
