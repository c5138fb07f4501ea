"""Which variables reach a stage: what a user must be able to set, and nothing else."""

import os

import pytest

from stages.run.environment import RECORDED, clean_environment, recorded_environment


@pytest.mark.parametrize(
    "name",
    ["PATH", "HOME", "TMPDIR", "LC_ALL", "LC_CTYPE", "https_proxy", "HTTPS_PROXY", "no_proxy",
     "REQUESTS_CA_BUNDLE", "npm_config_registry", "DATASET_FOLDER", "DVC_STAGE", "OMP_PROC_BIND",
     "GOMP_CPU_AFFINITY", "TF_CPP_MIN_LOG_LEVEL", *RECORDED],
)  # fmt: skip
def test_what_a_user_must_be_able_to_set_stays(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(os, "environ", {name: "x"})
    clean_environment()
    assert os.environ == {name: "x"}


@pytest.mark.parametrize(
    "name",
    ["KERAS_MAX_EPOCHS", "KERAS_HOME", "TF_DETERMINISTIC_OPS", "TF_NUM_INTRAOP_THREADS",
     "XLA_FLAGS",
     "OMP_NUM_THREADS", "MPLBACKEND", "MATPLOTLIBRC", "NVIDIA_TF32_OVERRIDE", "PYTHONPATH",
     "NPY_PROMOTION_STATE", "DVCX", "LC", "XLC_ALL", "PATHS"],
)  # fmt: skip
def test_everything_else_goes(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(os, "environ", {name: "x", "PATH": "y"})
    clean_environment()
    assert os.environ == {"PATH": "y"}


def test_others_can_be_kept_by_a_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"RAY_ADDRESS": "x", "KERAS_MAX_EPOCHS": "1"})
    clean_environment(r"RAY_\w+")
    assert os.environ == {"RAY_ADDRESS": "x"}


def test_what_may_change_a_result_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"ONEDNN_MAX_CPU_ISA": "AVX2", "HOME": "/home"})
    assert recorded_environment() == {"ONEDNN_MAX_CPU_ISA": "AVX2"}
