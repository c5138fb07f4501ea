"""The hash of a code dep, as DVC computes it: of a commit or of the files that lie here now."""

from pathspec import GitIgnoreSpec

from stages.run.hashes import md5_of_bytes, md5_of_folder
from stages.run.ignored import IGNORE_FILE
from tools.shared.git import list_content, read_content


def hash_code(commit: str | None, path: str) -> str:
    """The MD5 of a file, or of a folder the MD5 of DVC's list of its files and `.dir`.

    Of a folder count the files that the revision's .dvcignore does not name. "" if there is none.
    """
    names = list_content(commit, path)
    if not names:
        content = read_content(commit, path)
        return "" if content is None else md5_of_bytes(content)
    ignored = (read_content(commit, str(IGNORE_FILE)) or b"").decode("utf-8", "replace")
    rules = GitIgnoreSpec.from_lines(ignored.splitlines())
    hashes = {
        name.removeprefix(f"{path}/"): md5_of_bytes(read_content(commit, name) or b"")
        for name in names
        if not rules.match_file(name)
    }
    return md5_of_folder(hashes)
