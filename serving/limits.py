"""What one request, and all of them together, may cost the server."""

from dataclasses import dataclass, field
from typing import Any

MIB = 1 << 20


def limit(default: float, text: str) -> Any:
    """A field whose `text` is the help of its option."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Limits:
    """Defaults for a server with half a gigabyte of memory; each is an option of `serving`."""

    body_bytes: int = limit(8 * MIB, "of a request, also after it was decompressed")
    pixels: int = limit(25_000_000, "of an image file: a 24-megapixel photo has 24,000,000")
    images: int = limit(1000, "in a request")
    requests: int = limit(64, "answered at once; more get 503")
    connections: int = limit(1000, "open at once; more get 503")
    receive_seconds: float = limit(20.0, "for a request to arrive")
    reply_seconds: float = limit(120.0, "for its answer to be made and taken")
    idle_seconds: float = limit(75.0, "that a connection stays open without a request")
    stop_seconds: float = limit(30.0, "for what is in flight when the server is told to end")
