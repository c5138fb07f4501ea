"""Image files decoded on all cores: every bad one named, the good ones kept for the next run."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from conftest import CLASSES, ROOT, needs_ray
from pictures import bad_files, encode, images_section, load, own_dataset, process, write_files

from stages.fetch.main import FOLDER_VARIABLE
from stages.preprocess import decoding
from stages.preprocess.decoding import FEW_IMAGES, RAY_VARIABLE, decode_all
from stages.preprocess.store import KEY_BYTES
from stages.shared.errors import UserError
from stages.shared.image_reading import read_image

COUNT = 1000


@pytest.fixture(autouse=True)
def a_home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.delenv(RAY_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "available_cores", lambda: 2)


def noise(count: int, seed: int = 0) -> dict[str, bytes]:
    """PNG files of three classes."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 15, 11), np.uint8)
    return {
        f"{CLASSES[number % 3]}/{seed} {number:04}.png": encode(image)
        for number, image in enumerate(pixels)
    }


def folder_dataset(count: int, **changes: Any) -> Any:
    files = {"all": {"name": "images", "count": count}}
    splits = {"test_fraction": 0.2, "test_split": "stratified"}
    return own_dataset("folder", files, splits=splits, **changes)


def run(place: Path, files: dict[str, bytes], **changes: Any) -> dict[str, bytes]:
    write_files(place / "data/tiny/images", files)
    count = sum(path.is_file() for path in (place / "data/tiny/images").rglob("*"))
    return process(place / "data", folder_dataset(count, **changes), place, split="random")


def store_of(home: Path) -> Path:
    (folder,) = (home / "cache/dvc-image-pipeline/decoded").iterdir()
    return folder


# Blocks


@pytest.mark.parametrize("count", [1, FEW_IMAGES, FEW_IMAGES + 150])
def test_blocks_come_in_order_with_each_image_once(two_cores, count):
    contents = list(noise(count).values())
    contents[count // 2] = b"bad"
    rows = [3 * number for number in range(count)]
    images = images_section()
    good, bad = [], {}
    for places, pixels, wrong in decode_all(rows, iter(contents), images):
        good += list(zip(places, pixels, strict=True))
        bad |= wrong
    assert list(bad) == [3 * (count // 2)]
    assert [row for row, _ in good] == [row for row in rows if row not in bad]
    for row, pixels in good:
        np.testing.assert_array_equal(pixels, read_image(contents[row // 3], images))


def test_contents_are_read_as_they_are_needed(two_cores):
    """Not all at once: only the blocks under way are in memory."""
    whole = next(iter(noise(1).values()))
    read = 0

    def contents():
        nonlocal read
        for _ in range(3000):
            read += 1
            yield whole

    blocks = decode_all(range(3000), contents(), images_section())
    next(blocks)
    assert read <= 64 * (decoding.CALLS_PER_CORE * 2 + 1)
    blocks.close()


def test_another_version_of_pillow_elsewhere_is_refused(monkeypatch):
    decoded = decoding.Decoded([], np.zeros((0,), np.uint8), {}, "1.1.7")
    monkeypatch.setattr(decoding, "decode_block", lambda *_: decoded)
    with pytest.raises(UserError, match=r"expected Pillow .* on every machine.*found 1\.1\.7"):
        list(decode_all([0], [b""], images_section()))


def kill_oneself(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_is_reported(two_cores, monkeypatch):
    monkeypatch.setattr(decoding, "decode_block", kill_oneself)
    with pytest.raises(UserError, match="a process that decodes images was killed, most likely"):
        list(decode_all(range(500), [b"x"] * 500, images_section()))


def test_a_killed_run_leaves_no_process(tmp_path):
    code = """
import sys; from types import SimpleNamespace
sys.path.insert(0, "tests")
from pictures import encode, images_section
from stages.preprocess import decoding
import numpy as np
if __name__ == "__main__":
    decoding.available_cores = lambda: 2
    one = encode(np.zeros((2000, 2000), np.uint8))
    for _ in decoding.decode_all(range(10**6), (one for _ in range(10**6)), images_section()):
        print("started", flush=True)
"""
    path = tmp_path / "script.py"
    path.write_text(code, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, path], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "started\n"
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 2
        process.kill()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert [child for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []


# Bad ones


def test_every_bad_file_among_a_thousand_is_named_in_one_message(tmp_path, two_cores):
    bad = {f"middle/{name}": content for name, content in bad_files().items()}
    with pytest.raises(UserError) as caught:
        run(tmp_path, noise(COUNT) | bad)
    first, *lines, last = str(caught.value).splitlines()
    assert first == f"{len(bad)} of {COUNT + len(bad):,} images are bad:"
    assert [line.split(": ")[0].strip() for line in lines] == sorted(bad)
    assert all(line.partition(": ")[2] for line in lines)
    assert last.startswith("Replace or remove them, or set `skip_bad: true` in dataset.yaml")
    assert not (tmp_path / "processed").exists()
    assert (tmp_path / "data/tiny/images/middle/text.jpg").exists()


def test_skip_bad_leaves_them_out_and_counts_them(tmp_path, capsys):
    expected = run(tmp_path / "good", noise(90))
    bad = {f"middle/{name}": content for name, content in bad_files().items()}
    found = run(tmp_path / "both", noise(90) | bad, skip_bad=True)
    assert f"{len(bad)} of {90 + len(bad)} images are bad and left out" in capsys.readouterr().out
    assert found == expected


def test_images_of_which_all_are_bad_are_refused(tmp_path):
    bad = {f"{CLASSES[name % 2]}/{name}.png": b"bad" for name in range(9)}
    with pytest.raises(UserError, match="9 of 9 images are bad"):
        run(tmp_path, bad, skip_bad=True)


def test_equal_images_with_different_labels_are_named(tmp_path, capsys):
    files = noise(90)
    one = files["left/0 0000.png"]
    files |= {"right/again.png": one}
    with pytest.raises(UserError) as caught:
        run(tmp_path, files)
    assert str(caught.value).splitlines()[:2] == [
        "1 times equal images with different labels:",
        "  left/0 0000.png = right/again.png",
    ]
    found = run(tmp_path, {}, skip_bad=True)
    assert sum(len(load(found, f"y_{split}")) for split in ("train", "validation", "test")) == 89


def test_equal_images_in_the_sources_splits_are_named(tmp_path):
    files = {f"{split}/{name}": each for seed, split in enumerate(["train", "test"])
             for name, each in noise(30, seed).items()}  # fmt: skip
    files["train/left/leak.png"] = next(each for name, each in files.items() if "test/left" in name)
    changes = {"format": {"layout": "splits"}}
    write_files(tmp_path / "data/tiny/images", files)
    dataset = own_dataset("folder", {"all": {"name": "images", "count": 61}}, **changes)
    with pytest.raises(UserError, match="1 times equal images in different splits:\n  test/left"):
        process(tmp_path / "data", dataset, tmp_path, split="random")
    dataset = own_dataset(
        "folder", {"all": {"name": "images", "count": 61}}, **changes, skip_bad=True
    )
    found = process(tmp_path / "data", dataset, tmp_path, split="random")
    assert len(load(found, "y_test")) == 30
    assert len(load(found, "y_train")) + len(load(found, "y_validation")) == 30


def test_a_class_of_one_image_gets_one_clear_line(tmp_path):
    files = {name: each for name, each in noise(60).items() if "right" not in name}
    with pytest.raises(UserError) as caught:
        run(tmp_path, files | {"right/1.png": encode(np.zeros((9, 9), np.uint8))})
    assert str(caught.value) == (
        "no validation image of 1 of 3 classes: right (1 in all). Each class needs one in each "
        "split. To lie in train, validation and test, a class needs 3 images (equal ones, and "
        "those of one group, count as one): right has 1. Add images, or remove the class"
    )


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"/(\d) 00", r"splits\.group: .* fits 60 of 61 paths, and not left/other\.png"),
        ("group", r"labels\.csv has no values in a column named group"),
    ],
)
def test_a_pattern_that_does_not_fit_is_refused(tmp_path, pattern, message):
    files = noise(60) | {"left/other.png": encode(np.zeros((9, 9), np.uint8))}
    write_files(tmp_path / "data/tiny/images", files)
    dataset = own_dataset(
        "folder", {"all": {"name": "images", "count": 61}},
        splits={"test_fraction": 0.2, "test_split": "grouped", "group": pattern},
    )  # fmt: skip
    with pytest.raises(UserError, match=message):
        process(tmp_path / "data", dataset, tmp_path)


# The store


def test_a_second_run_decodes_only_what_is_new(tmp_path, capsys):
    expected = run(tmp_path / "one", noise(200))
    assert "200 images decoded, 0 known" in capsys.readouterr().out
    assert run(tmp_path / "one", {}) == expected
    assert "0 images decoded, 200 known from before" in capsys.readouterr().out
    more = noise(200) | noise(2, seed=1)
    both = run(tmp_path / "two", more)
    assert "2 images decoded, 200 known from before" in capsys.readouterr().out
    os.environ["XDG_CACHE_HOME"] = str(tmp_path / "another home")
    assert run(tmp_path / "three", more) == both
    assert "202 images decoded, 0 known" in capsys.readouterr().out


def test_another_reading_has_another_store(tmp_path, capsys):
    run(tmp_path / "one", noise(90))
    found = run(tmp_path / "two", noise(90), images={"fit": "crop"})
    assert "90 images decoded, 0 known" in capsys.readouterr().out.split("train:")[1]
    assert load(found, "x_test").shape == (18, 12, 10)
    assert len(list((tmp_path / "cache/dvc-image-pipeline/decoded").iterdir())) == 2


@pytest.mark.parametrize(
    ("name", "place", "decoded"),
    [("pixels", 120 * 7 + 5, 1), ("keys", KEY_BYTES * 7 + 3, 1), ("keys", KEY_BYTES * 7 + 40, 1)],
)
def test_a_damaged_row_of_the_store_is_decoded_anew(tmp_path, capsys, name, place, decoded):
    expected = run(tmp_path, noise(90))
    path = store_of(tmp_path) / name
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    capsys.readouterr()
    assert run(tmp_path, {}) == expected
    assert f"{decoded} images decoded, {90 - decoded} known" in capsys.readouterr().out
    assert run(tmp_path, {}) == expected
    assert "0 images decoded, 90 known" in capsys.readouterr().out


@pytest.mark.parametrize(("pixels", "keys", "decoded"), [(-5, 0, 1), (0, -5, 1), (-500, -50, 5)])
def test_a_store_that_a_killed_run_has_cut_is_mended(tmp_path, capsys, pixels, keys, decoded):
    expected = run(tmp_path, noise(90))
    for name, cut in (("pixels", pixels), ("keys", keys)):
        path = store_of(tmp_path) / name
        os.truncate(path, path.stat().st_size + cut)
    capsys.readouterr()
    assert run(tmp_path, {}) == expected
    assert f"{decoded} images decoded, {90 - decoded} known" in capsys.readouterr().out


# A cluster

ON_A_CLUSTER = """
import os, sys
sys.path.insert(0, "tests")
import numpy as np
from pictures import images_section
from stages.preprocess.decoding import decode_all
from stages.shared.errors import UserError

def decode(contents):
    blocks = list(decode_all(range(len(contents)), iter(contents), images_section()))
    bad = {row: reason for _, _, wrong in blocks for row, reason in wrong.items()}
    return np.concatenate([pixels for _, pixels, _ in blocks if len(pixels)]), bad

if __name__ == "__main__":
    from ray.cluster_utils import Cluster
    from test_decoding_images import contents
    expected, bad = decode(contents)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    os.environ["DECODE_RAY_ADDRESS"] = cluster.address
    found, also_bad = decode(contents)
    cluster.shutdown()
    assert bad == also_bad and len(bad) == 1, also_bad
    assert found.tobytes() == expected.tobytes()
    print(len(found), "images, the same bytes")
"""
NO_CLUSTER = (
    ON_A_CLUSTER.split("if __name__", maxsplit=1)[0]
    + """
try:
    decode([b"x"])
except UserError as refused:
    print(refused)
"""
)


def run_script(code: str, folder: Path, **settings: str) -> str:
    """What a process of its own prints: Ray takes its settings when it is imported."""
    contents = [*noise(400).values(), b"bad"]
    (folder / "test_decoding_images.py").write_text(f"contents = {contents!r}", encoding="utf-8")
    (folder / "script.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, folder / "script.py"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled"} | settings,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_ray
def test_two_nodes_of_a_cluster_give_the_same_bytes(tmp_path):
    assert "400 images, the same bytes" in run_script(ON_A_CLUSTER, tmp_path)


@needs_ray
def test_a_cluster_that_is_not_there_is_named(tmp_path):
    printed = run_script(NO_CLUSTER, tmp_path, **{RAY_VARIABLE: "127.0.0.1:1"})
    assert f"{RAY_VARIABLE}: expected auto or HOST:PORT of a Ray cluster" in printed
