"""Where the trials run: Ray on this machine, or the cluster at RAY_ADDRESS.

Its workers get stages/ and sweeps/ as Ray's runtime environment and the arrays through Ray's object
store. Checkpoints and results go to the storage: a folder of this machine, or SWEEP_STORAGE, which
must be one that all nodes reach.
"""

import logging
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from pyarrow.fs import FileSystem
from ray.exceptions import AuthenticationError

from stages.shared.errors import UserError
from sweeps.space import Sweep

GIB = 2**30
SECONDS_TO_CONNECT = 5
# Each worker's output stays in the log folder of Ray.
QUIET = {"log_to_driver": False, "logging_level": "ERROR"}


@contextmanager
def connect_ray(threads: int, project: Path | None = None) -> Iterator[None]:
    """Ray, started on this machine or joined at RAY_ADDRESS; workers with that many threads.

    Workers get the code, or the whole folder `project` as the one that they work in. Raises
    UserError if Ray does not start, or the cluster cannot be reached.
    """
    address = os.environ.get("RAY_ADDRESS")
    workers = describe_workers(threads, project)
    try:
        if address:
            join_cluster(address, workers)
        else:
            start_ray(workers)
    except (OSError, ValueError, RuntimeError, AuthenticationError) as error:
        raise UserError(
            f"expected a Ray cluster at RAY_ADDRESS, HOST:PORT, and its token in ~/.ray/auth_token;"
            f" found RAY_ADDRESS={address}: {error}"
            if address
            else f"Ray did not start on this machine: {error}"
        ) from None
    # A trial's error is a line of progress.py and a row of trials.csv; Ray need not say it again.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        ray.shutdown()


def describe_workers(threads: int, project: Path | None) -> dict[str, Any]:
    """Ray's runtime environment: code, left-out folders, environment variables."""
    code = [str(Path(folder).absolute()) for folder in ("stages", "sweeps")]
    return {
        **({"working_dir": str(project)} if project else {"py_modules": code}),
        "excludes": ["__pycache__", ".git"],
        "env_vars": {"OMP_NUM_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": str(threads)},
    }


def join_cluster(address: str, workers: dict[str, Any]) -> None:
    host, _, port = address.rpartition(":")
    # Ray would try for minutes.
    socket.create_connection((host, int(port)), timeout=SECONDS_TO_CONNECT).close()
    ray.init(address=address, runtime_env=workers, **QUIET)


def start_ray(workers: dict[str, Any]) -> None:
    cores = count_cores()
    ray.init(address="local", runtime_env=workers, num_cpus=cores, include_dashboard=False, **QUIET)


def count_cores() -> int:
    """How many this process may use; macOS cannot tell, there all."""
    may_use = getattr(os, "sched_getaffinity", None)
    return len(may_use(0)) if may_use else os.cpu_count() or 1


def storage_for(folder: Path) -> str:
    """SWEEP_STORAGE, or the folder if all nodes are on this machine. Raises UserError if not."""
    if storage := os.environ.get("SWEEP_STORAGE"):
        if "://" not in storage and not Path(storage).is_absolute():
            raise UserError(
                f"SWEEP_STORAGE: expected a folder's whole path or a bucket (/mnt/shared/sweeps, "
                f"s3://bucket/sweeps), found {storage}"
            )
        return storage
    machines = {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    if len(machines) > 1:
        raise UserError(
            f"the cluster has {len(machines)} machines: expected SWEEP_STORAGE in the environment, "
            "a folder or bucket that all of them reach (/mnt/shared/sweeps, s3://bucket/sweeps)"
        )
    return str(folder.absolute())


def refuse_too_large(sweep: Sweep) -> None:
    """Raise UserError if no node has room for a trial: Ray would wait for one that has."""
    needs = {"CPU": sweep.threads, "memory": sweep.memory * GIB}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(node.get(name, 0) >= needs[name] for name in needs) for node in nodes):
        found = ", ".join(
            f"{n.get('CPU', 0):.0f} and {n.get('memory', 0) / GIB:.1f}" for n in nodes
        )
        raise UserError(
            f"sweeps/params.yaml: a trial takes {sweep.threads} threads and {sweep.memory} GiB; "
            f"the machines have {found}: lower them"
        )


def remove_sweep(storage: str, name: str, folder: Path) -> None:
    """Remove an ended sweep's checkpoints and state, and what earlier ones left in the folder."""
    system, path = FileSystem.from_uri(storage)
    system.delete_dir(f"{path}/{name}")
    shutil.rmtree(folder, ignore_errors=True)
