"""Which image is of which class, split and group: by folders or by labels.csv."""

from pathlib import Path

import pytest
from pictures import write_files

from stages.fetch.containers import open_container
from stages.fetch.listing import Listing, list_images, natural_key


def list_files(folder: Path, *paths: str, table: str | bytes | None = None) -> Listing:
    files = dict.fromkeys(paths, b"x")
    if table is not None:
        files["labels.csv"] = table.encode() if isinstance(table, str) else table
    with open_container(write_files(folder / "images", files)) as container:
        return list_images(container)


def rows(listing: Listing) -> list[tuple[str, str, str, str]]:
    return [entry[:4] for entry in listing.entries]


# By folders


def test_folders_are_classes_and_deeper_ones_belong_to_them(tmp_path):
    found = list_files(tmp_path, "dog/b.png", "cat/deeper/still/a.png", "cat/z.JPG", "cat/none")
    assert found.layout == "classes"
    assert rows(found) == [
        ("cat/deeper/still/a.png", "cat", "", ""),
        ("cat/none", "cat", "", ""),
        ("cat/z.JPG", "cat", "", ""),
        ("dog/b.png", "dog", "", ""),
    ]
    assert found.problems == found.others == []


@pytest.mark.parametrize("name", ["val", "valid", "Validation", "VAL"])
def test_folders_named_like_splits_are_splits(tmp_path, name):
    found = list_files(tmp_path, "train/cat/1.png", f"{name}/cat/2.png", "Test/dog/3.png")
    assert found.layout == "splits"
    assert {entry[1:3] for entry in found.entries} == {
        ("cat", "train"), ("cat", "validation"), ("dog", "test"),
    }  # fmt: skip


def test_a_class_may_have_the_name_of_a_split_among_others(tmp_path):
    found = list_files(tmp_path, "train/1.png", "plane/2.png")
    assert found.layout == "classes"
    assert {entry.label for entry in found.entries} == {"train", "plane"}


@pytest.mark.parametrize("beside", [[], ["readme.txt"], ["photos/LICENSE"]])
def test_a_folder_around_all_images_is_no_class(tmp_path, beside):
    found = list_files(tmp_path, "photos/v2/cat/1.png", "photos/v2/dog/2.png", *beside)
    assert [entry.label for entry in found.entries] == ["cat", "dog"]
    assert found.others == beside


def test_a_folder_around_a_single_split_is_no_class(tmp_path):
    found = list_files(tmp_path, "photos/train/cat/1.png", "photos/train/dog/2.png")
    assert found.layout == "splits"
    assert [entry[1:3] for entry in found.entries] == [("cat", "train"), ("dog", "train")]


def test_files_without_suffixes_are_images_in_a_folder_of_a_class(tmp_path):
    found = list_files(tmp_path, "all/cat/1", "all/dog/2")
    assert [entry.label for entry in found.entries] == ["cat", "dog"]


def test_an_image_in_no_class_is_a_problem_and_another_file_is_not(tmp_path):
    found = list_files(tmp_path, "cat/1.png", "dog/1.png", "stray.PNG", "README.md")
    assert found.problems == ["stray.PNG: in no folder of a class, expected CLASS/image"]
    assert found.others == ["README.md"]
    found = list_files(tmp_path / "2", "train/cat/1.png", "test/stray.jpg")
    assert found.problems == ["test/stray.jpg: in no folder of a class, expected SPLIT/CLASS/image"]


def test_classes_that_only_case_tells_apart_are_a_problem(tmp_path):
    found = list_files(tmp_path, "cat/1.png", "Cat/2.png", "dog/3.png")
    assert found.problems == ["Cat and cat: classes whose names differ in case only"]


def test_empty_files_are_problems(tmp_path):
    folder = write_files(tmp_path / "images", {"cat/1.png": b"", "cat/2.png": b"x", "a/b.png": b""})
    with open_container(folder) as container:
        assert list_images(container).problems == [
            "a/b.png: an empty file", "cat/1.png: an empty file",
        ]  # fmt: skip


def test_an_accent_may_be_written_apart(tmp_path):
    found = list_files(tmp_path, "cafe\u0301/1.png", "caf\u00e9/2.png", "tea/3.png")
    assert {entry.label for entry in found.entries} == {"caf\u00e9", "tea"}


# By labels.csv


def test_a_table_says_the_classes(tmp_path):
    table = "\ufefffile,label,split,group\nb.png,dog,val,p1\nx/a.png,cat,train,p2\n"
    found = list_files(tmp_path, "b.png", "x/a.png", "notes.txt", table=table)
    assert found.layout == "labels.csv"
    assert rows(found) == [("b.png", "dog", "validation", "p1"), ("x/a.png", "cat", "train", "p2")]
    assert found.others == ["notes.txt"]
    assert found.problems == []


def test_a_table_may_lie_in_a_folder_with_all_images(tmp_path):
    files = {"set/labels.csv": b"file,label\na.png,cat\n", "set/a.png": b"x", "readme": b"x"}
    with open_container(write_files(tmp_path / "images", files)) as container:
        found = list_images(container)
    assert (found.layout, rows(found)) == ("labels.csv", [("a.png", "cat", "", "")])


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("file,label\na.png,cat\na.png,dog\n", "labels.csv: a.png: listed twice"),
        ("file,label\na.png,cat\nb.png,cat\n", "labels.csv: b.png: no such file"),
        ("file,label\n", "a.png: not in labels.csv"),
        ("file,label,split\na.png,cat,dev\n", "labels.csv: a.png: split 'dev', expected train, "),
        ("file,label\na.png, \n", "labels.csv, line 2: expected a value for each column"),
        ("file,label\na.png\n", "labels.csv, line 2: expected a value for each column"),
        ("file,label\na.png,b,c\n", "labels.csv, line 2: expected a value for each column"),
        ("name,label\na.png,cat\n", "labels.csv: expected the columns file, label and, if"),
        ("file,label,label\na.png,cat,dog\n", "found file, label, label"),
        ("file,label,age\na.png,cat,3\n", "found file, label, age"),
        ("", "found none"),
        (b"file,label\na.png,caf\xe9\n", "labels.csv: expected UTF-8 text: "),
        ("file,label\na.png," + "c" * 140_000 + "\n", ": field larger than field limit"),
    ],
)
def test_a_table_that_does_not_fit_is_a_problem(tmp_path, table, problem):
    found = list_files(tmp_path, "a.png", table=table)
    assert any(problem in each for each in found.problems), found.problems


def test_numbers_in_names_are_sorted_as_numbers():
    assert sorted(["10", "2", "a10b", "a9b", "a"], key=natural_key) == [
        "2", "10", "a", "a9b", "a10b",
    ]  # fmt: skip
