"""Downloads files from the first source that has them, and checks each before it keeps it.

A file's plain content has to have the SHA-256 of dataset.yaml before it appears under its name.
"""

from __future__ import annotations

import errno
import gzip
import io
import signal
import subprocess
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pooch
import requests
from requests.exceptions import ChunkedEncodingError
from tqdm import tqdm
from urllib3.exceptions import HTTPError as TransferError

from stages.fetch.sources import BusyError, FileOpener, open_source
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from stages.run.params import PublishedFile

TIMEOUT = (10.0, 30.0)  # seconds to connect; seconds of silence while reading
RETRY_PAUSES = (0.5, 2.0)  # seconds before the second and the third attempt
LONGEST_PAUSE = 60.0  # seconds that a server may ask to wait; another source is quicker then
# A limit on the whole of an attempt: a server that sends a byte every two seconds is never silent.
START_SECONDS = 60.0  # to connect and to begin
LOWEST_RATE = 32_000  # bytes a second after that; a slow mobile connection has more
CHUNK_BYTES = 1 << 20
# A gzipped file is never much larger than its content. This leaves room for names in its header.
MOST_OVERHEAD_BYTES = 1 << 16


class TooSlowError(Exception):
    """No OSError: urllib3 would take it for a fault of its own and go on."""


TRANSIENT_FAULTS = (requests.ConnectionError, requests.Timeout, ChunkedEncodingError, TransferError)
WRONG_CONTENT = (EOFError, ValueError, KeyError, zlib.error, tarfile.TarError)
UNREACHABLE = (*TRANSIENT_FAULTS, TooSlowError)
SOURCE_FAULTS = (*UNREACHABLE, *WRONG_CONTENT, OSError, subprocess.SubprocessError)
NO_ROOM = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
)  # raised where one writes, never where one reads


def download_missing(
    files: Sequence[PublishedFile],
    sources: Sequence[str],
    cache: Path,
    timeout: tuple[float, float] = TIMEOUT,
    pauses: Sequence[float] = RETRY_PAUSES,
) -> None:
    """Bring every file into the cache; each source is asked for what the ones before lacked.

    `timeout` is (to connect, of silence) and `pauses` the pauses before each further attempt
    after a passing fault, all in seconds. Raises UserError with every source's reason, or
    at once where the cache cannot be written, for which no source is to blame.
    """
    missing = [file for file in files if not is_cached(file, cache)]
    if missing:
        refuse_unwritable(cache)
    reasons = []
    for source in sources:
        if not missing:
            break
        try:
            with open_source(source, timeout) as open_file:
                faults = [*download_from(open_file, missing, cache, pauses)]
        except SOURCE_FAULTS as fault:
            faults = [reason_of(fault)]
        if faults:
            reasons.append("\n    ".join([f"  {source}", *faults]))
    if missing:
        tried = "\n".join(reasons) or "  (dataset.yaml names none)"
        raise UserError(
            f"no source gave {', '.join(file.name for file in missing)} as described in "
            f"dataset.yaml. Tried:\n{tried}\nGo online and run again, or put the files, gzipped or "
            "plain, into a folder and name it: DATASET_FOLDER=/that/folder dvc repro"
        )


def download_from(
    open_file: FileOpener, missing: list[PublishedFile], cache: Path, pauses: Sequence[float]
) -> Iterator[str]:
    """Download what a source has of the missing files; why it did not give each of the others."""
    for file in tuple(missing):
        try:
            download_file(open_file, file, cache, pauses)
            missing.remove(file)
        except SOURCE_FAULTS as fault:
            yield f"{file.name}: {reason_of(fault)}"
            if isinstance(fault, UNREACHABLE):
                return  # out of reach: each further file would wait as long


def refuse_unwritable(cache: Path) -> None:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except OSError as fault:
        raise unwritable_error(cache, fault) from None


def unwritable_error(cache: Path, fault: OSError) -> UserError:
    return UserError(
        f"{cache}: {fault}. Make room or access there, or name another folder for downloads: "
        "XDG_CACHE_HOME=/that/folder dvc repro"
    )


def download_path(file: PublishedFile, cache: Path) -> Path:
    return cache / f"{file.sha256[:12]}-{file.name}"


def is_cached(file: PublishedFile, cache: Path) -> bool:
    path = download_path(file, cache)
    return path.is_file() and pooch.file_hash(str(path)) == file.sha256


def download_file(
    open_file: FileOpener, file: PublishedFile, cache: Path, pauses: Sequence[float]
) -> None:
    """One file into the cache. pooch writes beside the target, checks the hash, then renames."""

    def downloader(_url: str, target: str, _pooch: Any) -> None:
        with limit_time(file), open_file(file.name) as stream:
            copy_plain(stream, Path(target), file)

    pooch.get_logger().setLevel("ERROR")
    for wait in (*pauses, None):
        try:
            pooch.retrieve(
                url=file.name,
                known_hash=f"sha256:{file.sha256}",
                fname=download_path(file, cache).name,
                path=cache,
                downloader=downloader,
            )
            return
        except TRANSIENT_FAULTS as fault:
            asked = fault.seconds if isinstance(fault, BusyError) else 0.0
            if wait is None or asked > LONGEST_PAUSE:
                raise
            if asked:
                print(f"{file.name}: {fault}", flush=True)
            time.sleep(max(wait, asked))
        except OSError as fault:
            if fault.errno not in NO_ROOM:
                raise
            raise unwritable_error(cache, fault) from None


@contextmanager
def limit_time(file: PublishedFile) -> Iterator[None]:
    """Raise TooSlowError if the block takes longer than the file may.

    An alarm interrupts whatever the main thread waits for: headers, content or unpacking.
    """
    seconds = START_SECONDS + file.size / LOWEST_RATE

    def stop(*_signal: object) -> None:
        expected = f"expected {LOWEST_RATE:,} bytes a second"
        raise TooSlowError(f"gave up after {seconds:,.0f} s: {expected}")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class LimitedReader(io.RawIOBase):
    """A stream that raises ValueError rather than give more than `most_bytes` in all."""

    def __init__(self, stream: IO[bytes], most_bytes: int) -> None:
        self.stream, self.left, self.most_bytes = stream, most_bytes, most_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self.stream.read(len(buffer))
        self.left -= len(content)
        if self.left < 0:
            raise ValueError(f"expected at most {self.most_bytes:,} bytes, gzipped; found more")
        buffer[: len(content)] = content
        return len(content)


def copy_plain(stream: IO[bytes], target: Path, file: PublishedFile) -> None:
    """Copy a gzipped or plain stream as plain bytes, and never more than dataset.yaml states."""
    limited = LimitedReader(stream, file.size + file.size // 100 + MOST_OVERHEAD_BYTES)
    packed = io.BufferedReader(limited)
    is_gzip = packed.peek(2)[:2] == b"\x1f\x8b"
    plain = gzip.GzipFile(fileobj=packed) if is_gzip else packed
    progress = tqdm(desc=file.name, total=file.size, unit="B", unit_scale=True, disable=None)
    with packed, target.open("wb") as output, progress:
        while chunk := plain.read(CHUNK_BYTES):
            if output.tell() + len(chunk) > file.size:
                raise ValueError(f"expected {file.size:,} bytes, found more")
            output.write(chunk)
            progress.update(len(chunk))
        if output.tell() < file.size:
            raise ValueError(f"expected {file.size:,} bytes, found {output.tell():,}")


def reason_of(fault: BaseException) -> str:
    """The fault in words; of a chain `Max retries exceeded ... (Caused by ...: why)`, the why."""
    text = str(fault) or type(fault).__name__
    return text.rsplit(": ", 1)[-1].strip("\"')") if "(Caused by" in text else text
