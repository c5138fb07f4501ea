"""The server's container image, tried without Docker: what it copies, installs and runs."""

import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest
from classifiers import (
    IMAGES,
    LABELS,
    RunningServer,
    classifier_folder,
    png,
    wait_for_port,
)
from conftest import CLASSES, ROOT, sources_of_project
from images import instructions_of, is_sent
from packages import link_packages

__all__ = ["classifier_folder"]  # a fixture

DOCKERFILE = ROOT / "serving/Dockerfile"
DOCUMENT = (ROOT / "docs/serving.md").read_text(encoding="utf-8")
INSTRUCTIONS = instructions_of(DOCKERFILE)
REQUIREMENTS = ROOT / "serving/requirements.txt"
MODEL_FILES = ("models/classifier/model.onnx", "models/classifier/model.json")
PATTERNS = (ROOT / "serving/Dockerfile.dockerignore").read_text(encoding="utf-8")


def test_the_image_has_the_server_the_model_and_no_more() -> None:
    sent = {name for name in sources_of_project() if is_sent(name, PATTERNS)}
    assert {"serving/__main__.py", "serving/requirements.txt", "stages/shared/errors.py"} <= sent
    assert {name.split("/")[0] for name in sent} == {"serving", "stages", "tools"}
    assert not any(name.startswith(("stages/train", "tools/report")) for name in sent)
    for name in MODEL_FILES:
        assert is_sent(name, PATTERNS)
    for name in ("models/model.keras", ".dvc/config.local", ".git/config", ".env", "data/raw/a",
                 "serving/__pycache__/service.pyc", ".venv/bin/python"):  # fmt: skip
        assert not is_sent(name, PATTERNS), name


def test_packages_come_with_hashes_and_the_user_has_no_rights() -> None:
    names = [name for name, _ in INSTRUCTIONS]
    (install,) = (rest for name, rest in INSTRUCTIONS if name == "RUN" and "pip install" in rest)
    assert "--require-hashes --requirement /tmp/requirements.txt" in install
    assert ("COPY", "serving/requirements.txt /tmp/") in INSTRUCTIONS
    assert [rest for name, rest in INSTRUCTIONS if name == "USER"] == ["65532:65532"]
    assert names.index("USER") > max(i for i, name in enumerate(names) if name in ("RUN", "COPY"))
    assert not any("--chown" in rest for _, rest in INSTRUCTIONS)  # it may not edit its own code
    text = REQUIREMENTS.read_text(encoding="utf-8")
    pins = re.findall(r"^[\w.-]+==.+\\\n    --hash=sha256:", text, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[\w.-]+==", text, re.MULTILINE)) > 10


def test_the_image_s_packages_are_those_of_the_project() -> None:
    pinned, locked = (
        set(re.findall(r"^([\w.-]+)==([\w.]+)", path.read_text(encoding="utf-8"), re.MULTILINE))
        for path in (REQUIREMENTS, ROOT / "requirements/serve.txt")
    )
    assert pinned <= locked


def test_the_image_s_packages_are_small() -> None:
    """210 MB at most; those here may be other versions."""
    text = REQUIREMENTS.read_text(encoding="utf-8")
    names = set(re.findall(r"^([\w.-]+)==", text, re.MULTILINE))
    size = 0
    for found in distributions():
        if re.sub(r"[_.]", "-", found.name).lower() in names:
            files = [Path(str(found.locate_file(file))) for file in found.files or []]
            size += sum(file.stat().st_size for file in files if file.is_file())
    assert 100e6 < size < 210e6


@pytest.mark.skipif(sys.platform != "linux", reason="the image is Linux's")
def test_the_image_s_command_serves(classifier_folder: Path, tmp_path: Path) -> None:
    """The steps after the packages: with the files that are sent and the locked packages alone."""
    srv = tmp_path / "srv"
    for name in filter(lambda name: is_sent(name, PATTERNS), sources_of_project()):
        (srv / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, srv / name)
    shutil.copytree(classifier_folder, srv / "models/classifier")
    environment = link_packages(tmp_path / "packages", REQUIREMENTS) | {"COMMIT": "abc"}
    for name, rest in INSTRUCTIONS:
        if name == "RUN" and "pip install" not in rest:
            subprocess.run(["sh", "-c", rest], cwd=srv, env=environment, check=True)
    (entry,) = (json.loads(rest) for name, rest in INSTRUCTIONS if name == "ENTRYPOINT")
    assert entry[0] == "python"
    log = tmp_path / "log"
    with (
        log.open("wb") as file,
        subprocess.Popen(
            [sys.executable, "-S", *entry[1:], "--port", "0"],
            cwd=srv, env=environment, stdout=file, stderr=file,
        ) as process,
    ):  # fmt: skip
        try:
            server = RunningServer(process, wait_for_port(process, log), log)
            assert server.ask("/version").content["commit"] == "abc"
            page = server.ask("/")
            assert (page.status, b"The page is not here" in page.content) == (404, True)
            assert "without the page: `/` answers 404" in DOCUMENT
            answered = server.ask("/predict", png(IMAGES[0]))
            assert answered.content["class"] == CLASSES[LABELS[0]]
            (check,) = (rest for name, rest in INSTRUCTIONS if name == "HEALTHCHECK")
            words = json.loads(check.removeprefix("CMD "))
            code = words[2].replace(":8000/", f":{server.port}/")
            subprocess.run([sys.executable, "-S", "-c", code], env=environment, check=True)
        finally:
            process.kill()
