"""Folders, zips and tars give the same files, and what cannot be taken is said."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from pictures import write_files, zipped

from stages.fetch.containers import File, is_junk, open_container
from stages.shared.errors import UserError

FILES = {"cat/1.png": b"one", "cat/deeper/2.png": b"two", "dog/ä b.png": b"three"}
JUNK = [
    ".DS_Store", "cat/.DS_Store", "cat/Thumbs.db", "__MACOSX/cat/._1.png", ".git/config",
    "cat.dvc", ".gitignore", "dog/desktop.ini",
]  # fmt: skip


def packed_tar(files: dict[str, bytes], mode: str = "w", prefix: str = "") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{prefix}{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def list_all(path: Path) -> tuple[dict[str, bytes], list[str]]:
    problems: list[str] = []
    with open_container(path) as container:
        files: list[File] = list(container.list_files(problems))
        return {file.path: container.read(file) for file in files}, problems


def write(folder: Path, content: bytes, name: str = "archive") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


ARCHIVES = {
    "zip": zipped(FILES),
    "zip with dots": zipped({f"./{name}": content for name, content in FILES.items()}),
    "tar": packed_tar(FILES),
    "tar with dots": packed_tar(FILES, prefix="./"),
    **{f"tar.{kind}": packed_tar(FILES, f"w:{kind}") for kind in ("gz", "bz2", "xz")},
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_gives_its_files_whatever_its_name(tmp_path, kind):
    assert list_all(write(tmp_path, ARCHIVES[kind])) == (FILES, [])


def test_a_folder_gives_its_files(tmp_path):
    assert list_all(write_files(tmp_path / "images", FILES)) == (FILES, [])


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_junk_is_left_out_without_a_word(tmp_path, kind):
    files = FILES | dict.fromkeys(JUNK, b"junk")
    pack = {"zip": zipped, "tar": packed_tar}
    path = (
        write_files(tmp_path / "images", files)
        if kind == "folder"
        else write(tmp_path, pack[kind](files))
    )
    assert list_all(path) == (FILES, [])


def test_only_whole_names_are_junk():
    assert not is_junk("cat/thumbs.db.png")
    assert not is_junk("../cat.png")
    assert is_junk("a/.hidden/b.png")


def test_a_zip_within_a_tar_does_not_make_it_a_zip(tmp_path):
    files = {"cat/a.zip": zipped({"x": b"x"})}
    assert list_all(write(tmp_path, packed_tar(files))) == (files, [])


# Links


def test_links_within_the_folder_and_into_dvcs_cache_are_followed(tmp_path):
    folder = write_files(tmp_path / "images", FILES)
    cached = tmp_path / "cache/files/md5/ab" / ("c" * 30)
    write_files(cached.parent, {cached.name: b"cached"})
    (folder / "cat/inside.png").symlink_to("1.png")
    (folder / "cat/cached.png").symlink_to(cached)
    found = {"cat/inside.png": b"one", "cat/cached.png": b"cached"}
    assert list_all(folder) == (FILES | found, [])


def test_other_links_are_problems(tmp_path):
    folder = write_files(tmp_path / "images", FILES)
    write_files(tmp_path, {"elsewhere.png": b"x", "more/x.png": b"x", "images too/x.png": b"x"})
    (folder / "cat/out.png").symlink_to(tmp_path / "elsewhere.png")
    (folder / "cat/near.png").symlink_to(tmp_path / "images too/x.png")
    (folder / "bird").symlink_to(tmp_path / "more")
    (folder / "again").symlink_to(folder / "cat")
    (folder / "cat/broken.png").symlink_to("nowhere.png")
    (folder / "cat/loop.png").symlink_to("loop.png")
    os.mkfifo(folder / "cat/pipe.png")
    found, problems = list_all(folder)
    assert found == FILES
    assert sorted(problem.split(";")[0].split(", behind")[0] for problem in problems) == [
        "again: a link to a folder",
        "bird: a link to a folder",
        "cat/broken.png: a link to nothing",
        "cat/loop.png: a link to nothing",
        "cat/near.png: a link out of the folder",
        "cat/out.png: a link out of the folder",
        "cat/pipe.png: no file that can be read",
    ]
    assert any("`dvc import-url` it" in problem for problem in problems)


def test_a_link_in_a_tar_is_a_problem(tmp_path):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for kind, name in ((tarfile.SYMTYPE, "a.png"), (tarfile.LNKTYPE, "b.png")):
            member = tarfile.TarInfo(f"cat/{name}")
            member.type, member.linkname = kind, "/etc/hostname"
            archive.addfile(member)
    found, problems = list_all(write(tmp_path, file.getvalue()))
    assert found == {}
    assert [problem.split(":")[0] for problem in problems] == ["cat/a.png", "cat/b.png"]
    assert "a link, a device or sparse" in problems[0]


# Names


def test_names_that_are_no_utf_8_are_problems(tmp_path):
    name = b"cat/\xe4.png"
    folder = write_files(tmp_path / "images", FILES)
    Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(b"x")
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT, encoding="latin-1") as tar:
        tar.addfile(tarfile.TarInfo("cat/ä.png"))
    zip_of_dos = bytearray(zipped({"cat/ae.png": b"x"}).replace(b"cat/ae.png", b"cat/\x84e.png"))
    for path in (folder, write(tmp_path, file.getvalue()), write(tmp_path, zip_of_dos, "z")):
        found, problems = list_all(path)
        assert "cat/1.png" in found or not found
        assert len(problems) == 1
        assert "a name that is no UTF-8" in problems[0]
        problems[0].encode()  # it can be printed


@pytest.mark.parametrize("pack", [zipped, packed_tar])
@pytest.mark.parametrize("name", ["/etc/x.png", "../x.png", "cat/../../x.png"])
def test_paths_that_lead_out_of_an_archive_are_problems(tmp_path, pack, name):
    found, problems = list_all(write(tmp_path, pack({name: b"x"})))
    assert found == {}
    assert problems == [f"{name}: a path that leads out of the archive"]


def test_paths_with_backslashes_are_problems(tmp_path):
    _, problems = list_all(write(tmp_path, packed_tar({"cat\\x.png": b"x"})))
    assert problems == ["cat\\x.png: a path with backslashes; pack it with another program"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_of_a_name_that_another_has_is_a_problem(tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("cat/1.png", b"one")
        archive.writestr("./cat/1.png", b"another")
    found, problems = list_all(write(tmp_path, file.getvalue()))
    assert found == {"cat/1.png": b"one"}
    assert problems == ["cat/1.png: twice in the archive"]


def test_encrypted_and_enormous_members_are_problems(tmp_path):
    content = bytearray(zipped({"cat/1.png": b"one"}))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    assert list_all(write(tmp_path, content))[1] == [
        "cat/1.png: encrypted; pack it without a password"
    ]
    content = bytearray(zipped({"cat/1.png": b"one"}))
    place = content.index(b"PK\x01\x02") + 24
    content[place : place + 4] = (3 << 30).to_bytes(4, "little")
    _, problems = list_all(write(tmp_path, content))
    assert problems == ["cat/1.png: 3,221,225,472 bytes, expected at most 1,073,741,824"]


# Damage


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_a_cut_archive_is_refused(tmp_path, kind):
    content = ARCHIVES[kind]
    for length in (30, len(content) // 2, len(content) - 30):
        cut = write(tmp_path, content[:length])
        try:
            found, problems = list_all(cut)
        except UserError:
            continue
        assert kind == "tar"  # which may lack its end
        assert not problems
        assert found.items() <= FILES.items()


def test_a_flipped_byte_in_a_zip_is_noticed(tmp_path):
    content = bytearray(zipped({"cat/1.png": bytes(range(256)) * 40}))
    content[60] ^= 1
    with pytest.raises(UserError, match=r"archive: damaged: .*Get it again"):
        list_all(write(tmp_path, content))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    with pytest.raises(UserError, match="archive: "):
        list_all(write(tmp_path, content))


def test_nothing_there_says_how_dvc_brings_it(tmp_path):
    with pytest.raises(UserError, match=r"found nothing\. If DVC tracks it, `dvc pull`"):
        list_all(tmp_path / "images")


def test_a_full_disk_is_no_damage_of_the_archive(tmp_path):
    path = write(tmp_path, ARCHIVES["zip"])
    with pytest.raises(OSError, match="No space left"), open_container(path):
        raise OSError(28, "No space left on device")
