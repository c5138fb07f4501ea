"""Predicting the images of many requests together.

The requests that arrive in one turn of the event loop go through the network at once: eight images
take about as long as two do one by one. A network that is slow even so runs in a thread, and what
arrives meanwhile is the next batch.
"""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np

from serving.classifier import Classifier, Pixels, Probabilities

MOST_IMAGES = 64  # in a batch; a request with more is predicted by itself, in a thread
QUICK_SECONDS = 0.001  # a network that takes no longer for an image runs in the event loop
TRIES = 5

Waiting = list[tuple[Pixels, "asyncio.Future[Probabilities]"]]


class Batches:
    """Collects images and predicts them; one for a server and its event loop."""

    def __init__(self, classifier: Classifier, threads: Executor, is_quick: bool) -> None:
        self.classifier, self.threads, self.is_quick = classifier, threads, is_quick
        self.waiting: Waiting = []
        self.is_due = False  # a run is scheduled or under way

    async def predict(self, images: Pixels) -> Probabilities:
        """Probabilities (count, classes) of images (count, *shape)."""
        loop = asyncio.get_running_loop()
        if len(images) > MOST_IMAGES:
            return await loop.run_in_executor(self.threads, self.classifier.predict, images)
        future: asyncio.Future[Probabilities] = loop.create_future()
        self.waiting.append((images, future))
        self.schedule(loop)
        return await future

    def schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run after all that is ready now: other requests of this turn then wait as well."""
        if self.waiting and not self.is_due:
            self.is_due = True
            loop.call_soon(self.run, loop)

    def run(self, loop: asyncio.AbstractEventLoop) -> None:
        batch = self.take_batch()
        if self.is_quick:
            try:
                self.deliver(batch, self.predict_together(batch))
            except Exception as error:  # each request gets it
                self.fail(batch, error)
            self.is_due = False
            self.schedule(loop)
        else:
            done = loop.run_in_executor(self.threads, self.predict_together, batch)
            done.add_done_callback(lambda finished: self.finish(loop, batch, finished))

    def predict_together(self, batch: Waiting) -> Probabilities:
        return self.classifier.predict(join([images for images, _ in batch]))

    def finish(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: Waiting,
        finished: "asyncio.Future[Probabilities]",
    ) -> None:
        if error := finished.exception():
            self.fail(batch, error)
        else:
            self.deliver(batch, finished.result())
        self.is_due = False
        self.schedule(loop)

    def take_batch(self) -> Waiting:
        """The longest waiting, MOST_IMAGES at most."""
        count = size = 0
        for images, _ in self.waiting:
            size += len(images)
            if size > MOST_IMAGES:
                break
            count += 1
        batch, self.waiting = self.waiting[:count], self.waiting[count:]
        return batch

    def deliver(self, batch: Waiting, probabilities: Probabilities) -> None:
        start = 0
        for images, future in batch:
            if not future.done():
                future.set_result(probabilities[start : start + len(images)])
            start += len(images)

    def fail(self, batch: Waiting, error: BaseException) -> None:
        for _, future in batch:
            if not future.done():
                future.set_exception(error)


def join(images: Sequence[Pixels]) -> Pixels:
    return images[0] if len(images) == 1 else np.concatenate(images)


def measure_is_quick(classifier: Classifier) -> bool:
    """Whether one image takes the network so little time that a thread would cost more."""
    blank = np.zeros((1, *classifier.shape), np.uint8)
    seconds = []
    for _ in range(TRIES):
        start = time.perf_counter()
        classifier.predict(blank)
        seconds.append(time.perf_counter() - start)
    return min(seconds) < QUICK_SECONDS
