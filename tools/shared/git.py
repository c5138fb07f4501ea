"""What Git is asked: commits, DVC experiments, and files as a commit has them.

Git is asked directly: importing DVC takes longer than all of this.
"""

import os
import subprocess
from pathlib import Path

from stages.shared.errors import UserError
from tools.shared.paths import LOCK

WORKSPACE = "workspace"
EXPERIMENTS = "refs/exps/[0-9a-f][0-9a-f]/*"  # two digits of the baseline, then its others
ABSENT = ("does not exist in", "exists on disk, but not in")  # what Git says of an absent file
WHOLE_HISTORY = "`git remote set-branches origin '*' && git fetch --unshallow` brings all of it"
AFTER_MERGE = (
    "Git is in a merge: resolve conflicts in params.yaml and code first, then `git checkout --ours "
    "dvc.lock reports && dvc repro && git add -A`"
)


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
        f"none of that name. The experiments here: {known}.{explain_history()}"
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


def explain_history() -> str:
    """Why a revision that others have may be unknown here; empty if nothing speaks for it."""
    if not resolve_commit("HEAD"):
        return " This repository has no commit yet: `git add --all && git commit` makes one."
    return f" This clone has a part of the history: {WHOLE_HISTORY}." if is_shallow() else ""


def is_shallow() -> bool:
    return git_output("rev-parse", "--is-shallow-repository").strip() == "true"


def list_conflicts() -> list[str]:
    """The files that a merge left for a person to merge."""
    entries = git_output("ls-files", "--unmerged", "-z").split("\0")[:-1]  # each version of a file
    return list(dict.fromkeys(entry.split("\t", 1)[1] for entry in entries))


def how_to_restore(path: str) -> str:
    """What brings back a file of the workspace that is not readable; asks Git nothing."""
    if b"\n<<<<<<< " in b"\n" + (read_content(None, path) or b""):
        return AFTER_MERGE
    if path != str(LOCK):
        return "Mend it"
    return (
        f"`git checkout -- {LOCK}` brings back the last commit's (`rm {LOCK}` if there is none), "
        "`dvc repro` the rest"
    )


def git_output(*arguments: str) -> str:
    """What Git prints; empty if it says no without a word, as --quiet makes it do."""
    return (run_git(*arguments) or b"").decode("utf-8", "replace")


def read_content(commit: str | None, path: str) -> bytes | None:
    """A file that Git keeps, as the revision has it; None if it has none."""
    if commit is None:
        return Path(path).read_bytes() if Path(path).is_file() else None
    return run_git("show", f"{commit}:./{path}")


def run_git(*arguments: str) -> bytes | None:
    """What Git prints; None if what was asked for is absent.

    Raises UserError with Git's own words if it refuses: they name the reason and often the cure.
    """
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, check=False, env=os.environ | {"LC_ALL": "C"}
        )
    except FileNotFoundError:
        raise UserError("git is not installed (Debian: apt-get install git)") from None
    if done.returncode == 0:
        return done.stdout
    reason = done.stderr.decode("utf-8", "replace").strip()
    if reason and not any(text in reason for text in ABSENT):
        raise UserError(f"Git refuses:\n{reason}")
    return None


def list_content(commit: str | None, folder: str) -> list[str]:
    """The paths of the files that Git has in a folder of a commit, or that lie in it now."""
    if commit is None:
        return sorted(file.as_posix() for file in Path(folder).rglob("*") if file.is_file())
    return git_output("ls-tree", "-r", "--name-only", "-z", commit, f"{folder}/").split("\0")[:-1]
