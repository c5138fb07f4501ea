"""fetch: the data set's IDX files, from the first source that has them, checked, to data/raw.

A file's plain content is compared with the catalog's SHA-256 before it appears under its name.
A copy stays in the user's cache folder, so that no run, forced or offline, downloads it twice.
"""

import errno
import gzip
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pooch
import requests
from requests.exceptions import ChunkedEncodingError
from tqdm import tqdm
from urllib3.exceptions import HTTPError as TransferError

from stages import StageError
from stages.files import replacing
from stages.params import DataFile, Dataset
from stages.sources import Opener, opened

FOLDER_VARIABLE = "DATASET_FOLDER"  # names a folder that holds the files, gzipped or plain
TIMEOUT = (10.0, 30.0)  # seconds to connect; seconds of silence while reading
WAITS = (0.5, 2.0)  # seconds before the second and the third attempt

PASSING = (requests.ConnectionError, requests.Timeout, ChunkedEncodingError, TransferError)
NOT_AS_EXPECTED = (EOFError, ValueError, KeyError, zlib.error, tarfile.TarError)
FAULTS = (*PASSING, *NOT_AS_EXPECTED, OSError, subprocess.SubprocessError)
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # where one writes, never where one reads


def main(raw: Path, dataset: Dataset) -> None:
    cache = Path(pooch.os_cache("dvc-image-pipeline"))
    files = dict(dataset.files)
    folder = os.environ.get(FOLDER_VARIABLE)
    sources = [f"folder:{folder}"] if folder else []
    fetch(list(files.values()), [*sources, *dataset.sources], cache)
    for role, file in files.items():
        with cached(file, cache).open("rb") as source, replacing(raw / f"{role}.idx") as target:
            shutil.copyfileobj(source, target)
        print(f"{role}: {file.name}, {file.size:,} bytes, SHA-256 as in the catalog")


def fetch(
    files: Sequence[DataFile],
    sources: Sequence[str],
    cache: Path,
    timeout: tuple[float, float] = TIMEOUT,
    waits: Sequence[float] = WAITS,
) -> None:
    """Bring every file into the cache; each source is asked for what the ones before lacked.

    `timeout` is (to connect, of silence) and `waits` the pauses before each further attempt
    after a passing fault, all in seconds. Raises StageError with every source's reason, or
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
            with opened(source, timeout) as open_file:
                faults = [*ask(open_file, missing, cache, waits)]
        except FAULTS as fault:
            faults = [in_short(fault)]
        if faults:
            reasons.append("\n    ".join([f"  {source}", *faults]))
    if missing:
        tried = "\n".join(reasons) or "  (the catalog names none)"
        raise StageError(
            f"no source gave {', '.join(file.name for file in missing)} as data/catalog.yaml "
            f"describes it. Tried:\n{tried}\nGo online and run again, or put the files, gzipped or "
            f"plain, into a folder and name it: {FOLDER_VARIABLE}=/that/folder dvc repro"
        )


def ask(
    open_file: Opener, missing: list[DataFile], cache: Path, waits: Sequence[float]
) -> Iterator[str]:
    """Download what a source has of the missing files; why it did not give each of the others."""
    for file in tuple(missing):
        try:
            download(open_file, file, cache, waits)
            missing.remove(file)
        except FAULTS as fault:
            yield f"{file.name}: {in_short(fault)}"
            if isinstance(fault, PASSING):
                return  # out of reach: each further file would wait as long


def refuse_unwritable(cache: Path) -> None:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except OSError as fault:
        raise unwritable(cache, fault) from None


def unwritable(cache: Path, fault: OSError) -> StageError:
    return StageError(f"{cache}: {fault}. Make room or access there, then `dvc repro` again.")


def cached(file: DataFile, cache: Path) -> Path:
    return cache / f"{file.sha256[:12]}-{file.name}"


def is_cached(file: DataFile, cache: Path) -> bool:
    path = cached(file, cache)
    return path.is_file() and pooch.file_hash(str(path)) == file.sha256


def download(open_file: Opener, file: DataFile, cache: Path, waits: Sequence[float]) -> None:
    """One file into the cache. pooch writes beside the target, checks the hash, then renames."""

    def downloader(_url: str, target: str, _pooch: Any) -> None:
        with open_file(file.name) as stream:
            copy_plain(stream, Path(target), file)

    pooch.get_logger().setLevel("ERROR")
    for wait in (*waits, None):
        try:
            pooch.retrieve(
                url=file.name,
                known_hash=f"sha256:{file.sha256}",
                fname=cached(file, cache).name,
                path=cache,
                downloader=downloader,
            )
            return
        except PASSING:
            if wait is None:
                raise
            time.sleep(wait)
        except OSError as fault:
            if fault.errno not in NO_ROOM:
                raise
            raise unwritable(cache, fault) from None


def copy_plain(stream: IO[bytes], target: Path, file: DataFile) -> None:
    """Copy a gzipped or plain stream as plain bytes, and never more than the catalog states."""
    packed = io.BufferedReader(stream)  # type: ignore[type-var]  # IO[bytes] has all it calls
    is_gzip = packed.peek(2)[:2] == b"\x1f\x8b"
    plain = gzip.GzipFile(fileobj=packed) if is_gzip else packed
    progress = tqdm(desc=file.name, total=file.size, unit="B", unit_scale=True, disable=None)
    with packed, target.open("wb") as output, progress:
        while chunk := plain.read(1 << 20):
            if output.tell() + len(chunk) > file.size:
                raise ValueError(f"expected {file.size:,} bytes, found more")
            output.write(chunk)
            progress.update(len(chunk))
        if output.tell() < file.size:
            raise ValueError(f"expected {file.size:,} bytes, found {output.tell():,}")


def in_short(fault: BaseException) -> str:
    """The fault in words; of a chain `Max retries exceeded ... (Caused by ...: why)`, the why."""
    text = str(fault) or type(fault).__name__
    return text.rsplit(": ", 1)[-1].strip("\"')") if "(Caused by" in text else text
