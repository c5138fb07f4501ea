"""A request as the server takes it from ASGI: its headers, and its body within the limits."""

import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from serving.replies import RefusedError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ANY_ZLIB = 32 + zlib.MAX_WBITS  # gzip or zlib, whichever the data starts with


class DisconnectedError(Exception):
    """The client is gone, or too slow: nobody waits for an answer."""


def header_of(scope: Scope, name: bytes) -> bytes:
    """The first header of that lower-case name; empty if there is none."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return b""


async def read_body(scope: Scope, receive: Receive, most_bytes: int) -> bytes:
    """The whole body, decompressed. Raises RefusedError if it is too large or not readable."""
    declared = header_of(scope, b"content-length")
    if declared and int(declared) > most_bytes:
        raise too_large(most_bytes)
    message = await receive()
    body = content_of(message)
    if message.get("more_body"):
        body = await read_rest(body, receive, most_bytes)
    if len(body) > most_bytes:
        raise too_large(most_bytes)
    encoding = header_of(scope, b"content-encoding")
    return decompress(body, encoding, most_bytes) if encoding else body


async def read_rest(start: bytes, receive: Receive, most_bytes: int) -> bytes:
    """What came and what is still to come, until it is too much."""
    parts, size, goes_on = [start], len(start), True
    while goes_on and size <= most_bytes:
        message = await receive()
        parts.append(content_of(message))
        size += len(parts[-1])
        goes_on = message.get("more_body", False)
    return b"".join(parts)


def content_of(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise DisconnectedError
    content: bytes = message.get("body", b"")
    return content


def decompress(body: bytes, encoding: bytes, most_bytes: int) -> bytes:
    """The body as its Content-Encoding says: gzip, deflate or identity."""
    if encoding == b"identity":
        return body
    if encoding not in (b"gzip", b"deflate"):
        found = encoding.decode("latin-1")
        raise RefusedError(
            415, f"Content-Encoding: expected gzip, deflate or identity, found {found}"
        )
    engine = zlib.decompressobj(ANY_ZLIB)
    try:
        content = engine.decompress(body, most_bytes)
    except zlib.error as error:
        raise RefusedError(400, f"Content-Encoding: the body is damaged: {error}") from None
    if engine.unconsumed_tail:
        raise too_large(most_bytes)
    if not engine.eof:
        raise RefusedError(400, "Content-Encoding: the body ends too early")
    return content


def too_large(most_bytes: int) -> RefusedError:
    return RefusedError(413, f"the body is larger than {most_bytes:,} bytes")
