"""tools.dataset on tiny real sources of every format: what it prints, refuses and writes."""

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import CLASSES, idx, tiny_files, tiny_images
from in_process import Place, main_of
from pictures import write_files
from PIL import Image

from stages.fetch.packing import pack_images
from stages.run.keys import as_attributes
from stages.run.params import Dataset
from stages.run.yaml_files import read_yaml, validate
from tools.dataset.found import median_size

COLOURS = {"blue": (30, 30, 200), "class 2": (30, 200, 30), "class 10": (200, 30, 30)}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder that has of a project what the tool needs without DVC."""
    folder = tmp_path / "home"
    (folder / "data").mkdir(parents=True)
    (folder / "params.yaml").touch()
    return folder


def run(home: Path, *words: object, code: int = 0) -> str:
    """The tool, DVC and Git left out unless --dry leaves them out itself."""
    place = Place(home, dict(os.environ))
    found, output = place.run(main_of("tools.dataset"), "tools.dataset", *map(str, words))
    assert found == code, output
    return output


def take(home: Path, name: str, *words: object) -> str:
    return run(home, name, *words, "--untracked")


def written(home: Path, name: str) -> Dataset:
    path = home / "data" / name / "dataset.yaml"
    return validate(Dataset, read_yaml(path), path)


def picture(colour: tuple[int, ...], size: tuple[int, int] = (20, 10), mode: str = "RGB") -> bytes:
    """A PNG of a noisy colour; `size` is (width, height)."""
    random = np.random.default_rng(sum(colour) + size[0])
    noise = random.integers(0, 20, (size[1], size[0], len(colour)))
    pixels = (np.array(colour) + noise).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(pixels[..., 0] if len(colour) == 1 else pixels)
    file = io.BytesIO()
    image.convert(mode).save(file, "PNG")
    return file.getvalue()


def pictures(count: int = 3) -> dict[str, bytes]:
    """Images by path, of three classes of one colour each."""
    return {
        f"{name}/{number}.png": picture(colour, (20 + 2 * number, 10))
        for name, colour in COLOURS.items()
        for number in range(count)
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_files(tmp_path / "pictures", pictures())


def test_a_folder_of_classes(home: Path, folder: Path) -> None:
    write_files(folder, {"LICENCE": b"free", ".DS_Store": b"junk", "blue/Thumbs.db": b"junk"})
    output = take(home, "mine", folder, "--title", "My pictures")
    assert "9 images, format folder, layout classes" in output
    assert "3 classes: blue 3, class 2 3, class 10 3\n" in output
    assert "smallest 10x20, median 10x22, largest 10x24" in output
    assert "RGB 9; some have colour" in output
    assert "no images, left out: LICENCE" in output
    assert 'rgb": an image has colour' in output
    assert "`dvc exp run --temp` will have the images" in output
    assert output.endswith(
        "next:\n  git add data/mine\n  python -m tools.dataset mine --use\n"
        "      (in params.yaml: dataset, preprocess.split and the recipe own-images)\n  dvc repro\n"
    )
    dataset = written(home, "mine")
    assert dataset.title == "My pictures"
    assert dataset.classes == ["blue", "class 2", "class 10"]  # in natural order
    assert dataset.files["all"].model_dump() == {"name": "images", "count": 9}
    assert dataset.images.model_dump() == {
        "height": 28, "width": 28, "colour": "rgb", "fit": "pad", "background": [0, 0, 0],
    }  # fmt: skip
    assert dataset.splits.model_dump() == {
        "test_fraction": 0.2, "test_split": "stratified", "group": "",
    }  # fmt: skip
    copied = home / "data/mine"
    assert (copied / ".gitignore").read_text(encoding="utf-8") == "/images\n"
    names = {path.relative_to(copied).as_posix() for path in copied.rglob("*") if path.is_file()}
    assert names == {
        "dataset.yaml",
        "corrections.csv",
        ".gitignore",
        "images/LICENCE",
    } | {f"images/{name}" for name in pictures()}
    assert (copied / "images/blue/0.png").read_bytes() == (folder / "blue/0.png").read_bytes()
    assert (folder / "blue/0.png").exists()


def test_every_value_is_spelled_out_and_explained(home: Path, folder: Path) -> None:
    take(home, "mine", folder)
    text = (home / "data/mine/dataset.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text).keys() == set(Dataset.model_fields)
    values = text[text.index("images:\n") : text.index("# true")].splitlines()
    assert all("#" in line for line in values if line.startswith("  "))


def test_fetch_packs_what_the_tool_has_taken_in(home: Path, folder: Path, tmp_path: Path) -> None:
    take(home, "mine", folder)
    dataset = as_attributes(written(home, "mine").model_dump())
    pack_images(home / "data/mine/images", dataset.files.all, dataset.format, tmp_path / "raw")
    assert len((tmp_path / "raw/images.csv").read_text(encoding="utf-8").splitlines()) == 10


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_archives_are_taken_as_they_are(home: Path, folder: Path, tmp_path, kind: str) -> None:
    archive = tmp_path / f"pictures.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as packed:
            for name, content in pictures().items():
                packed.writestr(f"wrapper/{name}", content)
    else:
        with tarfile.open(archive, f"w:{kind.partition('.')[2]}") as packed:
            packed.add(folder, "wrapper")
    assert "9 images, format folder, layout classes" in take(home, "mine", archive)
    assert (home / f"data/mine/images.{kind}").read_bytes() == archive.read_bytes()
    assert written(home, "mine").files["all"].name == f"images.{kind}"


def test_splits_of_the_source_are_kept(home: Path, tmp_path: Path) -> None:
    files = {f"{split}/{name}": content for split in ("train", "val", "test")
             for name, content in pictures().items()}  # fmt: skip
    output = take(home, "mine", write_files(tmp_path / "source", files))
    assert "splits: test 9, train 9, validation 9" in output
    assert written(home, "mine").splits.test_fraction == 0.0
    assert written(home, "mine").format.layout == "splits"
    refused = run(home, "b", tmp_path / "source", "--test-fraction", "0.1", code=1)
    assert "9 test images of its own" in refused


def test_a_table_of_labels_with_groups(home: Path, folder: Path) -> None:
    rows = [f"{name},{name.split('/')[0]},,g{number % 4}" for number, name in enumerate(pictures())]
    (folder / "labels.csv").write_text("\n".join(["file,label,split,group", *rows]), "utf-8")
    output = take(home, "mine", folder)
    assert "groups: 4 by 'group'" in output
    splits = written(home, "mine").splits
    assert (splits.test_split, splits.group) == ("grouped", "group")


def test_a_pattern_over_the_path_groups(home: Path, folder: Path) -> None:
    assert "groups: 3 by" in take(home, "mine", folder, "--group", r"(\d+)\.png$")
    refused = run(home, "b", folder, "--group", "no such (thing)", code=1)
    assert "fits 0 of 9 paths" in refused


def test_npz_as_medmnist_names_its_arrays(home: Path, tmp_path: Path) -> None:
    images, labels = tiny_images(30, seed=1)
    arrays = {f"{split}_images": images for split in ("train", "val", "test")}
    arrays |= {f"{split}_labels": labels[:, None] + 1 for split in ("train", "val", "test")}
    np.savez_compressed(tmp_path / "set.npz", **arrays)
    output = take(home, "mine", tmp_path / "set.npz")
    assert "90 images, format npz" in output
    assert "named by their numbers" in output
    dataset = written(home, "mine")
    assert dataset.format.first_label == 1
    assert dataset.classes == ["1", "2", "3"]
    assert dataset.files["all"].name == "images.npz"
    assert (dataset.images.height, dataset.images.width) == (28, 28)  # 12 x 10 is too small


def test_csv_has_the_size_of_its_columns(home: Path, tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", "label")
    output = take(home, "mine", tmp_path / "train.csv", "--size", "12x10")
    assert "120 pixels an image, 12x10" in output
    dataset = written(home, "mine")
    assert dataset.format.model_dump() == {"name": "csv", "label": "label", "first_label": 0}
    assert (dataset.images.height, dataset.images.width) == (12, 10)
    assert "no square" in run(home, "b", tmp_path / "train.csv", code=1)
    assert "no image of this size" in run(home, "b", tmp_path / "train.csv", "--size", 9, code=1)


def write_csv(path: Path, label: str, names: list[str] | None = None) -> None:
    images, labels = tiny_images(30, seed=1)
    lines = [",".join([label, *(f"pixel{n}" for n in range(120))])]
    for image, number in zip(images, labels, strict=True):
        name = names[number] if names else number
        lines.append(",".join(map(str, [name, *image.ravel()])))
    path.write_text("\n".join(lines), encoding="utf-8")


def test_csv_files_of_a_competition(home: Path, tmp_path: Path) -> None:
    """train.csv has labels, test.csv has none; the label has another name and is a word."""
    source = tmp_path / "source"
    source.mkdir()
    write_csv(source / "train.csv", "kind", CLASSES)
    write_csv(source / "test.csv", "id")
    refused = run(home, "mine", source, "--size", "12x10", code=1)
    assert "no column named label or labels" in refused
    output = take(home, "mine", source, "--size", "12x10", "--label", "kind")
    assert "left out: test.csv: no column kind" in output
    dataset = written(home, "mine")
    assert dataset.format.first_label == "names"
    assert dataset.classes == sorted(CLASSES)
    assert {role: file.name for role, file in dataset.files.items()} == {
        "train": "images/train.csv"
    }


def test_parquet_as_the_hub_has_it(home: Path, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    files = pictures()
    names = list(COLOURS)
    table = pyarrow.table({
        "image": [{"bytes": content, "path": name} for name, content in files.items()],
        "label": [names.index(name.split("/")[0]) for name in files],
    }).replace_schema_metadata(
        {"huggingface": '{"info": {"features": {"label": {"names": ["a", "b", "c"]}}}}'}
    )  # fmt: skip
    source = tmp_path / "hub"
    source.mkdir()
    for name in ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"):
        parquet.write_table(table, source / f"{name}.parquet")
    output = take(home, "mine", source)
    assert "3 classes: a 9, b 9, c 9" in output
    assert "splits: test 9, train 18" in output
    dataset = written(home, "mine")
    assert set(dataset.files) == {"train", "train_2", "test"}
    assert dataset.format.model_dump() == {
        "name": "parquet", "image": "image", "label": "label", "first_label": 0,
    }  # fmt: skip


def test_idx_files_by_the_names_that_people_have(home: Path, tmp_path: Path) -> None:
    files = tiny_files()
    source = write_files(tmp_path / "source", {
        "train-images.idx3-ubyte": files["train_images"],
        "train-labels.idx1-ubyte": files["train_labels"],
        "t10k-images-idx3-ubyte.gz": gzip.compress(files["test_images"]),
        "t10k-labels-idx1-ubyte.gz": gzip.compress(files["test_labels"]),
    })  # fmt: skip
    assert "90 images, format idx" in take(home, "mine", source)
    copied = home / "data/mine/images"
    assert (copied / "t10k-images-idx3-ubyte").read_bytes() == files["test_images"]
    assert written(home, "mine").files["test_images"].name == "images/t10k-images-idx3-ubyte"
    (source / "t10k-labels-idx1-ubyte.gz").unlink()
    assert "expected test_images and test_labels" in run(home, "b", source, code=1)
    write_files(source, {"t10k-labels-idx1-ubyte": idx(np.zeros(7, np.uint8))})
    assert "30 images, but 7 labels" in run(home, "b", source, code=1)


def test_grey_images_saved_in_colour_are_grey(home: Path, tmp_path: Path) -> None:
    files = {f"{name}/{n}.png": picture((90 + 40 * n,), (40, 40), "RGB") for name in "ab"
             for n in range(3)}  # fmt: skip
    output = take(home, "mine", write_files(tmp_path / "source", files))
    assert "RGB 6; none has colour" in output
    assert written(home, "mine").images.colour == "grey"


def test_transparent_images_stand_on_white(home: Path, tmp_path: Path) -> None:
    files = {f"{name}/{n}.png": picture((9, 90 * n, 9, 100), (90, 40), "RGBA") for name in "ab"
             for n in range(2)}  # fmt: skip
    output = take(home, "mine", write_files(tmp_path / "source", files))
    assert "4 are transparent in places" in output
    images = written(home, "mine").images
    assert (images.height, images.width) == (96, 96)
    assert images.background == [255, 255, 255]


def test_options_override_choices(home: Path, folder: Path) -> None:
    words = ("--size", "48x64", "--colour", "grey", "--fit", "ink", "--background", "7",
             "--test-fraction", "0.4", "--test-split", "random", "--skip-bad")  # fmt: skip
    assert "as you asked" in take(home, "mine", folder, *words)
    dataset = written(home, "mine")
    assert dataset.images.model_dump() == {
        "height": 48, "width": 64, "colour": "grey", "fit": "ink", "background": 7,
    }  # fmt: skip
    assert (dataset.splits.test_fraction, dataset.splits.test_split) == (0.4, "random")
    assert dataset.skip_bad is True


def test_dry_writes_nothing(home: Path, folder: Path) -> None:
    output = run(home, "mine", folder, "--dry")
    assert "disk: " in output
    assert 'title: "mine"' in output
    assert list((home / "data").iterdir()) == []


def test_move_leaves_nothing_behind(home: Path, folder: Path) -> None:
    assert "moved to data/mine" in take(home, "mine", folder, "--move")
    assert not folder.exists()
    assert (home / "data/mine/images/blue/0.png").exists()


def test_move_follows_a_link_to_the_folder(home: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    take(home, "mine", tmp_path / "link", "--move")
    assert not (home / "data/mine/images").is_symlink()
    assert not folder.exists()


@pytest.mark.parametrize(
    "words", [("--size", "64"), ("--test-fraction", "0.4", "--skip-bad"), ("--untracked",)]
)
def test_a_second_look_refuses_what_would_have_no_effect(
    home: Path, folder: Path, words: tuple[str, ...]
) -> None:
    take(home, "mine", folder)
    output = run(home, "mine", *words, code=1)
    options = ", ".join(word for word in words if word.startswith("--"))
    assert f"data/mine/dataset.yaml is there already, and {options} would have no" in output


def test_a_second_look_says_how_to_leave_out_what_it_cannot_read(home: Path, folder: Path) -> None:
    take(home, "mine", folder)
    write_files(home / "data/mine/images", {"blue/broken.png": b"no image"})
    assert "leave them out with `skip_bad: true` in data/mine/dataset.yaml" in run(
        home, "mine", code=1
    )
    path = home / "data/mine/dataset.yaml"
    text = path.read_text(encoding="utf-8").replace("skip_bad: false", "skip_bad: true")
    path.write_text(text, encoding="utf-8")
    assert "1 images that cannot be read are left out" in run(home, "mine")


def test_a_second_look_counts_and_names_what_is_new(home: Path, folder: Path) -> None:
    take(home, "mine", folder)
    path = home / "data/mine/dataset.yaml"
    edited = path.read_text(encoding="utf-8").replace('title: "mine"', "title: Mine  # my word")
    path.write_text(edited, encoding="utf-8")
    assert "nothing to change" in run(home, "mine")
    write_files(home / "data/mine/images", {"amber/0.png": picture((200, 150, 0))})
    output = run(home, "mine")
    assert "classes: new at the end: amber" in output
    assert "files.all.count: 9 becomes 10" in output
    assert written(home, "mine").classes[-1] == "amber"
    after = path.read_text(encoding="utf-8")
    assert "title: Mine  # my word" in after
    removed = after.replace("- amber\n", "").replace("count: 10", "count: 9")
    assert removed == edited  # every comment is where it was


def test_what_lies_in_data_already_gets_its_dataset_yaml(home: Path, folder: Path) -> None:
    (home / "data/mine").mkdir()
    folder.rename(home / "data/mine/images")
    take(home, "mine")
    assert written(home, "mine").files["all"].model_dump() == {"name": "images", "count": 9}


HEADER = "image,old,new,reason\n"


def test_every_data_set_has_corrections_from_the_start(home: Path, folder: Path) -> None:
    take(home, "mine", folder)
    path = home / "data/mine/corrections.csv"
    assert path.read_text(encoding="utf-8") == HEADER
    corrected = f"{HEADER}{'0' * 64},blue,red,\n"
    path.write_text(corrected, encoding="utf-8")
    run(home, "mine")
    assert path.read_text(encoding="utf-8") == corrected  # a second look leaves them
    path.unlink()
    run(home, "mine", "--dry")
    assert not path.exists()
    assert "corrections.csv, with its header only" in run(home, "mine")
    assert path.read_text(encoding="utf-8") == HEADER
    (home / "data/mine/dataset.yaml").unlink()
    take(home, "mine")  # the images are still the only thing that is there to look at
    assert path.read_text(encoding="utf-8") == HEADER


def test_every_problem_is_listed(home: Path, folder: Path) -> None:
    outside = folder.parent / "outside.png"
    outside.write_bytes(picture((1, 2, 3)))
    (folder / "blue/link.png").symlink_to(outside)
    write_files(folder, {
        "loose.png": picture((1, 2, 3)), "Blue/0.png": picture((9, 2, 3)), "blue/empty.png": b"",
        "blue/text.png": b"no image", "blue/cut.png": picture((1, 2, 3))[:20],
    })  # fmt: skip
    refused = run(home, "mine", folder, code=1)
    assert "6 problems, nothing was written" in refused
    assert "a link out of the folder" in refused
    assert "loose.png: in no folder of a class" in refused
    assert "Blue and blue: classes whose names differ in case only" in refused
    assert "empty.png: an empty file" in refused
    assert "text.png: no image of a known format" in refused
    assert "2 of them are images that cannot be read" in refused
    assert list((home / "data").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["../mine", "{folder}"], "expected a name of A-Z"),
        (["raw", "{folder}"], "choose another name"),
        (["mine", "{folder}/nothing"], "found nothing"),
        (["mine", "{folder}/blue/0.png"], "found .png"),
        (["mine", "{home}"], "holds this project itself"),
        (["mine", "{home}/data"], "move it out first"),
        (["mine"], "expected images, found none"),
        (["mine", "{folder}", "--fit", "ink"], "add --colour grey"),
        (["mine", "{folder}", "--label", "x"], "leave out --label"),
        (["mine", "{folder}", "--test-split", "grouped"], "say by what"),
        (["mine", "{folder}", "--background", "1,2,3", "--colour", "grey"], "expected 1 or 1"),
        (["mine", "{folder}/blue"], "0 classes, expected 2"),
    ],
)
def test_what_is_refused(home: Path, folder: Path, words: list[str], message: str) -> None:
    filled = [word.format(home=home, folder=folder) for word in words]
    assert message in run(home, *filled, code=1)
    assert list((home / "data").iterdir()) == []


def test_a_table_of_another_name_is_no_labels_csv(home: Path, folder: Path) -> None:
    write_files(folder, {"0.png": picture((1, 2, 3)), "train.csv": b"id,label"})
    refused = run(home, "mine", folder, code=1)
    assert "train.csv: if it has the labels, give it the columns file and label" in refused


def test_an_archive_of_tables_is_to_be_unpacked(home: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as packed:
        packed.writestr("digits.npz", b"no matter")
    refused = run(home, "mine", tmp_path / "set.zip", code=1)
    assert "no images, but digits.npz: unpack what holds images" in refused


def test_images_that_are_all_bad(home: Path, tmp_path: Path) -> None:
    source = write_files(tmp_path / "source", {f"{name}/0.png": b"text" for name in "ab"})
    assert "2 of them are images that cannot be read" in run(home, "b", source, code=1)
    assert "2 problems" in run(home, "mine", source, "--skip-bad", code=1)


def test_a_name_that_is_taken(home: Path, folder: Path) -> None:
    take(home, "mine", folder)
    assert "`python -m tools.dataset mine`" in run(home, "mine", folder, code=1)


@pytest.mark.parametrize("option", [["--size", "2"], ["--background", "a"], ["--test-fraction", 1]])
def test_options_out_of_range(home: Path, folder: Path, option: list[object]) -> None:
    assert "expected" in run(home, "mine", folder, *option, code=2)


def test_a_full_disk_is_seen_first(home: Path, folder: Path, monkeypatch) -> None:
    monkeypatch.setattr("tools.dataset.placing.SPARE_BYTES", 1 << 60)
    assert "make room" in run(home, "mine", folder, code=1)
    assert list((home / "data").iterdir()) == []


def test_an_interrupted_copy_leaves_nothing(home: Path, folder: Path, monkeypatch) -> None:
    def interrupt(*_paths: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tools.dataset.placing.shutil.copyfile", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(home, "mine", folder)
    assert list((home / "data").iterdir()) == []


def test_what_a_killed_copy_left_is_replaced(home: Path, folder: Path) -> None:
    write_files(home / "data/mine.part", {"images/old.png": b"old"})
    take(home, "mine", folder)
    assert [path.name for path in (home / "data").iterdir()] == ["mine"]
    assert not (home / "data/mine/images/old.png").exists()


@pytest.mark.parametrize(
    ("size", "side"),
    [((20, 10), 28), ((50, 70), 64), ((150, 90), 160), ((200, 200), 192), ((4000, 3000), 224)],
)
def test_the_size_is_the_nearest_to_the_longer_side(home: Path, tmp_path, size, side) -> None:
    files = {f"{name}/{n}.png": picture(COLOURS["blue"], size) for name in "ab" for n in range(2)}
    take(home, "mine", write_files(tmp_path / "source", files))
    images = written(home, "mine").images
    assert (images.height, images.width) == (side, side)


# Classes too small for every split


def test_a_class_too_small_for_three_splits_is_said(home: Path, folder: Path) -> None:
    assert "too few" not in take(home, "mine", folder)
    for number in range(2):
        write_files(folder, {f"amber/{number}.png": picture((200, 150, number))})
    message = (
        "  too few images: each class needs 3, to lie in train, validation and test; amber has 2. "
        "Add images, or remove the class\n"
    )
    assert message in take(home, "other", folder)
    write_files(home / "data/mine/images", {"amber/0.png": picture((200, 150, 0))})
    assert "amber has 1. Add images" in run(home, "mine")


def test_beside_the_sources_own_test_images_two_are_enough(home: Path, tmp_path: Path) -> None:
    counts = {"train/a": 2, "test/a": 1, "train/b": 1, "test/b": 5, "train/c": 3}
    files = {f"{place}/{number}.png": picture((9, 9 + len(place), number))
             for place, count in counts.items() for number in range(count)}  # fmt: skip
    output = take(home, "mine", write_files(tmp_path / "source", files))
    assert (
        "  too few images: each class needs 2, beside the source's test images, to lie in train "
        "and validation; b has 1. Add images, or remove the class\n"
        "  the source has no test images of c. Add some, or remove the class\n"
    ) in output


def test_images_of_a_group_count_as_one(home: Path, folder: Path) -> None:
    output = take(home, "mine", folder, "--group", "(blue|.*)/")
    assert "too few groups of images: each class needs 3" in output
    assert "blue has 1, class 2 has 1, class 10 has 1." in output
    assert "too few" not in take(home, "other", folder, "--group", r"(.*)\.png")


@pytest.mark.parametrize("kind", ["csv", "npz", "idx", "parquet"])
def test_small_classes_of_every_format_are_named(home: Path, tmp_path: Path, kind: str) -> None:
    """Of the second class the training images are one, or two of one group."""
    labels = [1, 1, 1, 1, 2]
    images = np.zeros((5, 28, 28), np.uint8)
    source = tmp_path / f"source.{kind}"
    named, needs = "2", "needs 3, to lie in train, validation and test"
    if kind == "csv":
        rows = [f"{label},{int(label == 1) * n},{'0,' * 783}0" for n, label in enumerate(labels)]
        rows.append(rows[-1])
        header = ",".join(["label", "group", *(f"pixel{n}" for n in range(784))])
        source.write_text("\n".join([header, *rows]), encoding="utf-8")
        words = ["--group", "group"]
    elif kind == "npz":
        np.savez(source, x_train=images, y_train=labels, x_test=images, y_test=labels)
        words, needs = (
            [],
            "needs 2, beside the source's test images, to lie in train and validation",
        )
    elif kind == "idx":
        write_files(source, {
            "train-images-idx3-ubyte": idx(images),
            "train-labels-idx1-ubyte": idx(np.array(labels, np.uint8)),
        })  # fmt: skip
        words = []
    else:
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        names = ["one"] * 4 + ["two"]
        content = picture((1, 2, 3))
        table = pyarrow.table({"image": [content] * 5, "label": names})
        parquet.write_table(table, source)
        words, named = [], "two"
    output = take(home, "mine", source, *words)
    assert f"each class {needs}; {named} has 1. Add" in output


def test_the_median_size() -> None:
    assert median_size({(1, 9): 1, (2, 8): 3, (9, 1): 1}) == (2, 8)
