"""Data files, arrays and models that are not what they should be, or are not there."""

import io
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import Project, idx, tiny_dataset, tiny_files, tiny_images
from faults import assert_nothing_lost

fault = partial(pytest.mark.fault, heading="Data files")
harm = partial(pytest.mark.fault, heading="Safety")

IMAGES, LABELS = tiny_images(60, seed=1)
WHOLE = idx(IMAGES)


def labels(count: int = 60, **changed: int) -> bytes:
    """The labels of the training images, some of another value (`_7=3`: of image 7)."""
    values = np.resize(LABELS, count)
    for place, label in changed.items():
        values[int(place.removeprefix("_"))] = label
    return idx(values)


@pytest.mark.parametrize(
    ("role", "content"),
    [
        pytest.param(
            "train_images", b"\0\0\x0d" + WHOLE[3:],
            marks=fault(
                done="IDX: a wrong magic number",
                seen="a type (08, 09, 0b, 0c) and 1 to 4 dimensions; found 00000d03",
            ),
        ),
        pytest.param(
            "train_images", WHOLE[:7] + b"\x3d" + WHOLE[8:],
            marks=fault(
                done="IDX: a wrong count",
                seen="expected 7,336 bytes for the shape (61, 12, 10), none of it 0; found 7,216",
            ),
        ),
        pytest.param(
            "train_images", WHOLE + b"\0",
            marks=fault(
                done="IDX: a byte too many",
                seen="expected 7,216 bytes for the shape (60, 12, 10), none of it 0; found 7,217",
            ),
        ),
        pytest.param(
            "train_labels", labels(59),
            marks=fault(
                done="A label too few", seen="expected 60 labels, one an image; found 59"
            ),
        ),
        pytest.param(
            "train_labels", labels(_7=10),
            marks=fault(
                done="The label 10 of three classes",
                seen="expected labels from 0 to 2, one a class of dataset.yaml; found 0 to 10",
            ),
        ),
        pytest.param(
            "test_labels", idx(np.resize(np.array([0, 2], np.uint8), 30)),
            marks=fault(
                done="A class without images",
                seen="no test image of 1 of 3 classes: middle (20 in all)",
            ),
        ),
    ],
    ids=["magic", "count", "trailing", "label too few", "label 10", "class missing"],
)  # fmt: skip
def test_a_data_set(
    project: Project, finished_project: Project, tmp_path: Path,
    role: str, content: bytes, seen: str,
) -> None:  # fmt: skip
    """dataset.yaml has the hash of the wrong content, as one written from a bad file would."""
    folder = tmp_path / "files"
    folder.mkdir()
    files = tiny_files() | {role: content}
    for name, each in files.items():
        (folder / f"tiny-{name}").write_bytes(each)
    project.write_dataset("tiny", tiny_dataset(files, sources=[]))
    project.environment = project.environment | {"DATASET_FOLDER": str(folder)}
    output = project.dvc("repro", "preprocess", code=255)
    assert seen in output
    assert "Traceback" not in output
    assert_nothing_lost(project, finished_project)


HASH = "0" * 64


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(
            f"{HASH},left,right,",
            marks=fault(
                done="A correction of an image that is not there",
                seen=f"line 3: {HASH} as 'left': no image has this hash",
            ),
        ),
        pytest.param(
            f"{HASH},left,up,",
            marks=fault(
                done="A correction to a class that there is not",
                seen="line 3: new: expected a class of dataset.yaml, found 'up'",
            ),
        ),
        pytest.param(
            "<<<<<<< HEAD",
            marks=fault(
                done="Marks of a merge in `corrections.csv`",
                seen="line 3: expected image,old,new,reason, found 1 values",
            ),
        ),
    ],
    ids=["no image", "no class", "merge"],
)
def test_corrections(project: Project, finished_project: Project, row: str, seen: str) -> None:
    path = project.folder / "data/tiny/corrections.csv"
    path.write_text(f"{path.read_text('utf-8')}{row}\n", encoding="utf-8")
    output = project.dvc("repro", code=255)
    assert f"data/tiny/corrections.csv has 1 problem:\n  {seen}" in output
    assert "Traceback" not in output
    assert_nothing_lost(project, finished_project)


def npy(shape: tuple[int, ...], kind: str, content: bytes) -> bytes:
    """A file that says it is an array of that shape and kind, whatever its content is."""
    file = io.BytesIO()
    header = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + content


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(
            npy((2,), "|O", b"\x80\x04N."),
            marks=harm(
                done="An `.npy` file with a pickle, which loading would run",
                seen="expected a complete .npy array",
            ),
        ),
        pytest.param(
            npy((10**12,), "|u1", b"abcd"),
            marks=fault(
                done="An `.npy` file whose header claims 1 TB",
                seen="expected a complete .npy array: mmap length is greater than file size",
            ),
        ),
    ],
    ids=["pickle", "huge shape"],
)
def test_an_array(project: Project, finished_project: Project, content: bytes, seen: str) -> None:
    (project.folder / "reports/probabilities_test.npy").write_bytes(content)
    assert seen in project.dvc("repro", "--force", "--single-item", "plots", code=255)
    assert_nothing_lost(project, finished_project)


@pytest.mark.parametrize(
    ("path", "array", "stage"),
    [
        pytest.param(
            "data/processed/x_train.npy", IMAGES[:0], "train",
            marks=fault(
                done="`x_train.npy` with 0 rows",
                seen="as uint8, none of it 0; found (0, 12, 10) as uint8",
            ),
        ),
        pytest.param(
            "data/processed/x_validation.npy", IMAGES[:12, 1:], "train",
            marks=fault(
                done="`x_validation.npy` of another size",
                seen="expected images (12, 10) like those of x_train.npy; found (12, 11, 10)",
            ),
        ),
        pytest.param(
            "data/processed/y_test.npy", np.full(30, 99), "evaluate",
            marks=fault(
                done="`y_test.npy` with the label 99",
                seen="expected labels from 0 to 2; found 99 to 99",
            ),
        ),
        pytest.param(
            "data/processed/y_validation.npy", LABELS[:12] - 1.0, "train",
            marks=fault(
                done="`y_validation.npy` as floats",
                seen="expected labels (count,) as integers, at least one; found (12,) as float64",
            ),
        ),
    ],
)  # fmt: skip
def test_an_array_of_another_kind(
    project: Project, finished_project: Project, path: str, array: np.ndarray, stage: str, seen: str
) -> None:
    np.save(project.folder / path, array)
    output = project.dvc("repro", "--force", "--single-item", stage, code=255)
    assert seen in output
    assert "`dvc repro preprocess`" in output
    assert_nothing_lost(project, finished_project)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def read_outside(path: Path) -> None:
    """Let a weight lie in another file, as ONNX allows."""
    model = onnx.load(path)
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../../dvc.lock")
    model.ClearField("metadata_props")  # the checksum
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(
            flip_a_bit,
            marks=fault(
                done="A bit flipped in `model.onnx`, then `dvc repro --single-item evaluate`",
                seen="its graph does not fit its checksum",
            ),
        ),
        pytest.param(
            read_outside,
            marks=harm(
                done="A `model.onnx` from elsewhere that reads a file outside",
                seen="a weight has a field 13, which train does not write",
            ),
        ),
    ],
)
def test_a_model(project: Project, finished_project: Project, damage, seen: str) -> None:
    damage(project.folder / "models/classifier/model.onnx")
    assert seen in project.dvc("repro", "--single-item", "evaluate", code=255)
    assert_nothing_lost(project, finished_project)


@fault(
    done="A bit flipped in `model.keras`, then `dvc repro`",
    seen="Stage 'train' is cached - skipping run, checking out outputs",
)
def test_a_damaged_output_is_brought_back(
    project: Project, finished_project: Project, seen: str
) -> None:
    flip_a_bit(project.folder / "models/model.keras")
    assert seen in project.dvc("repro")
    assert_nothing_lost(project, finished_project)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        pytest.param(
            "data/tiny/dataset.yaml", 255,
            marks=fault(
                done="`data/NAME/dataset.yaml` deleted",
                seen="are missing from 'data/",
            ),
        ),
        pytest.param(
            "data/tiny/corrections.csv", 255,
            marks=fault(
                done="`data/NAME/corrections.csv` deleted",
                seen="failed to reproduce 'preprocess': [Errno 2] No such file or directory",
            ),
        ),
        pytest.param(
            "data/raw/train_images.idx", 0,
            marks=fault(
                done="`data/raw/train_images.idx` deleted",
                seen="Stage 'fetch' is cached",
            ),
        ),
        pytest.param(
            "data/processed/x_train.npy", 0,
            marks=fault(
                done="`data/processed/x_train.npy` deleted",
                seen="Stage 'preprocess' is cached",
            ),
        ),
        pytest.param(
            "models/model.keras", 0,
            marks=fault(
                done="`models/model.keras` deleted",
                seen="Stage 'train' is cached",
            ),
        ),
        pytest.param(
            "reports/confusion.json", 0,
            marks=fault(
                done="`reports/confusion.json` deleted",
                seen="Stage 'evaluate' is cached",
            ),
        ),
    ],
    ids=["dataset", "corrections", "fetch", "preprocess", "train", "evaluate"],
)  # fmt: skip
def test_a_missing_input(
    project: Project, finished_project: Project, path: str, code: int, seen: str
) -> None:
    (project.folder / path).unlink()
    assert seen in project.dvc("repro", code=code)
    assert_nothing_lost(project, finished_project)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(
            "$(touch pwned)",
            marks=harm(
                done="`dvc exp run -S 'train.epochs=$(touch pwned)'`",
                seen="mismatched input '(' expecting <EOF>",
            ),
        ),
        pytest.param(
            "'$(touch pwned)'",
            marks=harm(
                done="The same, quoted for DVC: `-S \"train.epochs='\\$(touch pwned)'\"`",
                seen="train.epochs: should be a valid integer, found '$(touch pwned)'",
            ),
        ),
    ],
    ids=["bare", "quoted"],
)
def test_a_command_as_a_value(
    project: Project, finished_project: Project, value: str, seen: str
) -> None:
    assert seen in project.dvc("exp", "run", "-S", f"train.epochs={value}", code=255)
    assert not list(project.folder.rglob("pwned"))
    assert_nothing_lost(project, finished_project)


@harm(
    done="A YAML tag in `params.yaml` that calls a function",
    seen="could not determine a constructor for the tag",
)
def test_a_call_as_a_value(project: Project, finished_project: Project, seen: str) -> None:
    path = project.folder / "params.yaml"
    call = 'seed: !!python/object/apply:os.system ["touch pwned"]'
    path.write_text(project.read("params.yaml").replace("seed: 0", call), encoding="utf-8")
    assert call in project.read("params.yaml")
    assert seen in project.dvc("repro", code=255)
    assert not list(project.folder.rglob("pwned"))
    assert_nothing_lost(project, finished_project)
