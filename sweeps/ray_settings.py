"""What Ray reads from the environment when it is imported."""

from collections.abc import MutableMapping

SETTINGS = {
    "RAY_AUTH_MODE": "token",  # Ray listens on all interfaces, even on one machine
    "RAY_AIR_NEW_OUTPUT": "0",  # progress.py tells what happens
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no files for TensorBoard
    "TUNE_GLOBAL_CHECKPOINT_S": "2",  # what a killed command can lose; Ray's own is 10 seconds
}


def set_ray_settings(environment: MutableMapping[str, str]) -> None:
    """Set those that the user has not set."""
    for name, value in SETTINGS.items():
        environment.setdefault(name, value)
