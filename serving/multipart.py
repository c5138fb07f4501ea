"""Several images in one request: multipart/form-data, as `curl --form` and browsers send it."""

from typing import TYPE_CHECKING, NamedTuple

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from serving.replies import RefusedError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks


class Part(NamedTuple):
    file: str  # the file's name, else the field's
    content: bytes


class Splitter:
    """Collects the parts while the parser runs."""

    def __init__(self, most_parts: int) -> None:
        self.most_parts = most_parts
        self.parts: list[Part] = []
        self.is_whole = False
        self.field, self.value, self.disposition = bytearray(), bytearray(), b""
        self.content = bytearray()

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self.begin,
            "on_header_field": self.add_to_field,
            "on_header_value": self.add_to_value,
            "on_header_end": self.end_header,
            "on_part_data": self.add_content,
            "on_part_end": self.end,
            "on_end": self.finish,
        }

    def begin(self) -> None:
        if len(self.parts) == self.most_parts:
            raise RefusedError(413, f"more than {self.most_parts} images")
        self.disposition = b""
        self.content = bytearray()

    def add_to_field(self, data: bytes, start: int, end: int) -> None:
        self.field += data[start:end]

    def add_to_value(self, data: bytes, start: int, end: int) -> None:
        self.value += data[start:end]

    def end_header(self) -> None:
        if self.field.lower() == b"content-disposition":
            self.disposition = bytes(self.value)
        self.field, self.value = bytearray(), bytearray()

    def add_content(self, data: bytes, start: int, end: int) -> None:
        self.content += memoryview(data)[start:end]

    def end(self) -> None:
        _, options = parse_options_header(self.disposition)
        name = options.get(b"filename") or options.get(b"name") or b""
        self.parts.append(Part(name.decode("utf-8", "replace"), bytes(self.content)))

    def finish(self) -> None:
        self.is_whole = True


def split_parts(content_type: bytes, body: bytes, most_parts: int) -> list[Part]:
    """The parts of a body, at least one. Raises RefusedError if it is damaged or has too many."""
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        found = content_type[:80].decode("latin-1")
        raise RefusedError(
            415, f"Content-Type: expected multipart/form-data; boundary=..., found {found}"
        )
    splitter = Splitter(most_parts)
    try:
        parser = MultipartParser(boundary, splitter.callbacks(), max_size=len(body) + 1)
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise RefusedError(400, f"the multipart body is damaged: {error}") from None
    if not splitter.is_whole:
        raise RefusedError(400, "the multipart body ends too early")
    if not splitter.parts:
        raise RefusedError(400, "expected image files as parts, found none")
    return splitter.parts
