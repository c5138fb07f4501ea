"""fetch: the stage writes the files of the data set, all of them or none."""

from pathlib import Path

import pytest
from conftest import make_section, tiny_dataset
from mirrors import (
    CONTENT,
    CONTENTS,
    FILE,
    FILES,
    ROLE,
    folder,
    no_settings_of_this_machine,
    server,
)

from stages.fetch.main import FOLDER_VARIABLE, main
from stages.run.params import NamedDataset
from stages.shared.errors import UserError

NO_DATA = Path("data")  # the files of the tiny data set do not lie there
DATASET = make_section(NamedDataset, **tiny_dataset(CONTENTS, sources=[]), folder="tiny")

__all__ = ["no_settings_of_this_machine", "server"]  # fixtures


@pytest.fixture
def user_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    return tmp_path / "user" / "dvc-image-pipeline"


def read_raw(raw: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in raw.iterdir()}


def test_the_stage_writes_each_file_under_its_role(tmp_path, user_cache, tiny_folder, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tiny_folder))
    main(NO_DATA, tmp_path / "raw", DATASET)
    assert read_raw(tmp_path / "raw") == {f"{role}.idx": c for role, c in CONTENTS.items()}
    assert len(list(user_cache.iterdir())) == len(FILES)


def test_the_stage_runs_again_without_any_source(tmp_path, user_cache, tiny_folder, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tiny_folder))
    main(NO_DATA, tmp_path / "raw", DATASET)
    monkeypatch.delenv(FOLDER_VARIABLE)
    main(NO_DATA, tmp_path / "again", DATASET)
    assert read_raw(tmp_path / "again") == read_raw(tmp_path / "raw")


def test_the_stage_asks_the_folder_before_the_sources_of_the_data_set(
    server, tmp_path, user_cache, tiny_folder, monkeypatch
):
    dataset = make_section(
        NamedDataset, **tiny_dataset(CONTENTS, sources=[server.source()]), folder="tiny"
    )
    monkeypatch.setenv(FOLDER_VARIABLE, str(tiny_folder))
    main(NO_DATA, tmp_path / "raw", dataset)
    assert server.asked == []


def test_the_stage_writes_nothing_unless_it_has_every_file(tmp_path, user_cache, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, folder(tmp_path / "data").removeprefix("folder:"))
    with pytest.raises(UserError, match="no source gave tiny-train_images"):
        main(NO_DATA, tmp_path / "raw", DATASET)
    assert not (tmp_path / "raw").exists()


def test_the_stage_says_what_it_checked(tmp_path, user_cache, tiny_folder, monkeypatch, capsys):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tiny_folder))
    main(NO_DATA, tmp_path / "raw", DATASET)
    line = f"{ROLE}: {FILE.name}, {len(CONTENT):,} bytes, SHA-256 as in dataset.yaml\n"
    assert line in capsys.readouterr().out


@pytest.mark.parametrize("place", ["nowhere", "~/nowhere", "file"])
def test_a_folder_that_is_not_there_is_refused_although_the_files_are_cached(
    tmp_path, user_cache, tiny_folder, monkeypatch, place
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(FOLDER_VARIABLE, str(tiny_folder))
    main(NO_DATA, tmp_path / "raw", DATASET)
    (tmp_path / "file").touch()
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / place) if "~" not in place else place)
    found = tmp_path / place.removeprefix("~/")
    with pytest.raises(
        UserError, match=f"{FOLDER_VARIABLE}: expected a folder, found none at {found}"
    ):
        main(NO_DATA, tmp_path / "again", DATASET)


def test_a_folder_below_the_users_home_may_start_with_a_tilde(
    tmp_path, user_cache, tiny_folder, monkeypatch
):
    monkeypatch.setenv("HOME", str(tiny_folder.parent))
    monkeypatch.setenv(FOLDER_VARIABLE, f"~/{tiny_folder.name}")
    main(NO_DATA, tmp_path / "raw", DATASET)
    assert read_raw(tmp_path / "raw") == {f"{role}.idx": c for role, c in CONTENTS.items()}


def test_an_empty_variable_names_no_folder(tmp_path, user_cache, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, "")
    with pytest.raises(UserError, match=r"dataset\.yaml names none"):
        main(NO_DATA, tmp_path / "raw", DATASET)
