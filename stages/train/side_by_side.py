"""Members of an ensemble trained at once, each on one thread in a process of its own.

On two cores, two trainings of one thread each end sooner than one after the other with two threads.
A process leaves its member's last checkpoint and nothing else. From there `fit_members` goes on,
with no epoch left to train. So the bytes are those of members trained one after the other.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from pathlib import Path

from stages.shared.errors import UserError
from stages.train.fitting import Method
from stages.train.member_process import start_member_process
from stages.train.members import fit_member
from stages.train.memory import available_bytes, training_bytes
from stages.train.parts import choose_parts, read_parts
from stages.train.pretrained import is_frozen
from stages.train.threads import available_cores, use_threads

PROCESS_BYTES = 700_000_000  # of TensorFlow itself, measured with 2.21


def count_processes(method: Method) -> int:
    """How many members to train at once: as many as cores and memory allow.

    One if a training has several threads, which would compete for the cores, or is plain; or if
    only heads are trained, in less time than a process takes to start.
    """
    train = method.train
    if method.plain or train.threads > 1 or is_frozen(method):
        return 1
    needed = PROCESS_BYTES + training_bytes(method.make_network, train.batch_size)
    return max(1, min(train.members, available_cores(), int(available_bytes() // needed)))


def fit_side_by_side(
    method: Method, processed: Path, seed: int, scratch: Path, processes: int
) -> None:
    """Train the members in so many processes; their checkpoints lie in `scratch`.

    The arguments are those of `fit_members`, but that each process reads the images itself.
    Raises UserError if a training diverges or a process is killed.
    """
    context = get_context("spawn")  # a fork would copy the locks of TensorFlow's threads
    pool = ProcessPoolExecutor(processes, context, start_member_process)
    try:
        runs = [
            pool.submit(fit_in_process, method, processed, seed, scratch, member)
            for member in range(method.train.members)
        ]
        for done in as_completed(runs):
            done.result()
    except BrokenProcessPool:
        raise UserError(
            "a process that trains a member was killed, most likely for lack of memory: close "
            "other programs, or set train.threads to 2 to train one member at a time, then run "
            "again: it resumes"
        ) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in active_children():  # after an error the others would train on
            process.terminate()


def fit_in_process(method: Method, processed: Path, seed: int, scratch: Path, member: int) -> None:
    use_threads(method.train.threads)
    parts, held_out = choose_parts(*read_parts(processed), method.train.refit)
    fit_member(method, parts, held_out, seed, scratch, member)
