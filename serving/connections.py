"""uvicorn's HTTP/1.1 protocol with an end to slow clients and a limit to connections.

uvicorn itself waits for ever for a request that does not end and for an answer that nobody takes.
"""

from asyncio import Transport
from asyncio.events import TimerHandle
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.limits import Limits
from serving.replies import RefusedError, Reply, busy, refusal_reply

STATUS_LINES = {
    408: b"HTTP/1.1 408 Request Timeout\r\n",
    503: b"HTTP/1.1 503 Service Unavailable\r\n",
}


class LimitedProtocol(HttpToolsProtocol):
    """A connection. It has one deadline at a time: for the request, then for its answer."""

    limits = Limits()
    deadline: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            self.refuse(busy("too many connections"))
        else:
            self.wait(self.limits.receive_seconds, self.receive_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self.stop_waiting()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self.wait(self.limits.receive_seconds, self.receive_is_late)
        super().on_message_begin()

    def on_message_complete(self) -> None:
        if self.cycle and self.cycle.response_complete:  # it was refused before it had all come
            self.stop_waiting()
        else:
            self.wait(self.limits.reply_seconds, self.transport.abort)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self.pipeline:  # the client sent its next request without waiting
            self.wait(self.limits.reply_seconds, self.transport.abort)
        elif not self.cycle.more_body:  # else what is left of a refused body has its deadline
            self.stop_waiting()
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        self.transport.abort()  # an answer that nobody took is dropped

    def receive_is_late(self) -> None:
        has_sent_nothing = self.scope is None
        if has_sent_nothing or (self.cycle and self.cycle.response_started):
            self.transport.abort()
        else:
            seconds = f"{self.limits.receive_seconds:g}"
            self.refuse(RefusedError(408, f"the request took longer than {seconds} s"))

    def refuse(self, error: RefusedError) -> None:
        self.transport.write(raw_answer(refusal_reply(error)))
        self.transport.close()

    def wait(self, seconds: float, action: Callable[[], None]) -> None:
        self.stop_waiting()
        self.deadline = self.loop.call_later(seconds, action)

    def stop_waiting(self) -> None:
        if self.deadline:
            self.deadline.cancel()
            self.deadline = None


def limited_protocol(limits: Limits) -> type[LimitedProtocol]:
    """The class of connections that keep these limits: uvicorn makes them itself."""
    return type("LimitedProtocol", (LimitedProtocol,), {"limits": limits})


def raw_answer(reply: Reply) -> bytes:
    """An answer as it goes over the wire, where there is no request that uvicorn could answer."""
    length = str(len(reply.body)).encode()
    headers = [*reply.headers, (b"content-length", length), (b"connection", b"close")]
    lines = [b"%b: %b\r\n" % header for header in headers]
    return b"".join([STATUS_LINES[reply.status], *lines, b"\r\n", reply.body])
