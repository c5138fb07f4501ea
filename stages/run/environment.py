"""The environment that a stage computes in: what the user must be able to set, nothing else.

Libraries take settings from the environment that change results (KERAS_MAX_EPOCHS,
TF_DETERMINISTIC_OPS, MPLBACKEND). DVC does not see them: its run cache would return such a result
for ever. So every variable that is not named here is removed before a library is imported. The
commands in dvc.yaml start Python with -E, which ignores the PYTHON... variables.
"""

import os
import re

ALLOWED = {
    # Programs and folders
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "TMPDIR", "TMP", "TEMP",
    "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
    # Language and terminal
    "LANG", "LANGUAGE", "TZ", "TERM", "COLUMNS", "LINES", "NO_COLOR",
    # Downloads: proxies and certificates
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
    # Threads: where they run. train.threads says how many.
    "OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY",
    # The project's own, and what TensorFlow says
    "DATASET_FOLDER", "STAGES_PLAIN", "TF_CPP_MIN_LOG_LEVEL",
    # A cluster that decodes images, and the token that it asks for
    "DECODE_RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH",
}  # fmt: skip
ALLOWED_FAMILIES = r"LC_\w+|DVC_\w+|NPM_CONFIG_\w+"
# These may change a result: they enter the record of what it was made from (record.py).
RECORDED = ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA", "CUDA_VISIBLE_DEVICES", "STAGES_PLAIN")


def clean_environment(also: str = "") -> None:
    """Remove every variable that a stage must not see; `also` is a pattern of others to keep.

    Case does not matter: https_proxy.
    """
    for name in list(os.environ):
        upper = name.upper()
        allowed = (
            upper in ALLOWED
            or upper in RECORDED
            or re.fullmatch(f"{ALLOWED_FAMILIES}|{also}", upper)
        )
        if not allowed:
            del os.environ[name]


def recorded_environment() -> dict[str, str]:
    """The variables that are set and may change a result."""
    return {name: os.environ[name] for name in RECORDED if name in os.environ}
