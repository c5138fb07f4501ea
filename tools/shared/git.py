"""What Git is asked: commits, DVC experiments, and files as a commit has them.

Git is asked directly: importing DVC takes longer than all of this.
"""

import subprocess
from pathlib import Path

from stages.shared.errors import UserError

WORKSPACE = "workspace"
EXPERIMENTS = "refs/exps/[0-9a-f][0-9a-f]/*"  # two digits of the baseline, then its others


def resolve_revision(name: str) -> str | None:
    """The commit that a Git revision or a DVC experiment stands for; None for the workspace."""
    if name == WORKSPACE:
        return None
    commit = resolve_commit(name)
    if commit:
        return commit
    found = list_experiments(name)
    head = resolve_commit("HEAD")
    of_head = {ref: commit for ref, commit in found.items() if baseline_of(ref) == head}
    chosen = of_head or found
    if len(chosen) == 1:
        return next(iter(chosen.values()))
    if chosen:
        several = ", ".join(
            f"{commit[:7]} on {baseline_of(ref)[:7]}" for ref, commit in chosen.items()
        )
        raise UserError(f"{name}: expected one experiment, found {several}. Name one by its hash.")
    names = sorted(ref.rsplit("/", 1)[1] for ref in list_experiments("*"))
    known = ", ".join(dict.fromkeys(names)) or "none"
    raise UserError(
        f"{name}: expected a Git revision, a DVC experiment that has run, or {WORKSPACE}; found "
        f"none of that name. The experiments here: {known}."
    )


def resolve_commit(name: str) -> str:
    """Empty if Git knows no commit of that name."""
    return git_output(
        "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
    ).strip()


def list_experiments(pattern: str, *conditions: str) -> dict[str, str]:
    """Commit by ref of each DVC experiment whose name matches a pattern such as wide-*."""
    form = "--format=%(refname) %(objectname)"
    lines = git_output("for-each-ref", form, *conditions, f"{EXPERIMENTS}/{pattern}").splitlines()
    return dict(line.split() for line in lines)


def baseline_of(ref: str) -> str:
    """The commit that an experiment started from, which its ref refs/exps/XX/XXXX/NAME spells."""
    return "".join(ref.split("/")[2:4])


def git_output(*arguments: str) -> str:
    """What Git prints; empty if it refuses."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def read_content(commit: str | None, path: str) -> bytes | None:
    """A file that Git keeps, as the revision has it; None if it has none."""
    if commit is None:
        return Path(path).read_bytes() if Path(path).is_file() else None
    done = subprocess.run(["git", "show", f"{commit}:./{path}"], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def list_content(commit: str | None, folder: str) -> list[str]:
    """The paths of the files that Git has in a folder of a commit, or that lie in it now."""
    if commit is None:
        return sorted(file.as_posix() for file in Path(folder).rglob("*") if file.is_file())
    return git_output("ls-tree", "-r", "--name-only", "-z", commit, f"{folder}/").split("\0")[:-1]
