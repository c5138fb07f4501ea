"""What one request, and all of them together, may cost the server."""

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Defaults for a server with half a gigabyte of memory; each is an option of `serving`."""

    body_bytes: int = 8 * MIB  # of a request, also after it was decompressed
    pixels: int = 25_000_000  # of an image file: a 24-megapixel photo has 24,000,000
    images: int = 1000  # in a request
    requests: int = 64  # answered at once; more get 503
    connections: int = 1000  # open at once; more get 503
    receive_seconds: float = 20.0  # for a request to arrive
    reply_seconds: float = 120.0  # for its answer to be made and taken
    idle_seconds: float = 75.0  # a connection stays open without a request
    stop_seconds: float = 30.0  # for what is in flight when the server is told to end
