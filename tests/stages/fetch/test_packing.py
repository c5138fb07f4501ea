"""fetch packs images into two files, whose bytes only the images' paths and bytes decide."""

import csv
import hashlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from pictures import own_dataset, tiny_pictures, write_files, zipped
from test_containers import packed_tar

from stages.fetch.main import FOLDER_VARIABLE, main
from stages.shared.errors import UserError

PICTURES = tiny_pictures()
COUNT = len(PICTURES)


@pytest.fixture(autouse=True)
def no_folder_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def folder_dataset(name: str = "images", count: int = COUNT, layout: str = "splits") -> Any:
    return own_dataset("folder", {"all": {"name": name, "count": count}}, format={"layout": layout})


def pack(data: Path, raw: Path, dataset: Any = None) -> dict[str, bytes]:
    main(data, raw, dataset or folder_dataset())
    return {path.name: path.read_bytes() for path in raw.iterdir()}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    base = tmp_path_factory.mktemp("packed")
    write_files(base / "data/tiny/images", PICTURES)
    return pack(base / "data", base / "raw")


def test_two_files_hold_every_image_unchanged(packed, tmp_path):
    assert packed.keys() == {"images.tar", "images.csv"}
    write_files(tmp_path, packed)
    with tarfile.open(tmp_path / "images.tar") as archive:
        members = archive.getmembers()
        assert {m.name: archive.extractfile(m).read() for m in members} == PICTURES
        assert [m.name for m in members] == sorted(PICTURES)
        assert {(m.mtime, m.uid, m.gid, m.mode, m.uname) for m in members} == {(0, 0, 0, 0o644, "")}
    rows = list(csv.DictReader(packed["images.csv"].decode().splitlines()))
    for row in rows:
        start, length = int(row["offset"]), int(row["bytes"])
        content = packed["images.tar"][start : start + length]
        assert content == PICTURES[row["path"]]
        assert row["sha256"] == hashlib.sha256(content).hexdigest()
        assert row["path"].startswith(f"{row['split']}/{row['label']}/")


def test_the_order_of_creation_and_the_rights_do_not_matter(packed, tmp_path):
    names = list(PICTURES)
    names.sort(key=lambda name: PICTURES[name])
    before = os.umask(0o077)
    try:
        write_files(tmp_path / "data/tiny/images", {name: PICTURES[name] for name in names})
        assert pack(tmp_path / "data", tmp_path / "raw") == packed
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    "settings", [{"LC_ALL": "C"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}, {"LC_ALL": "C.UTF-8"}]
)
def test_the_locale_does_not_matter(tmp_path, settings):
    """Not even where Python takes file names for another encoding than UTF-8."""
    names = {"ä/ö.png": b"one", "z/日本.png": b"two", "z/e\u0301.png": b"three"}
    write_files(tmp_path / "data/tiny/images", names)
    dataset = folder_dataset(count=3, layout="classes")
    expected = pack(tmp_path / "data", tmp_path / "raw", dataset)
    code = """
import sys; from pathlib import Path; from types import SimpleNamespace
from stages.fetch.packing import pack_images
layout, file = SimpleNamespace(layout="classes"), SimpleNamespace(count=3)
pack_images(Path(sys.argv[1]), file, layout, Path(sys.argv[2]))
"""
    images, raw = tmp_path / "data/tiny/images", tmp_path / "again"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | settings
    subprocess.run([sys.executable, "-c", code, images, raw], env=environment, check=True)
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == expected


@pytest.mark.parametrize(
    ("name", "pack_files"),
    [
        ("photos.zip", zipped),
        ("photos.tar", packed_tar),
        ("photos.tgz", lambda files: packed_tar(files, "w:gz")),
        ("photos.tar.xz", lambda files: packed_tar(files, "w:xz")),
    ],
)
def test_an_archive_gives_the_same_files_as_a_folder(packed, tmp_path, name, pack_files):
    shuffled = dict(sorted(PICTURES.items(), key=lambda item: item[1]))
    write_files(tmp_path / "data/tiny", {name: pack_files(shuffled)})
    assert pack(tmp_path / "data", tmp_path / "raw", folder_dataset(name)) == packed


def test_a_published_archive_is_checked_and_packed(packed, tmp_path, monkeypatch):
    content = zipped(PICTURES)
    monkeypatch.setenv(FOLDER_VARIABLE, str(write_files(tmp_path / "mine", {"a.zip": content})))
    digest = hashlib.sha256(content).hexdigest()
    file = {"name": "a.zip", "size": len(content), "sha256": digest}
    dataset = own_dataset("folder", {"all": file}, format={"layout": "splits"})
    assert pack(tmp_path / "data", tmp_path / "raw", dataset) == packed


@pytest.mark.parametrize("count", [COUNT - 1, COUNT + 1])
def test_another_number_of_images_than_stated_is_refused(tmp_path, count):
    write_files(tmp_path / "data/tiny/images", PICTURES)
    message = rf"expected {count} images as dataset.yaml says, found {COUNT}\. If you added"
    with pytest.raises(UserError, match=message):
        pack(tmp_path / "data", tmp_path / "raw", folder_dataset(count=count))
    assert not (tmp_path / "raw").exists()


def test_another_layout_than_stated_is_refused(tmp_path):
    write_files(tmp_path / "data/tiny/images", PICTURES)
    with pytest.raises(UserError, match=r"the layout classes of dataset\.yaml, found splits"):
        pack(tmp_path / "data", tmp_path / "raw", folder_dataset(layout="classes"))


@pytest.mark.parametrize("content", [{}, {".DS_Store": b"x"}, {"images.dvc": b"x"}])
def test_a_folder_without_images_says_how_to_get_them(tmp_path, content):
    """As in a temporary experiment, which lacks untracked files: DVC runs the stage and says 0."""
    write_files(tmp_path / "data/tiny/images", content or {".gitignore": b""})
    with pytest.raises(UserError, match=r"found none\. If DVC tracks them.*`dvc exp run --temp`"):
        pack(tmp_path / "data", tmp_path / "raw")


def test_every_problem_is_in_one_message(tmp_path):
    folder = write_files(tmp_path / "data/tiny/images", PICTURES | {"train/left/empty.png": b""})
    write_files(folder, {"test/stray.png": b"x", "train/Left/x.png": b"x"})
    (folder / "train/left/out.png").symlink_to("/etc/hostname")
    with pytest.raises(UserError) as caught:
        pack(tmp_path / "data", tmp_path / "raw")
    first, *lines = str(caught.value).splitlines()
    assert first == f"{folder}: 4 problems, nothing was packed:"
    assert [line.split(":")[0].strip() for line in lines] == [
        "Left and left", "test/stray.png", "train/left/empty.png", "train/left/out.png",
    ]  # fmt: skip
    assert not (tmp_path / "raw").exists()


def test_a_message_of_very_many_problems_has_an_end(tmp_path):
    empty = {f"train/left/{number}.png": b"" for number in range(300)}
    write_files(tmp_path / "data/tiny/images", PICTURES | empty)
    with pytest.raises(UserError, match=r"300 problems(.|\n)*and 100 more$"):
        pack(tmp_path / "data", tmp_path / "raw")


@pytest.mark.parametrize("link", ["data/tiny", "data/tiny/images", "data/tiny/deep"])
def test_a_data_set_behind_a_link_is_refused(tmp_path, link):
    name = "deep/images" if link.endswith("deep") else "images"
    inner = Path("tiny", name).relative_to(Path(link).relative_to("data"))
    write_files(tmp_path / "elsewhere" / inner, PICTURES)
    (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=f"{link}: a link to a folder, behind which DVC would not"):
        pack(tmp_path / "data", tmp_path / "raw", folder_dataset(name))


def test_a_file_that_dvc_has_linked_to_its_cache_is_taken(tmp_path):
    cached = tmp_path / "cache/files/md5/0a" / ("b" * 30)
    write_files(cached.parent, {cached.name: b"1,2"})
    (tmp_path / "data/tiny").mkdir(parents=True)
    (tmp_path / "data/tiny/x.csv").symlink_to(cached)
    dataset = own_dataset("csv", {"all": {"name": "x.csv"}})
    assert pack(tmp_path / "data", tmp_path / "raw", dataset) == {"all.csv": b"1,2"}


def test_a_missing_file_of_ones_own_says_how_to_get_it(tmp_path):
    dataset = own_dataset("csv", {"all": {"name": "x.csv"}})
    with pytest.raises(UserError, match=r"x\.csv: expected the file that dataset\.yaml names"):
        pack(tmp_path / "data", tmp_path / "raw", dataset)


def test_what_is_no_image_is_named(tmp_path, capsys):
    write_files(tmp_path / "data/tiny/images", PICTURES | {"LICENSE": b"x"})
    pack(tmp_path / "data", tmp_path / "raw")
    printed = capsys.readouterr().out
    assert "left out LICENSE: no image, and in no class" in printed
    assert f"packed {COUNT} images" in printed
