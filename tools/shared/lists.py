"""Lists that may be too long to print whole: the first items, and how many more there are."""


def name_some(names: list[str], most: int) -> str:
    """Such as: a.png, b.png and 3 more."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def list_some(lines: list[str], most: int) -> list[str]:
    """The first `most` lines, and a line that counts the others if there are any."""
    rest = len(lines) - most
    return lines[:most] + ([f"and {rest:,} more"] if rest > 0 else [])
