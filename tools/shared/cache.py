"""Where DVC keeps a file, by its MD5."""

from pathlib import Path

USUAL = Path(".dvc/cache")


def cache_path(md5: str) -> Path:
    """Where DVC's cache has the file of that MD5, or where it would have it."""
    inside = Path("files", "md5", md5[:2], md5[2:])
    return USUAL / inside if (USUAL / inside).is_file() else configured_folder() / inside


def cache_folder() -> Path:
    """DVC's cache; the usual one if it has files."""
    return USUAL if (USUAL / "files").is_dir() else configured_folder()


def configured_folder() -> Path:
    """DVC's cache by its configuration."""
    # Imported only here: it takes longer than to read all the files.
    from dvc.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415

    folder = Config(".dvc")["cache"].get("dir")  # absolute, whichever config file names it
    return Path(folder) if folder else USUAL
