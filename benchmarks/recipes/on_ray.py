"""The measured runs of recipes on Ray: on this machine, or on the cluster at RAY_ADDRESS."""

import os
from collections.abc import Iterator
from pathlib import Path

from sweeps.ray_settings import SETTINGS

os.environ.update(SETTINGS | os.environ)  # Ray reads them when it is imported

import ray

from benchmarks.recipes.run import SPREAD, RecipeRun, measure_recipe
from stages.shared.errors import UserError
from sweeps.cluster import connect_ray

TIMES_LOST = 3  # that a run starts again because its node or process was lost


def run_on_ray(
    commit: Path, runs: list[RecipeRun], threads: int
) -> Iterator[tuple[RecipeRun, dict[str, object]]]:
    """Each run and what it gave, as they end.

    The commit's files go to each node as Ray's working folder; a node fetches the data itself.
    Raises RuntimeError with the failed command's output; UserError if no machine has the threads.
    """
    with connect_ray(threads, commit):
        most = max(node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"])
        if threads > most:  # Ray would wait for a machine that has them
            raise UserError(f"--spread {threads}: the largest machine has {most:.0f}: lower it")
        task = ray.remote(num_cpus=threads, max_retries=TIMES_LOST)(measure_recipe)
        pending = {
            task.remote(Path(), run, threads): run for run in runs
        }  # a worker's folder is the commit
        while pending:
            (ended,), _ = ray.wait(list(pending))
            try:
                found = ray.get(ended)
            except ray.exceptions.RayTaskError as error:
                raise RuntimeError(error.cause) from None
            except ray.exceptions.RayError as error:
                raise RuntimeError(f"{pending[ended]} was lost: {error}") from None
            found["machine"] = f"{found['machine']}; {threads} {SPREAD}"
            yield pending.pop(ended), found
