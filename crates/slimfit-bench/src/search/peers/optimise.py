"""Optimisers on a problem whose genes are whole numbers, each from 0 below its own count.

The clock runs around the optimiser alone. Everything that an optimiser evaluated counts for its front, not only its last
population.
"""

import time

import numpy as np
import problems


def run(request):
    problem = problems.make(request["problem"])
    seconds, seed = request["seconds"], request["seed"]
    visited, elapsed = OPTIMISERS[request["with"]](problem, seconds, seed)
    genomes = np.unique(np.asarray(visited, dtype="<i8").reshape(-1, len(problem.counts)), axis=0)
    places, objectives = problem.places(genomes), problem.evaluate(genomes)
    np.asarray(places, dtype="<u8").tofile(request["places"])
    np.ascontiguousarray(objectives, dtype="<f8").tofile(request["objectives"])
    return {"seconds": elapsed, "evaluations": len(visited), "different": len(genomes)}


def pymoo_nsga2(problem, seconds, seed):
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize
    from pymoo.termination.max_time import TimeBasedTermination

    visited = []

    class Genes(Problem):
        def __init__(self):
            super().__init__(
                n_var=len(problem.counts),
                n_obj=problem.dimensions,
                xl=np.zeros(len(problem.counts), dtype=int),
                xu=problem.counts - 1,
                vtype=int,
            )

        def _evaluate(self, genomes, out, *_, **__):
            genomes = np.asarray(genomes, dtype=np.int64)
            visited.extend(genomes)
            out["F"] = problem.evaluate(genomes)

    # As pymoo's own documentation sets it up for whole numbers.
    algorithm = NSGA2(
        pop_size=200,
        sampling=IntegerRandomSampling(),
        crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )
    start = time.perf_counter()
    minimize(Genes(), algorithm, TimeBasedTermination(float(seconds)), seed=seed, verbose=False)
    return visited, time.perf_counter() - start


def optuna_with(make_sampler):
    def optimise(problem, seconds, seed):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        visited = []
        names = [f"gene{place}" for place in range(len(problem.counts))]

        def objective(trial):
            genome = [trial.suggest_int(name, 0, int(count) - 1) for name, count in zip(names, problem.counts)]
            visited.append(genome)
            return tuple(problem.evaluate_one(genome))

        study = optuna.create_study(
            directions=["minimize"] * problem.dimensions, sampler=make_sampler(optuna.samplers, seed)
        )
        start = time.perf_counter()
        study.optimize(objective, timeout=float(seconds))
        return visited, time.perf_counter() - start

    return optimise


OPTIMISERS = {
    "pymoo NSGA-II": pymoo_nsga2,
    "Optuna NSGA-II": optuna_with(lambda samplers, seed: samplers.NSGAIISampler(seed=seed)),
    "Optuna TPE": optuna_with(lambda samplers, seed: samplers.TPESampler(seed=seed)),
}
