"""The drawing page as static files: its own, the model's, and onnxruntime-web to run the model.

onnxruntime-web is no part of this project. npm fetches it once, by name and version; what of it the
page needs is checked and kept in the user's cache.
"""

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

from serving.classifier import MODEL_FILES
from stages.shared.atomic_write import atomic_write
from stages.shared.errors import UserError

PAGE = Path(__file__).parent / "page"
PACKAGE = "onnxruntime-web@1.30.0"
SHA256 = {  # of the files in its folder dist
    "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": (
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"
    ),
}
PAGE_SUFFIXES = {".html", ".css", ".js", ".svg"}


def write_page(folder: Path, classifier_folder: Path) -> None:
    """Write a page that works without a network into `folder`, with the model of the other folder.

    Raises UserError if a file of the model is missing or onnxruntime-web cannot be had.
    """
    for name in MODEL_FILES:
        if not (classifier_folder / name).is_file():
            raise UserError(
                f"{classifier_folder / name} is missing: `dvc repro` or `dvc pull` brings it"
            )
    runtime = find_runtime()
    folder.mkdir(parents=True, exist_ok=True)
    own = [path for path in sorted(PAGE.iterdir()) if path.suffix in PAGE_SUFFIXES]
    model = [classifier_folder / name for name in MODEL_FILES]
    for path in [*own, *model, *(runtime / name for name in SHA256)]:
        shutil.copyfile(path, folder / path.name)


def find_runtime() -> Path:
    """The folder of onnxruntime-web's files in the user's cache, fetched if they are not whole."""
    try:
        import pooch  # noqa: PLC0415  # 0.1 s, and only the page needs it
    except ImportError:
        raise UserError(
            "the page needs the library pooch, which the server's image lacks"
        ) from None
    folder = Path(pooch.os_cache("dvc-image-pipeline")) / PACKAGE
    if not all(is_whole(folder / name, digest) for name, digest in SHA256.items()):
        fetch_runtime(folder)
    return folder


def is_whole(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def fetch_runtime(folder: Path) -> None:
    """Put onnxruntime-web's files into `folder`. Raises UserError if npm cannot bring them."""
    from stages.fetch.sources import open_source  # noqa: PLC0415  # brings requests

    try:
        with open_source(f"npm:{PACKAGE}/dist/{{name}}", (10, 60)) as open_file:
            for name, digest in SHA256.items():
                content = open_file(name).read()
                found = hashlib.sha256(content).hexdigest()
                if found != digest:
                    raise ValueError(f"{name}: expected SHA-256 {digest}, found {found}")
                with atomic_write(folder / name) as file:
                    file.write(content)
    except (OSError, ValueError, KeyError, tarfile.TarError, subprocess.SubprocessError) as error:
        raise UserError(
            f"the page needs {PACKAGE}, which npm could not bring: {error}. Install Node.js with "
            f"npm, connect to the network once, and try again; it is then kept in {folder}"
        ) from None
