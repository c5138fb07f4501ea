"""Keys of nested values, as YAML files have them: train.epochs is what train holds as epochs."""

from typing import Any


def value_at(values: Any, key: str) -> Any:
    """The value of a key, None if there is none."""
    for part in key.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values


def put(values: Any, key: str, value: Any) -> None:
    """Set the value of a key in place; sections that are missing are made."""
    *parents, last = key.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
    values[last] = value


def leaves(key: str, value: Any) -> dict[str, Any]:
    """Each single value of the section at `key` by its full key; "" for the whole of a file."""
    if not isinstance(value, dict):
        return {key: value}
    parts = (leaves(f"{key}.{name}" if key else name, below) for name, below in value.items())
    return {name: single for part in parts for name, single in part.items()}
