"""What the server answers: from a request's headers and body to a Reply, whatever the framework."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from serving.batches import Batches, measure_is_quick
from serving.classifier import Answer, Classifier, Pixels, Probabilities, fields_of
from serving.decoding import read, read_now
from serving.limits import Limits
from serving.metrics import Metrics
from serving.multipart import split_parts
from serving.protocol import LENGTH_HEADER, InferRequest, infer_reply, parse_request
from serving.replies import RefusedError, Reply, busy, json_reply, refusal_reply
from serving.requests import DisconnectedError, Receive, Scope, Send, header_of, read_body

LARGE_BYTES = 1 << 14  # a body that takes so long to parse that a thread does it
LARGE_VALUES = 1 << 14  # likewise of an answer
GONE = Reply(499, b"")  # counted, not sent: the client is gone
LOG = logging.getLogger("uvicorn.error")

Endpoint = Callable[[Scope, bytes], Awaitable[Reply]]


class Service:
    """A classifier with what it needs to answer many requests at once."""

    def __init__(
        self, classifier: Classifier, limits: Limits, threshold: float | None, threads: int
    ) -> None:
        self.classifier, self.limits, self.threshold = classifier, limits, threshold
        self.threads = ThreadPoolExecutor(threads, "images")
        self.batches = Batches(classifier, self.threads, measure_is_quick(classifier))
        self.metrics = Metrics(classifier.classes)
        self.in_flight = 0
        self.metrics.in_flight.set_function(lambda: self.in_flight)

    # Requests

    async def answer(
        self, name: str, endpoint: Endpoint, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer one request, within the limits and counted."""
        start = time.perf_counter()
        self.in_flight += 1
        try:
            reply = await self.reply_of(endpoint, scope, receive)
        finally:  # also when the server ends before the request does
            self.in_flight -= 1
        self.metrics.count_request(name, reply.status, time.perf_counter() - start)
        if reply is not GONE:
            await send_reply(reply, send)

    async def reply_of(self, endpoint: Endpoint, scope: Scope, receive: Receive) -> Reply:
        try:
            if self.in_flight > self.limits.requests:
                raise busy("too many requests at once")
            body = await read_body(scope, receive, self.limits.body_bytes)
            return await endpoint(scope, body)
        except RefusedError as refusal:
            return refusal_reply(refusal)
        except DisconnectedError:
            return GONE
        except MemoryError:
            return refusal_reply(busy("not enough memory"))
        except Exception:
            LOG.exception("%s %s failed", scope["method"], scope["path"])
            return json_reply({"error": "the server failed: its log says why"}, 500)

    async def predict(self, scope: Scope, body: bytes) -> Reply:
        """POST /predict: an image file as the body, or several as multipart/form-data."""
        kind = header_of(scope, b"content-type")
        if kind.startswith(b"multipart/"):
            return await self.predict_parts(kind, body)
        image = await read(self.classifier, self.threads, body, self.limits.pixels)
        (answer,) = await self.answers_of(image[np.newaxis])
        return json_reply(fields_of(answer))

    async def predict_parts(self, kind: bytes, body: bytes) -> Reply:
        """An answer or an error for each part; 400 if none is an image that can be read."""
        loop = asyncio.get_running_loop()
        parts = await loop.run_in_executor(self.threads, self.read_parts, kind, body)
        images = [image for _, image in parts if not isinstance(image, str)]
        answers = iter(await self.answers_of(np.stack(images)) if images else [])
        predictions = [
            {"file": file}
            | ({"error": image} if isinstance(image, str) else fields_of(next(answers)))
            for file, image in parts
        ]
        if images:
            return json_reply({"predictions": predictions})
        return json_reply({"error": "no image can be read", "predictions": predictions}, 400)

    def read_parts(self, kind: bytes, body: bytes) -> list[tuple[str, Pixels | str]]:
        """The name and the image of each part, or why it cannot be read."""
        found: list[tuple[str, Pixels | str]] = []
        for part in split_parts(kind, body, self.limits.images):
            try:
                found.append(
                    (part.file, read_now(self.classifier, part.content, self.limits.pixels))
                )
            except RefusedError as refusal:
                found.append((part.file, refusal.reason))
        return found

    async def answers_of(self, images: Pixels) -> list[Answer]:
        probabilities = await self.batches.predict(images)
        answers = self.classifier.answers(probabilities, self.threshold)
        self.metrics.count_answers(answers)
        return answers

    async def infer(self, scope: Scope, body: bytes) -> Reply:
        """POST /v2/models/classifier/infer: tensors in the Open Inference Protocol."""
        length = header_of(scope, LENGTH_HEADER)
        arguments = (body, length, self.classifier.shape, self.limits.images)
        if len(body) > LARGE_BYTES and not length:
            loop = asyncio.get_running_loop()
            request = await loop.run_in_executor(self.threads, parse_request, *arguments)
        else:
            request = parse_request(*arguments)
        probabilities = await self.batches.predict(request.images)
        if probabilities.size > LARGE_VALUES:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(
                self.threads, self.answer_tensors, request, probabilities
            )
        return self.answer_tensors(request, probabilities)

    def answer_tensors(self, request: InferRequest, probabilities: Probabilities) -> Reply:
        self.metrics.count_answers(self.classifier.answers(probabilities, self.threshold))
        return infer_reply(request, probabilities)


async def send_reply(reply: Reply, send: Send) -> None:
    length = (b"content-length", str(len(reply.body)).encode())
    headers = [*reply.headers, length]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
