"""Where images lie: a folder, a zip or a tar. Each lists its files and reads one at a time."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, Protocol

from stages.shared.errors import UserError

# A file in DVC's cache is named by its content: a link to it cannot lead to anything else.
DVC_OBJECT = r".*/files/md5/[0-9a-f]{2}/[0-9a-f]{30}"
ZIP_SUFFIXES = (".zip",)
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MOST_BYTES = 1 << 30  # of one image file; a larger one is no image, or a bomb
DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError),
    *(ValueError, NotImplementedError),
)
ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")  # of one with members, of an empty one
# What systems leave in folders, in lower case.
JUNK = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx"}
UTF8_NAME = 0x800  # flag of a zip member whose name is UTF-8
ENCRYPTED = 0x1


class File(NamedTuple):
    """A file of a container: its path with slashes, its bytes, and where the container has it."""

    path: str
    size: int
    place: int | str


class Container(Protocol):
    def list_files(self, problems: list[str]) -> Iterator[File]:
        """Every plain file but for junk; what cannot be taken is added to `problems`."""

    def read(self, file: File) -> bytes: ...


def is_archive(path: Path) -> bool:
    return path.name.lower().endswith((*ZIP_SUFFIXES, *TAR_SUFFIXES))


@contextmanager
def open_container(path: Path) -> Iterator[Container]:
    """The folder or archive at `path`. Raises UserError if it is neither, or damaged."""
    if path.is_dir():
        yield Folder(path)
        return
    if not path.is_file():
        raise UserError(
            f"{path}: expected a folder, a zip or a tar of images, found nothing. If DVC tracks "
            "it, `dvc pull` or `dvc checkout` brings it; `dvc exp run --temp` lacks untracked files"
        )
    try:
        with path.open("rb") as start:
            is_zip = start.read(4) in ZIP_STARTS
        if is_zip:
            with zipfile.ZipFile(path) as archive:
                yield Zip(archive)
        elif tarfile.is_tarfile(path):
            with plain_tar(path) as file:
                yield Tar(file)
        else:
            raise UserError(
                f"{path}: expected a folder, a zip or a tar of images; found none of it"
            )
    except DAMAGED as fault:
        if isinstance(fault, OSError) and fault.errno:
            raise  # no room, no access: the archive is not to blame
        raise UserError(f"{path}: damaged: {fault}. Get it again") from None


def is_junk(path: str) -> bool:
    """Whether a path is hidden, a system's leavings, or a file of DVC's."""
    return path.endswith(".dvc") or any(
        (part.startswith(".") and part != "..") or part.lower() in JUNK for part in path.split("/")
    )


def refused_link(path: str, inside: str) -> str:
    """Why a link is refused, "" if it is not: DVC sees no change of what lies elsewhere.

    `inside` is the real path of the folder that a link may lead to; DVC's cache is another.
    """
    target = os.path.realpath(path)
    if not os.path.exists(target):  # noqa: PTH110  # a hundred thousand paths
        return "a link to nothing; remove it"
    if os.path.isdir(target):  # noqa: PTH112
        return (
            "a link to a folder, behind which DVC would not see a change; copy the folder here, or "
            "`dvc import-url` it"
        )
    if target.startswith(f"{inside}/") or re.fullmatch(DVC_OBJECT, target):
        return ""
    return (
        "a link out of the folder, behind which DVC would not see a change; copy the file here, or "
        "`dvc import-url` it"
    )


class Folder:
    def __init__(self, top: Path) -> None:
        self.top = top
        self.inside = os.path.realpath(top)

    def list_files(self, problems: list[str]) -> Iterator[File]:
        """Links are followed inside the folder and into DVC's cache; others are problems."""
        folders = [("", str(self.top))]
        while folders:
            folder, place = folders.pop()
            with os.scandir(place) as found:
                for item in found:
                    try:  # whatever the locale takes the name for
                        name = os.fsencode(item.name).decode("utf-8")
                    except UnicodeDecodeError:
                        problems.append(f"{item.path!a}: a name that is no UTF-8; rename it")
                        continue
                    path = f"{folder}{name}"
                    if is_junk(name):
                        continue
                    if item.is_symlink() and (reason := refused_link(item.path, self.inside)):
                        problems.append(f"{path}: {reason}")
                    elif item.is_dir():
                        folders.append((f"{path}/", item.path))
                    elif item.is_file():
                        yield File(path, item.stat().st_size, item.path)
                    else:
                        problems.append(f"{path}: no file that can be read")

    def read(self, file: File) -> bytes:
        return Path(str(file.place)).read_bytes()


class Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive

    def list_files(self, problems: list[str]) -> Iterator[File]:
        seen: set[str] = set()
        for number, member in enumerate(self.archive.infolist()):
            name = plain_path(member.filename)
            if member.is_dir() or is_junk(name):
                continue
            if not name.isascii() and not member.flag_bits & UTF8_NAME:
                problems.append(f"{name}: a name that is no UTF-8; pack it with another program")
            elif member.flag_bits & ENCRYPTED:
                problems.append(f"{name}: encrypted; pack it without a password")
            elif reason := refuse_member(name, member.file_size, seen):
                problems.append(f"{name}: {reason}")
            else:
                yield File(name, member.file_size, number)

    def read(self, file: File) -> bytes:
        """The member's bytes; zipfile checks them against its checksum."""
        return self.archive.read(self.archive.infolist()[int(file.place)])


class Tar:
    """A plain tar, read by the places of its members."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def list_files(self, problems: list[str]) -> Iterator[File]:
        seen: set[str] = set()
        with tarfile.open(fileobj=self.file, mode="r:") as archive:
            while member := archive.next():
                archive.members.clear()  # type: ignore[attr-defined]  # a kilobyte each
                name = plain_path(member.name)
                if member.isdir() or is_junk(name):
                    continue
                if not is_utf8(name):
                    problems.append(f"{name!a}: a name that is no UTF-8; rename it")
                elif not member.isfile() or member.issparse():
                    problems.append(f"{name}: a link, a device or sparse; pack the file itself")
                elif reason := refuse_member(name, member.size, seen):
                    problems.append(f"{name}: {reason}")
                else:
                    yield File(name, member.size, member.offset_data)

    def read(self, file: File) -> bytes:
        self.file.seek(int(file.place))
        content = self.file.read(file.size)
        if len(content) < file.size:
            raise EOFError(f"{file.path}: the archive ends before it does")
        return content


@contextmanager
def plain_tar(path: Path) -> Iterator[IO[bytes]]:
    """The tar without its compression, which allows no reading by place."""
    with path.open("rb") as packed:
        kind = packed.read(6)
    if kind[:2] != b"\x1f\x8b" and kind[:3] != b"BZh" and kind != b"\xfd7zXZ\x00":
        with path.open("rb") as plain:
            yield plain
        return
    with tempfile.TemporaryFile() as plain:
        with open_compressed(path, kind) as stream:
            shutil.copyfileobj(stream, plain, 1 << 20)
        plain.seek(0)
        yield plain


def open_compressed(path: Path, kind: bytes) -> IO[bytes]:
    if kind[:2] == b"\x1f\x8b":
        return gzip.open(path)  # type: ignore[return-value]
    return bz2.open(path) if kind[:3] == b"BZh" else lzma.open(path)


def plain_path(name: str) -> str:
    """A member's path without the parts that say nothing; one that leads out stays as it is."""
    if name.startswith("/"):
        return name
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def refuse_member(name: str, size: int, seen: set[str]) -> str:
    """Why a member of an archive is refused; "" for one that is not."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        return "a path that leads out of the archive"
    if "\\" in name:
        return "a path with backslashes; pack it with another program"
    if name in seen:
        return "twice in the archive"
    seen.add(name)
    return f"{size:,} bytes, expected at most {MOST_BYTES:,}" if size > MOST_BYTES else ""


def is_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:  # Python stands in half characters for bytes that are no UTF-8
        return False
    return True
