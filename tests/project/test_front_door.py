"""What a newcomer meets first: workflows, dev container, hooks, packages, versions, citation."""

import ast
import json
import re
import subprocess
import tomllib
from datetime import date
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Project, sources_of_project
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# Folders of this project: a package may have files in one of the same name.
OURS = {
    path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file() or path.name == "tests"
}
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def promised_pythons() -> list[str]:
    """Such as 3.11, oldest first: what pyproject.toml says."""
    promised = SpecifierSet(PYPROJECT["project"]["requires-python"])
    return [f"3.{minor}" for minor in range(30) if f"3.{minor}" in promised]


def dry_run(target: str) -> list[str]:
    """The commands of a target of the Makefile."""
    done = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", target],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def steps_of(workflow: Path) -> list[dict[str, object]]:
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


def scripts() -> str:
    """Every command of the workflows and of the dev container."""
    container = json.loads(read(".devcontainer/devcontainer.json"))
    steps = [str(step.get("run", "")) for workflow in WORKFLOWS for step in steps_of(workflow)]
    return "\n".join([*steps, container["onCreateCommand"], container["postCreateCommand"]])


# Workflows


def test_make_has_every_target_that_is_named() -> None:
    shown = re.findall(r"(?:^    |`)make ([a-z]+)", read("CONTRIBUTING.md"), re.MULTILINE)
    targets = {*re.findall(r"\bmake ([a-z]+)", scripts()), *shown}
    assert {"test", "team", "dev", "quick", "lock"} <= targets
    rules = re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE)
    assert targets <= set(rules)


def test_workflows_run_modules_that_exist() -> None:
    modules = set(re.findall(r"python -m ([\w.]+)", scripts() + read("Dockerfile")))
    assert {"tools.report", "tools.check", "pip"} <= modules
    for module in modules - {"pip"}:
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_is_bounded(workflow: Path) -> None:
    """It may read alone, each job ends, a newer push ends the older run, pip's cache follows."""
    content = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    assert content["permissions"] == {"contents": "read"}
    assert "cancel-in-progress" in content["concurrency"]
    for job in content["jobs"].values():
        assert job["timeout-minutes"] <= 60
        assert "permissions" not in job
    for step in steps_of(workflow):
        options = step.get("with", {})
        assert isinstance(options, dict)
        if str(step.get("uses")).startswith("actions/checkout@"):
            assert options["persist-credentials"] is False
        if "cache-dependency-path" in options:
            assert (ROOT / options["cache-dependency-path"]).exists()


# Pythons


def test_every_file_promises_the_same_pythons() -> None:
    pythons = promised_pythons()
    first, last = pythons[0], pythons[-1]
    classifier = "Programming Language :: Python :: "
    classifiers = PYPROJECT["project"]["classifiers"]
    assert [c.removeprefix(classifier) for c in classifiers if classifier in c] == pythons
    assert f"{' | '.join(pythons)}) ;;" in read("tools/make_venv.sh")
    assert f"expected {first} to {last};" in read("tools/make_venv.sh")
    for document in ("README.md", "CONTRIBUTING.md"):
        assert re.search(rf"Python\s{first}\sto\s{last}", read(document)), document
    matrix = yaml.safe_load(read(".github/workflows/tests.yml"))["jobs"]["tests"]["strategy"]
    assert matrix["matrix"]["python"] == pythons
    assert f"--python-version {first} " in read("Makefile")
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{first.replace('.', '')}"


def test_containers_and_the_review_use_a_promised_python() -> None:
    image = json.loads(read(".devcontainer/devcontainer.json"))["image"]
    used = [
        *re.findall(r"^ARG PYTHON=(\S+)", read("Dockerfile"), re.MULTILINE),
        *re.findall(r"python:(3\.\d+)", image),
        *re.findall(r'python-version: "(.+)"', read(".github/workflows/review.yml")),
    ]
    assert len(used) == 3
    assert set(used) <= set(promised_pythons())


# Packages


def named_packages(*groups: str) -> set[str]:
    """The packages that pyproject.toml names for a run, or in these groups."""
    project = PYPROJECT["project"]
    known = {**project["optional-dependencies"], **PYPROJECT["dependency-groups"]}
    texts = [*project["dependencies"], *(text for group in groups for text in known[group])]
    return {canonicalize_name(Requirement(text).name) for text in texts}


def imported_packages(folder: str) -> set[str]:
    """The packages, neither Python's nor ours, that the Python files of a folder import."""
    modules: set[str] = set()
    for name in sources_of_project():
        if name.startswith(f"{folder}/") and name.endswith(".py"):
            for node in ast.walk(ast.parse(read(name))):
                if isinstance(node, ast.Import):
                    modules |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    modules.add(str(node.module))
    owners = packages_distributions()
    roots = {module.split(".")[0] for module in modules} - OURS
    return {canonicalize_name(owner) for root in roots for owner in owners.get(root, [])}


@pytest.mark.parametrize(
    ("folder", "groups"),
    [
        ("stages", ("parquet", "sweeps")),
        ("tools", ()),
        ("sweeps", ("sweeps",)),
        ("benchmarks", ("sweeps", "bench", "serve")),
        ("serving", ("serve",)),
        ("tests", ("sweeps", "dev")),
    ],
)
def test_what_is_imported_is_a_dependency(folder: str, groups: tuple[str, ...]) -> None:
    imported = imported_packages(folder)
    assert "numpy" in imported
    assert imported - named_packages(*groups) == set()


def test_locked_requirements_have_what_pyproject_names() -> None:
    for file, groups in [
        ("pipeline", ()),
        ("team", ("s3", "ssh")),
        ("serve", ("serve",)),
        ("sweeps", ("sweeps",)),
        ("dev", ("s3", "ssh", "parquet", "serve", "sweeps", "dev")),
    ]:
        pinned = re.findall(
            r"^([\w.-]+)(?:\[.+])?==", read(f"requirements/{file}.txt"), re.MULTILINE
        )
        assert named_packages(*groups) <= {canonicalize_name(name) for name in pinned}, file


def test_tensorflow_has_one_version_in_every_form() -> None:
    """The record of a result and `make gpu` take tensorflow's version for tensorflow-cpu's."""
    found = {
        version
        for file in ("pipeline", "team", "serve", "sweeps", "dev", "gpu")
        for version in re.findall(
            r"^tensorflow(?:-cpu|\[and-cuda\])?==([\w.]+)", read(f"requirements/{file}.txt"), re.M
        )
    }
    assert len(found) == 1


# Dev container, hooks, line ends, versions


def test_the_dev_container_installs_what_the_tests_need() -> None:
    container = json.loads(read(".devcontainer/devcontainer.json"))
    assert container["postCreateCommand"] == "make dev"
    assert any("tools/make_venv.sh dev" in line for line in dry_run("dev"))
    for package in ("chromium-headless-shell", "openssh-server", "npm", "curl"):
        assert package in container["onCreateCommand"]
        assert package in read(".ci/run")
    recommended = json.loads(read(".vscode/extensions.json"))["recommendations"]
    assert container["customizations"]["vscode"]["extensions"] == recommended


def test_hooks_run_what_make_quick_runs() -> None:
    (repository,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    hooks = repository["hooks"]
    assert repository["repo"] == "local"
    assert all(hook["language"] == "system" and not hook["pass_filenames"] for hook in hooks)
    commands = [hook["entry"].removeprefix(".venv/bin/") for hook in hooks]
    checks = [line for line in dry_run("quick") if re.match(r"ruff|mypy", line)]
    assert commands == checks
    assert len(checks) == 3


def test_a_clone_keeps_its_bytes_where_git_turns_line_feeds(
    fresh_project: Project, tmp_path: Path
) -> None:
    clone = Project(tmp_path / "clone", fresh_project.environment)
    options = ("--quiet", "--config", "core.autocrlf=true")
    fresh_project.git("clone", *options, ".", str(clone.folder))
    names = fresh_project.git("ls-files").splitlines()
    assert {"stages/train/main.py", "requirements/dev.txt", "docs/figures.png"} <= set(names)
    for name in names:
        assert (clone.folder / name).read_bytes() == (fresh_project.folder / name).read_bytes()
    assert clone.git("status", "--porcelain") == ""


def test_code_changelog_and_citation_have_one_version() -> None:
    citation = yaml.safe_load(read("CITATION.cff"))
    released = re.findall(r"^## (\d+\.\d+\.\d+) - (\S+)$", read("CHANGELOG.md"), re.MULTILINE)
    version, day = released[0]
    assert citation["version"] == PYPROJECT["project"]["version"] == version
    assert citation["date-released"] == date.fromisoformat(day)
    assert "\n## Unreleased\n" in read("CHANGELOG.md")


def test_the_citation_names_the_holder_of_the_licence() -> None:
    citation = yaml.safe_load(read("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()  # what it must have
    (author,) = citation["authors"]
    holder = re.search(r"Copyright \(c\) \d+ (.+)", read("LICENSE"))
    assert holder
    assert author["name"].lower() == holder[1].lower()
    assert citation["license"] == PYPROJECT["project"]["license"]
    assert citation["title"] == PYPROJECT["project"]["name"]
