"""The peers of `cargo xtask bench search`: moocore, pymoo and Optuna.

Reads one JSON object a line, answers each with one. Data lie in files of raw little-endian numbers, so that nothing is
measured but the peers' own calls.
"""

import contextlib
import json
import sys
import time

import moocore
import numpy as np
import optimise

TABLES = {}


def loaded(request):
    key = (request["file"], request["dimensions"])
    if key not in TABLES:
        TABLES[key] = np.fromfile(request["file"]).reshape(-1, request["dimensions"])
    return TABLES[key]


def timed(call):
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def load(request):
    return {"points": len(loaded(request))}


def non_dominated(request):
    points = loaded(request)
    # `keep_weakly`: of equal points all stay, as slimfit has it.
    kept, seconds = timed(lambda: moocore.is_nondominated(points, keep_weakly=True))
    if "out" in request:
        np.flatnonzero(kept).astype("<u8").tofile(request["out"])
    return {"seconds": seconds, "count": int(kept.sum())}


def hypervolume(request):
    points = loaded(request)
    value, seconds = timed(lambda: moocore.hypervolume(points, ref=request["reference"]))
    return {"seconds": seconds, "value": float(value)}


def forget(_):
    TABLES.clear()
    return {}


def versions(_):
    from importlib.metadata import version

    return {name: version(name) for name in ("moocore", "pymoo", "optuna", "numpy")}


COMMANDS = {
    "load": load,
    "forget": forget,
    "non_dominated": non_dominated,
    "hypervolume": hypervolume,
    "optimise": optimise.run,
    "versions": versions,
}


def main():
    answers = sys.stdout
    # What a library prints must not stand between the answers.
    with contextlib.redirect_stdout(sys.stderr):
        for line in sys.stdin:
            request = json.loads(line)
            try:
                answer = COMMANDS[request["do"]](request)
            except Exception as error:  # noqa: BLE001 - the other side says what failed
                answer = {"error": f"{type(error).__name__}: {error}"}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
