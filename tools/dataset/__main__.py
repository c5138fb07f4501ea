"""python -m tools.dataset NAME PATH: take your own images from PATH into data/NAME.

PATH is a folder, .zip or .tar of images, an .npz, .csv or .parquet, or a folder of IDX files. The
tool prints what it finds and what it chooses, copies PATH, writes data/NAME/dataset.yaml with every
value explained, and has DVC track the copy. docs/own_data.md has the formats.

    python -m tools.dataset NAME PATH --use     # and sets in params.yaml what fits the images
    dvc repro

Without PATH it looks again at data/NAME, after you have added or removed images there or had DVC
import them, and brings dataset.yaml up to date.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from stages.run.failures import failures_in_one_line
from stages.run.params import DATA, PARAMS, Dataset, OwnFile, OwnImages
from stages.run.yaml_files import parse_yaml, read_yaml, validate
from stages.shared.errors import UserError
from tools.dataset import choices, found, placing
from tools.dataset.choices import Choices, make_choices
from tools.dataset.dataset_yaml import compose, update
from tools.dataset.first_values import apply_edit, choose_recipe, plan_edit, print_diff
from tools.dataset.found import Found
from tools.dataset.look import COPY, look_at
from tools.dataset.small_classes import describe_small_classes
from tools.shared.command_line import make_parser
from tools.shared.lists import list_some

UNEVEN = 5  # times the images of the smallest class: accuracy then says little of it
OF_A_SECOND_LOOK = ("name", "path", "dry", "use")  # other arguments have no effect then
MOST_NAMED = 200  # problems that a message lists; the rest it counts


def main() -> None:
    asked = parse_arguments(sys.argv[1:])
    with failures_in_one_line("tools.dataset"):
        refuse_wrong_name(asked.name)
        folder = DATA / asked.name
        if asked.path:
            take_in(asked, folder)
        elif (folder / "dataset.yaml").is_file():
            look_again(asked, folder)
        else:
            describe_data(asked, folder)


def parse_arguments(words: list[str]) -> argparse.Namespace:
    parser = make_parser("tools.dataset", __doc__)
    parser.add_argument("name", metavar="NAME", help="the folder of data/ to make")
    parser.add_argument("path", nargs="?", type=Path, metavar="PATH")
    parser.add_argument("--dry", action="store_true", help="print everything, write nothing")
    parser.add_argument(
        "--use", action="store_true", help="set params.yaml to this data set and what fits it"
    )
    parser.add_argument("--move", action="store_true", help="move PATH, do not copy it")
    parser.add_argument(
        "--untracked", action="store_true", help="let Git ignore the data, and DVC not track it"
    )
    parser.add_argument("--title", help="for figures and the model card; default: NAME")
    parser.add_argument(
        "--size", type=read_size, metavar="64|48x64", help="pixels, the side or HEIGHTxWIDTH"
    )
    parser.add_argument("--colour", choices=("grey", "rgb"))
    parser.add_argument("--fit", choices=("pad", "crop", "stretch", "ink"))
    parser.add_argument(
        "--background", type=read_background, metavar="255|R,G,B", help="0 is black"
    )
    parser.add_argument(
        "--test-fraction", type=read_share, metavar="0.2", help="held out for the test, below 1"
    )
    parser.add_argument("--test-split", choices=("tail", "random", "stratified", "grouped"))
    parser.add_argument(
        "--group", metavar="COLUMN|PATTERN", help="what says which images stay together"
    )
    parser.add_argument("--label", metavar="COLUMN", help="the label's, in CSV and parquet")
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out images that cannot be read"
    )
    return parser.parse_args(words)


def read_size(text: str) -> tuple[int, int]:
    sides = [int(side) if side.isdecimal() else 0 for side in text.split("x")]
    if len(sides) > 2 or not all(4 <= side <= 1024 for side in sides):
        raise argparse.ArgumentTypeError(f"expected 64 or 48x64, 4 to 1024 each; found {text}")
    return sides[0], sides[-1]


def read_background(text: str) -> list[int]:
    greys = [int(grey) if grey.isdecimal() else 256 for grey in text.split(",")]
    if len(greys) not in (1, 3) or max(greys) > 255:
        raise argparse.ArgumentTypeError(f"expected 255 or 255,255,255, found {text}")
    return greys


def read_share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"expected a number above 0 and below 1, found {text}")
    return share


def refuse_wrong_name(name: str) -> None:
    if not re.fullmatch("[A-Za-z0-9_-]+", name):
        raise UserError(f"{name!a}: expected a name of A-Z, a-z, 0-9, _ and -")
    if name in ("raw", "processed"):
        raise UserError(f"{name}: the pipeline writes {DATA / name}: choose another name")
    if not PARAMS.is_file():
        raise UserError("expected to run where params.yaml lies: go to the project's folder")


def take_in(asked: argparse.Namespace, folder: Path) -> None:
    """From a source anywhere to data/NAME."""
    refuse_wrong_place(asked, folder)
    if asked.path.is_symlink():
        asked.path = asked.path.resolve()  # --move moves what the link leads to
    seen = look_at(asked.path, asked.label, asked.group)
    chosen, text = decide(asked, seen)
    is_copied = not asked.move or not all(placing.can_rename(file, DATA) for file in seen.files)
    needed = placing.disk_needed(seen, chosen, is_copied, not asked.untracked)
    total = sum(needed.values())
    print(f"disk: {found.size(total)}")
    print(*(f"  {found.size(count)} {what}" for what, count in needed.items() if count), sep="\n")
    placing.refuse_full_disk(total)
    dataset = parse_dataset(text, folder)
    plan_use(asked, dataset, seen)
    if asked.dry:
        print(f"--dry: nothing was written; {folder}/dataset.yaml would be\n\n{text}", end="")
        return
    placing.place(seen, folder, text, asked.move)
    print(f"{'moved' if asked.move else 'copied'} to {folder}; wrote {folder}/dataset.yaml")
    keep(asked, folder, folder / Path(seen.files[0].name).parts[0])
    use_or_say_how(asked, folder, dataset, seen)


def describe_data(asked: argparse.Namespace, folder: Path) -> None:
    """dataset.yaml for what lies in data/NAME already, such as DVC's import."""
    path = find_data(folder)
    seen = look_at(path, asked.label, asked.group, path.name.partition(".")[0])
    chosen, text = decide(asked, seen)
    packed = [file.path.name for file in seen.files if file.is_packed]
    if packed:
        raise UserError(f"{path}: gzipped: unpack {', '.join(packed)}")
    if not is_imported(path):
        placing.refuse_full_disk(sum(placing.disk_needed(seen, chosen, False, True).values()))
    dataset = parse_dataset(text, folder)
    plan_use(asked, dataset, seen)
    if asked.dry:
        print(f"--dry: nothing was written; {folder}/dataset.yaml would be\n\n{text}", end="")
        return
    (folder / "dataset.yaml").write_text(text, encoding="utf-8")
    print(f"wrote {folder}/dataset.yaml")
    placing.add_corrections(folder)
    keep(asked, folder, path)
    use_or_say_how(asked, folder, dataset, seen)


def look_again(asked: argparse.Namespace, folder: Path) -> None:
    """Bring the count and the classes up to date, and DVC's hash with them."""
    file = folder / "dataset.yaml"
    refuse_choices(asked, file)
    dataset = validate(Dataset, read_yaml(file), file)
    own = [each.name for each in dataset.files.values() if isinstance(each, OwnFile | OwnImages)]
    if not own:
        raise UserError(
            f"{file}: its files are downloaded: there is nothing to look at here. "
            f"`dataset: {asked.name}` in {PARAMS} chooses it"
        )
    path = folder / Path(own[0]).parts[0]
    label = getattr(dataset.format, "label", None)
    seen = look_at(path, label, dataset.splits.group, path.name.partition(".")[0])
    seen.source = path
    refuse_problems(seen, dataset.skip_bad, f"`skip_bad: true` in {file}")
    print(*found.describe(seen), *describe_small_classes(seen), sep="\n")
    plan_use(asked, dataset, seen)
    if asked.dry:
        print("--dry: nothing was written")
        return
    placing.add_corrections(folder)
    changed = update(file, seen)
    print(*(f"{file}: {line}" for line in changed or ["nothing to change"]), sep="\n")
    if is_imported(path):
        print(f"{path}: an import: `dvc update {path}.dvc` brings what is new at its source")
    elif Path(f"{path}.dvc").exists():
        placing.track(path)
        print(f"`dvc add {path}` done: `git add {folder}` and commit, `dvc repro` runs with it")
    if asked.use:
        use_or_say_how(asked, folder, dataset, seen)


def decide(asked: argparse.Namespace, seen: Found) -> tuple[Choices, str]:
    """Print what was found and what is chosen; the choices, and the text of dataset.yaml.

    Raises UserError with every problem.
    """
    refuse_problems(seen, asked.skip_bad, "--skip-bad")
    print(*found.describe(seen), *describe_small_classes(seen), sep="\n")
    chosen = make_choices(seen, asked)
    print("chosen for dataset.yaml:", *choices.describe(chosen), sep="\n")
    return chosen, compose(asked.name, asked.title, seen, chosen)


def parse_dataset(text: str, folder: Path) -> Dataset:
    file = folder / "dataset.yaml"
    return validate(Dataset, parse_yaml(text, file), file)


def refuse_choices(asked: argparse.Namespace, file: Path) -> None:
    """Raise UserError for options that say what dataset.yaml has said already."""
    given = [name for name, value in vars(asked).items() if value and name not in OF_A_SECOND_LOOK]
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UserError(
            f"{file} is there already, and {options} would have no effect: edit that file instead, "
            "then run this again without"
        )


def refuse_problems(seen: Found, skip_bad: bool, way: str) -> None:
    """Raise UserError that lists the problems, and images that cannot be read unless left out.

    `way` is what leaves them out.
    """
    bad = [] if skip_bad and seen.sizes else seen.bad
    problems = [*sorted(seen.problems), *sorted(bad)]
    if problems:
        cure = (
            f"\n{len(bad):,} of them are images that cannot be read: replace or remove them, or "
            f"leave them out with {way}"
        )
        heading = f"{seen.source}: {len(problems):,} problems, nothing was written:"
        listed = "\n  ".join([heading, *list_some(problems, MOST_NAMED)])
        raise UserError(listed + (cure if bad else ""))
    if seen.bad:
        print(f"{len(seen.bad):,} images that cannot be read are left out:", *seen.bad, sep="\n  ")


def refuse_wrong_place(asked: argparse.Namespace, folder: Path) -> None:
    if folder.exists():
        raise UserError(
            f"{folder} is there already. Choose another name; or, if you have added or removed "
            f"images there, `python -m tools.dataset {asked.name}`; or, to replace it, remove "
            "it first"
        )
    source = asked.path.resolve()
    data = DATA.resolve()
    if source.is_relative_to(data):
        raise UserError(
            f"{asked.path} lies in {DATA}: move it out first. For what DVC has imported to "
            f"data/NAME, `python -m tools.dataset NAME` without a path writes its dataset.yaml"
        )
    if data.is_relative_to(source):
        raise UserError(f"{asked.path} holds this project itself: name the folder of the images")


def find_data(folder: Path) -> Path:
    """The one file or folder in data/NAME that is none of DVC's or Git's."""
    items = [
        item
        for item in (folder.iterdir() if folder.is_dir() else [])
        if not item.name.startswith(".") and item.suffix != ".dvc"
        if item.name != placing.CORRECTIONS
    ]
    if not items:
        raise UserError(
            f"{folder}: expected images, found none. `python -m tools.dataset {folder.name} PATH` "
            f"copies them there, `dvc import-url URL {folder}/{COPY}` imports them"
        )
    if len(items) > 1:
        names = ", ".join(sorted(item.name for item in items))
        raise UserError(f"{folder}: expected one file or folder of images, found {names}")
    return items[0]


def is_imported(path: Path) -> bool:
    """Whether DVC has imported it: `dvc add` would make it one's own and forget its source."""
    file = Path(f"{path}.dvc")
    if not file.is_file():
        return False
    content = read_yaml(file)
    return isinstance(content, dict) and "deps" in content


def keep(asked: argparse.Namespace, folder: Path, path: Path) -> None:
    """Have DVC track the data, or Git ignore it."""
    if is_imported(path):
        print(f"{path}: DVC tracks it as an import")
    elif asked.untracked:
        placing.ignore(folder, path.name)
        print(
            f"{folder}/.gitignore keeps Git from {path.name}, and DVC does not track it: no clone "
            "and no `dvc exp run --temp` will have the images"
        )
    else:
        placing.track(path)
        print(f"`dvc add {path}` done")


def plan_use(asked: argparse.Namespace, dataset: Dataset, seen: Found) -> None:
    """Print what --use chooses, with --dry what it would change, before anything is written.

    Raises UserError if params.yaml is not to be overwritten.
    """
    if not asked.use:
        return
    edit, lines = plan_edit(asked.name, dataset, bool(seen.splits["validation"]))
    print(f"chosen for {PARAMS}:", *lines, sep="\n")
    if asked.dry:
        print_diff(edit)


def use_or_say_how(asked: argparse.Namespace, folder: Path, dataset: Dataset, seen: Found) -> None:
    """Set params.yaml, or print the command that does; then what is left to do."""
    steps = [f"  git add {folder}"]
    if asked.use:
        edit, _ = plan_edit(asked.name, dataset, bool(seen.splits["validation"]))
        apply_edit(edit, asked.name)
        steps[0] += f" {PARAMS}"
    else:
        recipe = choose_recipe(dataset.images).name
        steps += [
            f"  python -m tools.dataset {asked.name} --use",
            f"      (in {PARAMS}: dataset, preprocess.split and the recipe {recipe})",
        ]
    most, fewest = max(seen.counts.values()), min(seen.counts.values())
    if most > UNEVEN * fewest:
        print(
            f"classes have {fewest:,} to {most:,} images: `train.class_weight: balanced` in "
            f"{PARAMS} makes errors in small ones count more"
        )
    print("next:", *steps, "  dvc repro", sep="\n")


if __name__ == "__main__":
    main()
