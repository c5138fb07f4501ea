"""Keys of nested values, as YAML files have them: train.epochs is what train holds as epochs."""

from types import SimpleNamespace
from typing import Any


def get_value(values: Any, key: str) -> Any:
    """The value of a key, None if there is none."""
    for part in key.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values


def set_value(values: Any, key: str, value: Any) -> None:
    """Set the value of a key in place; sections that are missing are made."""
    *parents, last = key.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
    values[last] = value


def flatten(key: str, value: Any) -> dict[str, Any]:
    """Each single value of the section at `key` by its full key; "" for the whole of a file."""
    if not isinstance(value, dict):
        return {key: value}
    parts = (flatten(f"{key}.{name}" if key else name, below) for name, below in value.items())
    return {name: single for part in parts for name, single in part.items()}


def as_attributes(value: Any) -> Any:
    """Sections as plain objects with a value an attribute, without any method or property."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_attributes(below) for name, below in value.items()})
    return value
