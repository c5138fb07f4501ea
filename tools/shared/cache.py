"""Where DVC keeps a file, by its MD5."""

from pathlib import Path


def cache_path(md5: str) -> Path:
    """Where DVC's cache has the file of that MD5, or where it would have it."""
    inside = Path("files", "md5", md5[:2], md5[2:])
    usual = Path(".dvc/cache") / inside
    if usual.is_file():
        return usual
    # Imported only here: it takes longer than to read all the files.
    from dvc.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415

    folder = Config(".dvc")["cache"].get("dir")  # absolute, whichever config file names it
    return Path(folder) / inside if folder else usual
