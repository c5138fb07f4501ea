"""Decodes image files on all cores, or on a Ray cluster if the environment names one."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context, parent_process
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import PIL
from tqdm import tqdm

from stages.shared import image_reading, ink
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from stages.preprocess.source import Pixels
    from stages.run.params import Images

BLOCK_IMAGES = 64  # images decoded by one call
BLOCK_BYTES = 16 << 20  # or fewer, if they have more bytes
FEW_IMAGES = 256  # up to here, other processes would take longer to start than to decode
CALLS_PER_CORE = 3  # calls under way, so that no core waits
CONNECT_SECONDS = 10
RAY_VARIABLE = "DECODE_RAY_ADDRESS"  # auto, or host:port of a Ray cluster to decode on


class Decoded(NamedTuple):
    """The good images of a block, by their place in it, and why each other one is bad."""

    places: list[int]
    pixels: Pixels  # (good images, height, width[, 3])
    bad: dict[int, str]
    pillow: str  # the version that decoded them


def decode_block(contents: Sequence[bytes], images: Images) -> Decoded:
    """Decode image files; a pure function, so that any process on any machine gives the same."""
    image_reading.refuse_bombs()
    good: dict[int, Pixels] = {}
    bad: dict[int, str] = {}
    for place, content in enumerate(contents):
        try:
            good[place] = image_reading.read_image(content, images)
        except image_reading.BadImageError as fault:
            bad[place] = str(fault)
    pixels = np.stack(list(good.values())) if good else np.zeros((0,), np.uint8)
    return Decoded(list(good), pixels, bad, PIL.__version__)


def decode_all(
    rows: Sequence[int], contents: Iterable[bytes], images: Images
) -> Iterator[tuple[list[int], Pixels, dict[int, str]]]:
    """Blocks of decoded images in the order of `rows`: the rows, their pixels, and the bad ones.

    `contents` are the files of the rows, read as they are needed.
    """
    left = iter(rows)
    with (
        start_workers(len(rows)) as (submit, most_calls),
        tqdm(total=len(rows), desc="decoding", unit=" images", disable=None) as progress,
    ):
        waiting: deque[tuple[list[int], Callable[[], Decoded]]] = deque()
        for block in split_blocks(contents):
            waiting.append((list(islice(left, len(block))), submit(block, images)))
            if len(waiting) >= most_calls:
                yield finish_block(*waiting.popleft(), progress)
        while waiting:
            yield finish_block(*waiting.popleft(), progress)


def split_blocks(contents: Iterable[bytes]) -> Iterator[list[bytes]]:
    block: list[bytes] = []
    size = 0
    for content in contents:
        block.append(content)
        size += len(content)
        if len(block) == BLOCK_IMAGES or size > BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def finish_block(
    rows: list[int], result: Callable[[], Decoded], progress: Any
) -> tuple[list[int], Pixels, dict[int, str]]:
    try:
        decoded = result()
    except BrokenProcessPool:
        raise UserError(
            "a process that decodes images was killed, most likely for lack of memory: close other "
            "programs, or leave out very large images, then run again"
        ) from None
    if decoded.pillow != PIL.__version__:
        raise UserError(
            f"{RAY_VARIABLE}: expected Pillow {PIL.__version__} on every machine, as another "
            f"version may decode other values; found {decoded.pillow}"
        )
    progress.update(len(rows))
    bad = {rows[place]: reason for place, reason in decoded.bad.items()}
    return [rows[place] for place in decoded.places], decoded.pixels, bad


Submit = Callable[[list[bytes], Any], Callable[[], Decoded]]


@contextmanager
def start_workers(image_count: int) -> Iterator[tuple[Submit, int]]:
    """How to submit a block, and how many blocks to have under way."""
    cores = available_cores()
    if os.environ.get(RAY_VARIABLE):
        yield from start_ray(os.environ[RAY_VARIABLE])
    elif image_count <= FEW_IMAGES or cores == 1:
        yield submit_here, 1
    else:
        context = get_context("spawn")  # a fork would copy the threads' locks
        pool = ProcessPoolExecutor(cores, context, end_with_parent)
        try:
            yield (
                lambda block, images: pool.submit(decode_block, block, images).result,
                (CALLS_PER_CORE * cores),
            )
        finally:
            pool.shutdown(cancel_futures=True)


def available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def submit_here(block: list[bytes], images: Images) -> Callable[[], Decoded]:
    decoded = decode_block(block, images)
    return lambda: decoded


def end_with_parent() -> None:
    """Let this process end when its parent does, even a killed one: it would wait for ever."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback
    parent = parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def start_ray(address: str) -> Iterator[tuple[Submit, int]]:
    """Decode on the cluster; the two modules travel with the call, so nodes need Pillow alone."""
    try:
        import ray  # noqa: PLC0415  # an extra, and slow to import
        from ray import cloudpickle  # noqa: PLC0415
    except ImportError:
        raise UserError(f"{RAY_VARIABLE} is set, but Ray is not installed: `make sweeps`") from None
    try:
        host, _, port = address.rpartition(":")
        if host:  # Ray itself would wait for minutes
            socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (OSError, ValueError) as fault:
        raise UserError(
            f"{RAY_VARIABLE}: expected auto or HOST:PORT of a Ray cluster, found {address}: {fault}"
        ) from None
    try:
        for module in (image_reading, ink, __import__(__name__, fromlist=["decode_block"])):
            cloudpickle.register_pickle_by_value(module)
        remote = ray.remote(decode_block)
        calls = CALLS_PER_CORE * int(ray.cluster_resources().get("CPU", 1))

        def submit(block: list[bytes], images: Images) -> Callable[[], Decoded]:
            reference = remote.remote(block, images)
            return lambda: ray.get(reference)

        yield submit, calls
    finally:
        ray.shutdown()
