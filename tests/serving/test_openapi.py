"""schemathesis asks what /openapi.json describes, and much that it does not."""

import shutil
import subprocess
from pathlib import Path

from classifiers import RunningServer, classifier_folder, server

__all__ = ["classifier_folder", "server"]  # fixtures

EXAMPLES = 25  # of each endpoint and phase; 100 and 50,000 others ran once, see docs/serving.md


def test_answers_are_as_described_whatever_is_asked(server: RunningServer, tmp_path: Path) -> None:
    """Status, type and shape of each answer; that no schema describes an image is left out."""
    program = shutil.which("schemathesis")
    assert program
    before = server.memory()
    done = subprocess.run(
        [program, "run", f"http://{server.url}/openapi.json", "--max-examples", str(EXAMPLES),
         "--exclude-checks", "positive_data_acceptance", "--seed", "1", "--no-color"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    assert "Tested: 12" in done.stdout
    assert server.memory() - before < 30e6
    assert server.ask("/v2/health/ready").status == 200
