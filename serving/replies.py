"""Answers of the server: a status, a body and headers, JSON unless said otherwise."""

import json
from typing import Any, NamedTuple

JSON = b"application/json"
RETRY_SECONDS = 1  # after which a client that got 503 may come back

Headers = tuple[tuple[bytes, bytes], ...]


class Reply(NamedTuple):
    status: int
    body: bytes
    headers: Headers = ((b"content-type", JSON),)


class RefusedError(Exception):
    """Why a request gets no answer, and the HTTP status that says so."""

    def __init__(self, status: int, reason: str, headers: Headers = ()) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers


def json_reply(content: Any, status: int = 200, headers: Headers = ()) -> Reply:
    body = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Reply(status, body.encode(), ((b"content-type", JSON), *headers))


def refusal_reply(refusal: RefusedError) -> Reply:
    return json_reply({"error": refusal.reason}, refusal.status, refusal.headers)


def busy(what: str) -> RefusedError:
    retry = str(RETRY_SECONDS).encode()
    return RefusedError(503, f"{what}: try again after a second", ((b"retry-after", retry),))
