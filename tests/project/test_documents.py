"""The documents say what is: their commands work, their outputs, links and names are true.

A block of a document, indented by four spaces or fenced, is one of five:

- a transcript, `$ command` and below it what the command prints: it runs here, on the tiny data
  set, and has to print the same words in the same order. Numbers and hashes may differ, and a line
  `...` stands for any lines;
- a drawing of the tree: each line starts with a path, which has to exist;
- Python: it has to parse;
- a part of a dataset.yaml, or a corrections.csv: it has to be right;
- anything else is a list of commands, which may take hours or a cluster: each has to parse, by the
  rule of its program in PROGRAMS.

Commands between backquotes in the text have to parse, too.
"""

import ast
import csv
import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from conftest import ROOT, TINY_PARAMS, Project, needs_ray, sources_of_project
from dvc.cli import DvcParserError
from dvc.cli.parser import get_main_parser
from ruamel.yaml import YAML

from stages.preprocess.corrections import HEADER, read_corrections
from stages.run.keys import get_value, set_value
from stages.run.params import Dataset
from stages.run.yaml_files import validate

NAMES = ["README.md", "CONTRIBUTING.md", "benchmarks/README.md"]
DOCUMENTS = sorted(
    path for path in [*map(ROOT.joinpath, NAMES), *ROOT.glob("docs/*.md")] if path.exists()
)
TREE = set(sources_of_project())
FOLDERS = {str(folder) for name in TREE for folder in Path(name).parents}
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

# What a document may name although a fresh clone does not have it.
MADE_LATER = {
    ".dvc/config.local": "dvc remote modify --local",
    ".dvc/tmp/rwlock": "DVC, while it runs",
    ".dvc/tmp/stages/STAGE.lock": "a stage, while it runs",
    ".dvc/tmp/stages/sweep/": "a sweep, until it ends",
    ".dvc/tmp/stages/train/KEY": "a training, until it ends",
    ".venv/bin/activate": "make",
    **dict.fromkeys(
        [
            "audit/",
            *(
                f"audit/{prefix}suspects.{kind}"
                for prefix in ("", "test_")
                for kind in ("html", "csv")
            ),
            "audit/near_duplicates.csv",
        ],
        "python -m tools.audit",
    ),
    "export.json": "python -m tools.export",
    "models/classifier": "dvc repro",
    "packed-refs.lock": "git, while it runs",
    "request.json": "an example of a request",
    "report/model_card.md": "python -m tools.report --card",
    "report/report.md": "python -m tools.report",
    "sweeps/made_from.json": "python -m sweeps",
    "data/x": "an example of a name that is wrong",
    "data/NAME/images": "python -m tools.dataset",
    **dict.fromkeys(["CLASS/image", "SPLIT/CLASS/image", "labels.csv", "test.csv"], "one's own"),
}
each_document = pytest.mark.parametrize(
    "path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)
OURS = ("benchmarks", "serving", "stages", "sweeps", "tests", "tools")  # this project's packages
COMMAND = re.compile(r"(dvc|git|python -m) |make( |$)")  # how a command in a text starts


class Block(NamedTuple):
    place: str  # DOCUMENT:LINE
    lines: list[str]

    def kind(self) -> str:
        """What the block is, by the first rule of the module's docstring that fits."""
        if self.lines[0].startswith("$ "):
            return "transcript"
        if all(is_path(line.split()[0]) for line in self.lines if line.strip()):
            return "tree"
        if self.lines[0] == ",".join(HEADER):
            return "corrections"
        text = "\n".join(self.lines)
        return "python" if is_python(text) else "dataset" if is_dataset(text) else "commands"


# Reading the documents


@cache
def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks_of(path: Path) -> Iterator[Block]:
    """The indented and the fenced blocks of a document; what comments mark is a table."""
    fence, found, start = False, [], 0
    for number, line in enumerate([*read(path).splitlines(), "the end"], start=1):
        is_fence = line.startswith("```")
        inside = (fence and not is_fence) or line.startswith("    ")
        if inside or (found and not line.strip() and not is_fence):
            start = start if found else number
            found.append(line if fence else line[4:])
        elif found:
            while not found[-1].strip():
                found.pop()
            yield Block(f"{path.relative_to(ROOT)}:{start}", found)
            found = []
        fence = fence != is_fence


def text_of(path: Path) -> str:
    """A document without its blocks."""
    lines = read(path).splitlines()
    for block in blocks_of(path):
        first = int(block.place.rpartition(":")[2]) - 1
        lines[first : first + len(block.lines)] = [""] * len(block.lines)
    return "\n".join(lines)


def quoted_in(path: Path) -> list[str]:
    """What a document's text has between backquotes, also if it goes on in the next line."""
    code = re.findall(r"(`+)(.+?)\1", text_of(path), re.DOTALL)
    return [" ".join(text.split()) for _, text in code]


def is_python(text: str) -> bool:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return False
    return not all(isinstance(node, ast.Expr | ast.AnnAssign) for node in tree.body)


def is_dataset(text: str) -> bool:
    """Whether it is YAML whose keys are those of a dataset.yaml."""
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError:
        return False
    return isinstance(values, dict) and values.keys() <= Dataset.model_fields.keys()


def is_path(name: str) -> bool:
    """Whether the tree has it or a run makes it; in data/NAME and stages/NAME, NAME is any."""
    pattern = name.strip("/").replace("NAME", "*")
    if name in MADE_LATER or any(Path(name).is_relative_to(out) for out in outputs()):
        return True
    return any(Path(path).match(pattern) for path in TREE | FOLDERS - {"."} | set(outputs()))


@cache
def outputs() -> list[str]:
    """The files and folders that the pipeline makes."""
    named = [
        out
        for stage in PIPELINE["stages"].values()
        for kind in ("outs", "metrics", "plots")
        for out in stage.get(kind, [])
    ]
    return [out if isinstance(out, str) else next(iter(out)) for out in named]


BLOCKS = {block.place: block for path in DOCUMENTS for block in blocks_of(path)}
KINDS = {place: block.kind() for place, block in BLOCKS.items()}


def of_kind(kind: str) -> list[str]:
    return [place for place in BLOCKS if KINDS.get(place) == kind]


# Commands that parse


def simple_commands(line: str) -> Iterator[list[str]]:
    """The simple commands of a shell line as words, without comments, assignments and loops.

    A command in `$(...)` comes first; what it prints is no word of the one around it.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    open_commands: list[list[str]] = [[]]
    for word in [*lexer, ";"]:
        if word == "(":
            open_commands[-1].pop()  # the $ before it
            open_commands.append([])
        elif word in (";", "&&", "||", "|", ")"):
            command = list(itertools.dropwhile(is_prefix, open_commands.pop()))
            if command and command[0] not in ("for", "done"):
                yield command
            if word != ")":
                open_commands.append([])
        else:
            open_commands[-1].append(word)


def is_prefix(word: str) -> bool:
    """Whether a command starts after this word: `do`, or an assignment for the command alone."""
    return word == "do" or re.match(r"[A-Z_]+=", word) is not None


def check_dvc(words: list[str]) -> None:
    """DVC's own parser takes it, and the keys, stages, files and columns that it names exist."""
    try:
        asked = vars(get_main_parser().parse_args(words))
    except DvcParserError:
        raise AssertionError("dvc does not take it") from None
    for override in asked.get("set_param") or []:
        key, _, _ = override.partition("=")
        assert get_value(PARAMS, key) is not None, f"params.yaml has no {key}"
    targets = asked.get("targets") or []
    if asked["cmd"] in ("repro", "status"):
        assert set(targets) <= set(PIPELINE["stages"]), f"dvc.yaml has not all of {targets}"
    if template := asked.get("template"):
        assert f".dvc/plots/{template}.json" in TREE, f"no template {template}"
        for target in targets:
            missing = {asked["x"], asked["y"]} - columns_of(ROOT / target)
            assert not missing, f"{target} has no {missing}"


def columns_of(path: Path) -> set[str]:
    if path.suffix == ".json":
        return set(json.loads(read(path))[0])
    return set(next(csv.reader(read(path).splitlines())))


def check_dvc_options(words: list[str]) -> None:
    """DVC has this command with all of these options, though it may want more arguments."""
    parser = get_main_parser()
    for word in words:
        choices = [action.choices for action in parser._actions if isinstance(action.choices, dict)]
        if choices:
            assert word in choices[0], f"dvc has no {word}"
            parser = choices[0][word]
        elif word.startswith("-"):
            assert word in parser._option_string_actions, f"dvc has no {word} there"


def check_make(words: list[str]) -> None:
    """The Makefile has the target and uses the variable."""
    for word in words:
        name, is_variable, _ = word.partition("=")
        if is_variable:
            assert re.search(rf"\$\({name}[):]|^{name} \?=", MAKEFILE, re.MULTILINE), name
        else:
            assert name in targets_of_make(), f"no target {name}"


def targets_of_make() -> list[str]:
    (line,) = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    return list(line.split())


def check_python(words: list[str]) -> None:
    """The module exists and has these options, and takes arguments if there are some."""
    assert words[0] == "-m", "expected python -m MODULE"
    module, arguments = words[1], words[2:]
    if module.partition(".")[0] not in OURS:
        assert module in ("pip", "pytest"), f"no module {module}"
        return
    code = read(file_of_module(module))
    declared = declared_arguments(ast.parse(code))
    takes_words = "sys.argv" in code or any(not name.startswith("-") for name in declared)
    for before, word in itertools.pairwise(["", *arguments]):
        if word.startswith("-") and word != "-":
            option = word.partition("=")[0]
            known = option in declared or option in options_in_help(module)
            assert known, f"{module} has no option {option}"
        else:
            assert takes_words or before.startswith("-"), f"{module} takes no {word}"
    if module == "tools.recipe" and "--file" not in arguments:
        check_recipe(arguments)
    if module == "stages.run":
        command = PIPELINE["stages"].get(arguments[0], {"cmd": "no such stage"})["cmd"]
        assert command.split()[-len(words) :] == words, f"dvc.yaml has {command}"


def check_recipe(arguments: list[str]) -> None:
    recipes = yaml.safe_load(read(ROOT / "recipes.yaml"))
    names = {word for word in arguments if not word.startswith("-")} - {"NAME"}
    assert names <= set(recipes), f"recipes.yaml has not all of {names}"


def file_of_module(module: str) -> Path:
    path = ROOT / module.replace(".", "/")
    files = [path.with_suffix(".py"), path / "__main__.py"]
    found = [file for file in files if str(file.relative_to(ROOT)) in TREE]
    assert found, f"no module {module}"
    return found[0]


@cache
def options_in_help(module: str) -> set[str]:
    """Those of a module that other modules declare for it, too."""
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(re.findall(r"--[a-z][a-z-]*", done.stdout.partition("options:")[2]))


def declared_arguments(code: ast.AST) -> set[str]:
    """The names in the calls of add_argument: options as written, others without dashes.

    Any string of the module may fill the gap of f"--{name}".
    """
    texts = {node.value for node in ast.walk(code) if isinstance(node, ast.Constant)}
    calls = [node for node in ast.walk(code) if isinstance(node, ast.Call)]
    arguments = [
        argument
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument"
        for argument in call.args
    ]
    formed = any(isinstance(argument, ast.JoinedStr) for argument in arguments)
    return {
        "--help",
        *(argument.value for argument in arguments if isinstance(argument, ast.Constant)),
        *(f"--{text}" for text in texts if formed),
    }


def check_git(words: list[str]) -> None:
    assert words[0] in git_commands(), f"git has no {words[0]}"


@cache
def git_commands() -> list[str]:
    command = ["git", "--list-cmds=main"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def check_py_spy(words: list[str]) -> None:
    """What is profiled parses."""
    check_command(words[words.index("--") + 1 :])


def check_files(words: list[str]) -> None:
    """The paths that it names exist."""
    for word in words:
        assert word.startswith("-") or "=" in word or is_path(word) or "/" not in word, word


Rules = dict[str, Callable[[list[str]], None]]

# The rule of each program. ray's is a test of its own, since ray may not be installed. Of the last
# ones, only the files that they get are ours. curl's are run by tests/serving.
PROGRAMS: Rules = {
    "dvc": check_dvc,
    "make": check_make,
    "python": check_python,
    "git": check_git,
    "py-spy": check_py_spy,
    **dict.fromkeys(
        ["cp", "curl", "docker", "kubectl", "md5sum", "mkdir", "npm", "ray", "tar"],
        lambda _words: None,
    ),
    **dict.fromkeys(["$EDITOR", "cd", "export", "pre-commit", "pytest", "source"], check_files),
}


def check_command(words: list[str], programs: Rules = PROGRAMS) -> None:
    """Raise AssertionError unless the program has a rule and keeps it."""
    program, *arguments = words
    assert program in programs, f"no rule for {program}: add one to PROGRAMS"
    programs[program](arguments)


def problems_of(lines: list[str], programs: Rules = PROGRAMS) -> Iterator[str]:
    """Each command among the lines that does not parse, with the reason."""
    for line in lines:
        for words in simple_commands(line):
            try:
                check_command(words, programs)
            except AssertionError as error:
                yield f"{shlex.join(words)}: {str(error).splitlines()[0]}"


@pytest.mark.parametrize("place", of_kind("commands"))
def test_a_list_of_commands_parses(place: str) -> None:
    assert list(problems_of(BLOCKS[place].lines)) == []


@each_document
def test_commands_in_the_text_parse(path: Path) -> None:
    """A dvc command may lack arguments there, as `dvc exp run -S` does."""
    commands = list(filter(COMMAND.match, quoted_in(path)))
    assert list(problems_of(commands, PROGRAMS | {"dvc": check_dvc_options})) == []


@needs_ray
def test_ray_takes_its_arguments() -> None:
    from ray.scripts.scripts import cli  # noqa: PLC0415  # takes a second, and may not be there

    lines = [line for place in of_kind("commands") for line in BLOCKS[place].lines]
    commands = [words for line in lines for words in simple_commands(line) if words[0] == "ray"]
    assert commands
    for _, name, *arguments in commands:
        cli.commands[name].make_context(name, arguments)


@pytest.mark.parametrize("place", of_kind("python"))
def test_python_parses(place: str) -> None:
    assert is_python("\n".join(BLOCKS[place].lines))


@pytest.mark.parametrize("place", of_kind("dataset"))
def test_a_part_of_a_dataset_is_right(place: str) -> None:
    part = yaml.safe_load("\n".join(BLOCKS[place].lines))
    whole = yaml.safe_load((ROOT / "data/mnist/dataset.yaml").read_text(encoding="utf-8"))
    images = {"format": {"name": "folder", "layout": "classes"},
              "files": {"all": {"name": "images", "count": 9}}}  # fmt: skip
    validate(Dataset, whole | images | part, Path(place))


@pytest.mark.parametrize("place", of_kind("corrections"))
def test_corrections_are_right(place: str, tmp_path: Path) -> None:
    path = tmp_path / "corrections.csv"
    path.write_text("\n".join(BLOCKS[place].lines), encoding="utf-8")
    assert len(read_corrections(path, ["cat", "dog"])) == len(BLOCKS[place].lines) - 1


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("python -m tools.nothing", "no module"),
        ("python -m tools.report --cards", "no option --cards"),
        ("python -m tools.verify everything", "takes no everything"),
        ("python -m tools.recipe fast-cnn", "recipes.yaml has not"),
        ("python -m stages.run train data models", "dvc.yaml has python"),
        ("dvc repro && dvc exp run --nme a", "dvc does not take it"),
        ("dvc exp run -S train.epohcs=5", "no train.epohcs"),
        ("dvc repro trian", "not all of"),
        ("dvc plots show sweeps/trials.csv -t best -x trial -y loss", "no template"),
        ("dvc plots show sweeps/trials.csv -t best_so_far -x place -y loss", "has no"),
        ("make tests", "no target tests"),
        ("make bench ROW=epoch", "ROW"),
        ("git comit", "git has no comit"),
        ("A=1 for seed in 1 2; do python -m tools.comapre; done", "no module"),
        ("dvc exp run $(python -m tools.recipes)", "no module"),
        ("frobnicate it", "no rule for frobnicate"),
        ("source .venv/bin/activte", "activte"),
    ],
)
def test_a_command_that_is_wrong_is_seen(line: str, complaint: str) -> None:
    problems = list(problems_of([line]))
    assert len(problems) == 1
    assert complaint in problems[0]


# Completeness: what there is, is named


def test_each_tool_is_named() -> None:
    """Each module of tools, sweeps and benchmarks that can be run."""
    text = "\n".join(map(read, DOCUMENTS))
    modules = {
        name.removesuffix(".py").removesuffix("/__main__").replace("/", ".")
        for name in TREE
        if name.startswith(("tools/", "sweeps/", "benchmarks/")) and name.endswith(".py")
        if '__name__ == "__main__"' in read(ROOT / name)
    }
    assert {"tools.compare", "sweeps", "benchmarks.peers.article_script"} <= modules
    unnamed = [module for module in modules if not re.search(rf"\b{module}\b(?!\.\w)", text)]
    assert unnamed == []


def test_each_target_of_make_is_named() -> None:
    """The first one is what `make` alone does."""
    text = "\n".join(map(read, DOCUMENTS))
    assert "    make " in text
    assert [name for name in targets_of_make()[1:] if not re.search(rf"make {name}\b", text)] == []


# Links and names


def paths_in(path: Path) -> Iterator[str]:
    """What looks like a path of this project between backquotes; `{a,b}` stands for both."""
    ends = (".py", ".yaml", ".json", ".csv", ".txt", ".md", ".lock", ".toml", ".keras", ".png")
    for text in quoted_in(path):
        outside = text.startswith(("/", "~", "..", "http")) or "://" in text
        if outside or not re.fullmatch(r"[\w./*{},-]+", text) or "..." in text:
            continue
        if "/" in text or (text.endswith(ends) and len(text) > len(".json")):
            yield from expand(text)


def expand(text: str) -> list[str]:
    """`{a,b}.npy` as a.npy and b.npy."""
    before, brace, rest = text.partition("{")
    if not brace:
        return [text]
    inner, _, after = rest.partition("}")
    return [name for part in inner.split(",") for name in expand(f"{before}{part}{after}")]


@each_document
def test_paths_exist(path: Path) -> None:
    assert [name for name in paths_in(path) if not is_path(name)] == []


@pytest.mark.parametrize("place", of_kind("tree"))
def test_a_drawing_of_the_tree_is_true(place: str) -> None:
    names = [word for line in BLOCKS[place].lines for word in re.split(r"\s{2,}", line)[0].split()]
    assert [name for name in names if not is_path(name)] == []


@each_document
def test_keys_of_params_exist(path: Path) -> None:
    """`train.refit: true` and the like, between backquotes."""
    keys = re.findall(rf"`((?:{'|'.join(PARAMS)})(?:\.[a-z_]+)+)\b[^`/()]*`", text_of(path))
    unknown = [key for key in keys if get_value(PARAMS, key) is None]
    assert [key for key in unknown if not is_path(key)] == []


@each_document
def test_links_lead_somewhere(path: Path) -> None:
    assert list(dead_links(path, text_of(path))) == []


def dead_links(path: Path, text: str) -> Iterator[str]:
    for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", text):
        if target.startswith("http"):
            continue
        document = (path.parent / target).resolve() if target else path
        known = document.exists() and str(document.relative_to(ROOT)) in TREE | FOLDERS
        if not known or (anchor and anchor not in anchors_of(document)):
            yield f"{target}#{anchor}"


def anchors_of(path: Path) -> list[str]:
    headings = re.findall(r"^#+ (.+)$", read(path), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]


def test_a_name_that_is_wrong_is_seen() -> None:
    assert is_path("data/NAME/dataset.yaml")
    assert is_path("reports/figures/samples.png")
    assert not is_path("data/catalog.yaml")
    assert not is_path("stages/architectures.py")
    assert not is_path("reports/tests.json")
    assert expand("x_{a,b}.npy") == ["x_a.npy", "x_b.npy"]
    text = "[a](docs/none.md) [b](docs/team.md#no-such) [c](docs/team.md#model-versions) [d](#x)"
    dead = ["docs/none.md#", "docs/team.md#no-such", "#x"]
    assert list(dead_links(ROOT / "README.md", text)) == dead


# Transcripts


class Step(NamedTuple):
    command: str
    shown: list[str]  # what the document shows below it


def steps_of(block: Block) -> list[Step]:
    steps: list[Step] = []
    for line in block.lines:
        if line.startswith("$ "):
            steps.append(Step(line[2:], []))
        else:
            steps[-1].shown.append(line)
    return steps


def transcripts_of(name: str) -> list[list[Step]]:
    return [steps_of(BLOCKS[place]) for place in of_kind("transcript") if place.startswith(name)]


def normalise(text: str) -> list[str]:
    """Its words, with N for numbers and H for hashes, without the rules of tables."""
    text = re.sub(r"^[ ━─═┌┬┐├┼┤└┴┘╒╤╕╞╪╡╘╧╛]+$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\b(?=[a-f]*\d)[0-9a-f]{7,}\b", "H", text)
    text = re.sub(r"(?<![\w.])[+-]?\d+(,\d{3})*(\.\d+)?(?![\w.]*\w)", "N", text)
    return text.replace("p < N", "p = N").split()


def shows(shown: list[str], output: str) -> bool:
    """Whether the output is what a document shows, in which a line `...` is any text.

    Where it shows nothing, anything may be printed.
    """
    words, start = normalise(output), 0
    groups = [list(lines) for is_gap, lines in itertools.groupby(shown, "...".__eq__) if not is_gap]
    for group in groups:
        wanted = normalise("\n".join(group))
        places = range(start, len(words) - len(wanted) + 1)
        if group is groups[0] and shown[0] != "...":
            places = places[:1]
        if group is groups[-1] and shown[-1] != "...":
            places = range(max(start, len(words) - len(wanted)), places.stop)
        found = [place for place in places if words[place : place + len(wanted)] == wanted]
        if not found:
            return False
        start = found[0] + len(wanted)
    return not shown or shown[-1] == "..." or start == len(words)


class Shell:
    """Plays transcripts in a folder, with other words where a document has a placeholder."""

    def __init__(self, project: Project, folder: Path, places: dict[str, str]) -> None:
        self.project, self.folder, self.places = project, folder, places

    def play(self, steps: list[Step]) -> None:
        """Run the steps in one shell; each succeeds, unless its document shows a failure."""
        script = ""
        for step in steps:
            command = step.command
            for word, place in self.places.items():
                command = command.replace(word, place)
            script += f"{command}\necho; echo '<<<' $? '>>>'\n"
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=self.project.environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        *printed, rest = re.split(r"\n<<< (\d+) >>>\n", done.stdout)
        assert rest == ""
        for step, output, code in zip(steps, printed[::2], printed[1::2], strict=True):
            assert shows(step.shown, output), (
                f"$ {step.command}\nprints\n{output}\nwhere the document shows\n"
                + "\n".join(step.shown)
            )
            fails = re.search("ERROR: |damaged on the remote", "\n".join(step.shown))
            assert code == "0" or fails, f"$ {step.command}\nends with {code}:\n{output}"


def set_values(path: Path, values: dict[str, object]) -> None:
    """Edit params.yaml as a person does, comments kept: the tour's `sed` looks for one."""
    round_trip = YAML()
    params = round_trip.load(path.read_text(encoding="utf-8"))
    for key, value in values.items():
        set_value(params, key, value)
    with path.open("w", encoding="utf-8") as file:
        round_trip.dump(params, file)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(0o444)  # as DVC has it


@pytest.fixture(scope="module")
def toured(
    finished_project: Project, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Shell, Path]:
    """The project after the README's tour, and the folder that is its remote.

    40 epochs: enough for tiny images that another learning rate changes the scores.
    """
    base = tmp_path_factory.mktemp("documents")
    project = finished_project.copy(base / "clone")
    project.environment = project.environment | {
        "BROWSER": "true",  # the program `true` opens every page
        "PYTHONHASHSEED": "1",  # dvc metrics diff lists a set of files
    }
    shutil.copy2(ROOT / "params.yaml", project.folder / "params.yaml")
    set_values(project.folder / "params.yaml", TINY_PARAMS | {"train.epochs": 40})
    project.dvc("repro")
    project.commit("Scores worth comparing")
    project.git("init", "--quiet", "--bare", "--initial-branch=main", str(base / "origin"))
    project.git("remote", "add", "origin", str(base / "origin"))
    project.git("push", "--quiet", "--set-upstream", "origin", "main")
    places = {
        "/mnt/shared/dvc-store": shlex.quote(str(base / "store")),
        "URL": shlex.quote((base / "origin").as_uri()),
        "make team && source .venv/bin/activate": "true",  # installs packages
        "train.epochs=5": "train.epochs=1",  # as in finished_project: the run cache has it
    }
    shell = Shell(project, project.folder, places)
    for steps in transcripts_of("README.md"):
        shell.play(steps)
    return shell, base / "store"


def test_the_tour_of_the_readme(toured: tuple[Shell, Path]) -> None:
    shell, store = toured
    assert len(transcripts_of("README.md")) >= 5
    assert list(store.glob("files/md5/*/*"))
    assert shell.project.git("status", "--porcelain") == ""


def test_a_team_pushes_mends_and_fetches(toured: tuple[Shell, Path], tmp_path: Path) -> None:
    """Each transcript of docs/team.md in the folder that it is about."""
    shell, store = toured
    project = shell.project
    push_and_pull, damaged, mended, registered, fetched = transcripts_of("docs/team.md")
    project.dvc("remote", "modify", "store", "verify", "true")
    project.git("commit", "--quiet", "--message", "Verify", ".dvc/config")
    shell.play(push_and_pull)

    outs = yaml.safe_load(project.read("dvc.lock"))["stages"]["train"]["outs"]
    (md5,) = (out["md5"] for out in outs if out["path"] == "models/model.keras")
    flip_a_bit(store / "files/md5" / md5[:2] / md5[2:])
    project.run("git", "clone", "--quiet", str(project.folder), str(tmp_path / "clone"))
    Shell(project, tmp_path / "clone", shell.places).play(damaged)
    shell.play(mended)

    shell.play(registered)
    (tmp_path / "elsewhere").mkdir()
    Shell(project, tmp_path / "elsewhere", shell.places).play(fetched)


def test_a_change_of_the_data(finished_project: Project, tmp_path: Path) -> None:
    """The transcript of docs/experiments.md."""
    project = finished_project.copy(tmp_path / "clone")
    shutil.copy2(ROOT / "params.yaml", project.folder / "params.yaml")
    set_values(project.folder / "params.yaml", TINY_PARAMS)
    (steps,) = transcripts_of("docs/experiments.md")
    Shell(project, project.folder, {}).play(steps)


def test_every_transcript_is_played() -> None:
    played = ("README.md", "docs/team.md", "docs/experiments.md")
    assert [place for place in of_kind("transcript") if not place.startswith(played)] == []


def test_output_that_is_not_as_shown_is_seen() -> None:
    output = "Path    Change\n──────\na.json  -0.0024\n\nDone at 1b2c3d4e\nin 4 s\n"
    assert shows(["Path Change", "a.json +0.1", "Done at cb80a67 in 1,000 s"], output)
    assert shows(["Path Change", "...", "in 5 s"], output)
    assert shows(["...", "Done at 77aabb99", "..."], output)
    assert not shows(["Path Change"], output)
    assert not shows(["Path Changed", "..."], output)
    assert not shows(["...", "b.json 0.1", "..."], output)
    assert not shows(["...", "in 4 s", "Done at 77aabb99"], output)
