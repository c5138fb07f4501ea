"""What a folder held when dvc.lock was written, of which dvc.lock has but a hash."""

from typing import Any

from pathspec import GitIgnoreSpec
from ruamel.yaml import YAML

from stages.run.hashes import md5_of_bytes, md5_of_folder
from stages.run.ignored import IGNORE_FILE
from tools.shared.git import git_output, list_content, read_content, resolve_commit
from tools.why.present import Hashes, list_object

COMMITS = 5  # that are looked at: each takes some hundredths of a second


def list_earlier(folder: str, md5: str) -> Hashes | None:
    """MD5 by path of the files that a folder of that hash held; None if that cannot be found.

    Of deps it follows from Git's files, and from the .dvc files among them: the newest commits
    are looked at for one whose folder has the hash. DVC's cache has it of outputs.
    """
    newest = git_output("log", f"--max-count={COMMITS}", "--format=%H", "--", folder).split()
    head = resolve_commit("HEAD")
    for commit in dict.fromkeys([head, *newest] if head else []):
        found = list_at(commit, folder)
        if md5_of_folder(found) == md5:
            return found
    return list_object(md5) or None


def list_at(commit: str, folder: str) -> Hashes:
    """MD5 by path of the files of a commit's folder that DVC looks at, with those in its cache."""
    ignored = (read_content(commit, str(IGNORE_FILE)) or b"").decode("utf-8", "replace")
    rules = GitIgnoreSpec.from_lines(ignored.splitlines())
    found: Hashes = {}
    for name in list_content(commit, folder):
        if rules.match_file(name):
            continue
        content = read_content(commit, name) or b""
        inside = name.removeprefix(f"{folder}/")
        found[inside] = md5_of_bytes(content)
        if name.endswith(".dvc"):
            found |= list_tracked(inside, content)
    return found


def list_tracked(name: str, content: bytes) -> Hashes:
    """MD5 by path of what a .dvc file of a folder stands for; paths are the folder's."""
    tracked: Any = YAML(typ="safe", pure=True).load(content)
    parent = name.rpartition("/")[0]
    prefix = f"{parent}/" if parent else ""
    found: Hashes = {}
    for out in tracked["outs"]:
        if out["md5"].endswith(".dir"):
            inside = list_object(out["md5"])
            found |= {f"{prefix}{out['path']}/{path}": md5 for path, md5 in inside.items()}
        else:
            found[f"{prefix}{out['path']}"] = out["md5"]
    return found
