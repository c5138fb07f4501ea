"""The plots page as a browser without a network shows it."""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
import vl_convert
import yaml
from browser_page import find_browser
from conftest import CLASSES, ROOT, Project

from stages.evaluate.class_scores import confusion_rows
from stages.plots.class_choice import most_confused
from tools import plots_bundle

FLAGS = [
    "--headless", "--disable-gpu", "--no-first-run", "--disable-sync", "--disable-quic",
    "--disable-background-networking", "--disable-component-update",
    "--no-sandbox",  # root has none, and CI's containers are root's; the page is our own
    "--host-resolver-rules=MAP * ~NOTFOUND",  # no name and no address leads anywhere
    "--virtual-time-budget=15000",  # milliseconds that the page's scripts may take, not ours
    "--hide-scrollbars", "--enable-logging=stderr", "--v=0", "--dump-dom",
]  # fmt: skip

# Notes how wide the page has become, once it has drawn.
PROBE = """<script>
  new MutationObserver(() => {
    document.documentElement.dataset.width = document.documentElement.scrollWidth;
  }).observe(document.documentElement, { attributeFilter: ["data-state"] });
</script>"""

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values()
TITLES = [
    entry["title"]
    for stage in STAGES
    for plot in stage.get("plots", [])
    if isinstance(plot, dict)
    for entry in plot.values()
]
ALL = f"{len(TITLES)}/{len(TITLES)}"


class Shown:
    """What the browser made of a page."""

    def __init__(self, page: Path, width: int = 1600) -> None:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            done = subprocess.run(
                [find_browser(), *FLAGS, f"--window-size={width},1200",
                 f"--user-data-dir={profile}", page.as_uri()],
                capture_output=True, text=True, timeout=120, check=True,
            )  # fmt: skip
        self.html = done.stdout
        self.console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
        self.texts: list[str] = re.findall(r"<text [^>]*>([^<]*)</text>", self.html)
        self.images: list[str] = re.findall(r'<img src="([^"]*)"', self.html)

    def data(self, name: str) -> str | None:
        found = re.search(rf'<html [^>]*data-{name}="([^"]*)"', self.html)
        return found and found[1]


@pytest.fixture(scope="module")
def compared(finished_edit: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that has changed since its last commit, and its pages; do not change it."""
    project = finished_edit.copy(tmp_path_factory.mktemp("compared") / "a clone")
    project.run("python", "-m", "tools.plots_bundle")
    project.dvc("plots", "show")
    project.dvc("plots", "diff", "HEAD", "--out", "pages/of/changes")
    return project


@pytest.fixture
def page(compared: Project, tmp_path: Path) -> Path:
    """The comparison's page alone, in a folder without a bundle."""
    shutil.copytree(compared.folder / "pages/of/changes", tmp_path / "dvc_plots")
    return tmp_path / "dvc_plots/index.html"


@pytest.fixture(scope="module")
def bundle(compared: Project) -> bytes:
    return (compared.folder / plots_bundle.BUNDLE).read_bytes()


def put_bundle(project: Path, content: bytes) -> None:
    (project / plots_bundle.BUNDLE).parent.mkdir(parents=True)
    (project / plots_bundle.BUNDLE).write_bytes(content)


@pytest.mark.parametrize(
    ("path", "revisions"),
    [
        ("dvc_plots/index.html", ["workspace"]),
        ("pages/of/changes/index.html", ["workspace", "HEAD"]),
    ],
)
def test_every_plot_is_drawn_once_and_without_a_network(
    compared: Project, path: str, revisions: list[str]
) -> None:
    page = compared.folder / path
    shown = Shown(page)
    assert shown.console == []
    assert (shown.data("state"), shown.data("source")) == ("done", "bundle")
    assert shown.data("drawn") == ALL
    assert shown.html.count('class="marks"') == len(TITLES)
    assert [shown.texts.count(title) for title in TITLES] == [1] * len(TITLES)
    assert {*CLASSES, *revisions, "Accuracy", "Loss", "training", "validation"} <= {*shown.texts}
    assert "rev" not in shown.texts  # DVC's name of the column, no title for a legend
    assert f"<h1>{' · '.join(['Plots', *revisions])}</h1>" in shown.html
    figures = [figure.name for figure in (compared.folder / "reports/figures").iterdir()]
    assert sorted(shown.images) == sorted(
        f"static/{revision}_reports_figures_{name}" for revision in revisions for name in figures
    )
    assert all((page.parent / image).exists() for image in shown.images)


def test_no_text_is_of_a_colour_that_one_of_light_and_dark_swallows(compared: Project) -> None:
    html = Shown(compared.folder / "pages/of/changes/index.html").html
    fills = set(re.findall(r'<text [^>]*fill="([^"]*)"', html))
    assert fills <= {"currentColor", "white"}  # white stands on blue and red alone


@pytest.mark.parametrize("width", [480, 1600])
def test_charts_fit_into_the_window_and_keep_their_size(
    page: Path, bundle: bytes, width: int
) -> None:
    put_bundle(page.parent.parent, bundle)
    page.write_text(page.read_text(encoding="utf-8") + PROBE, encoding="utf-8")
    shown = Shown(page, width)
    assert shown.data("drawn") == ALL
    assert shown.data("width") == str(width)
    drawn_widths = [float(size) for size in re.findall(r'viewBox="0 0 (\S+) ', shown.html)]
    assert len(drawn_widths) >= len(TITLES)
    assert max(drawn_widths) <= 1.1 * width  # else text would shrink by more than a tenth


def test_a_page_of_two_revisions_is_small(compared: Project) -> None:
    assert (compared.folder / "pages/of/changes/index.html").stat().st_size < 200_000


@pytest.mark.parametrize("share", [0, 0.5], ids=["missing", "truncated"])
def test_without_a_whole_bundle_the_page_says_what_to_do(
    page: Path, bundle: bytes, share: float
) -> None:
    if share:
        put_bundle(page.parent.parent, bundle[: int(share * len(bundle))])
    shown = Shown(page)
    assert (shown.data("state"), shown.data("source")) == ("done", "none")
    assert shown.data("drawn") == f"0/{len(TITLES)}"
    assert '<div id="note">' in shown.html
    assert "run `make` in the project's folder" in shown.html
    assert shown.html.count("is not drawn: no Vega") == len(TITLES)
    assert shown.images


def test_without_a_bundle_the_network_is_asked(page: Path, bundle: bytes) -> None:
    html = page.read_text(encoding="utf-8")
    html, count = re.subn(r'src="https://[^"]*"', 'src="network.js"', html)  # stands in for it
    assert count == 3  # Vega, Vega-Lite and vega-embed, as DVC names them
    page.write_text(html, encoding="utf-8")
    (page.parent / "network.js").write_bytes(bundle)
    shown = Shown(page)
    assert (shown.data("source"), shown.data("drawn")) == ("network", ALL)
    assert '<div id="note" hidden' in shown.html


def test_a_plot_without_data_is_named_and_the_others_are_drawn(page: Path, bundle: bytes) -> None:
    put_bundle(page.parent.parent, bundle)
    html = page.read_text(encoding="utf-8")
    page.write_text(re.sub("var spec = .*;", "var spec = {};", html, count=1), encoding="utf-8")
    shown = Shown(page)
    assert shown.data("drawn") == f"{len(TITLES) - 1}/{len(TITLES)}"
    assert "reports_history_csv is not drawn: no data; try `dvc pull`" in shown.html


def test_curves_are_drawn_from_a_history_without_validation(
    compared: Project, tmp_path: Path
) -> None:
    project = compared.copy(tmp_path / "clone")
    history = project.folder / "reports/history.csv"
    rows = [line.split(",")[:3] for line in history.read_text(encoding="utf-8").splitlines()]
    assert rows[0] == ["epoch", "accuracy", "loss"]
    history.write_text("".join(f"{','.join(row)}\n" for row in rows), encoding="utf-8")
    project.dvc("plots", "show", "reports/history.csv")
    shown = Shown(project.folder / "dvc_plots/index.html")
    assert (shown.console, shown.data("drawn")) == ([], "1/1")
    assert "training" in shown.texts
    assert "validation" not in shown.texts
    whole_numbers = [text for text in shown.texts if text.isdigit()]
    assert whole_numbers == ["1", "2", "3", "4"] * 2  # the epochs below each of the two panels


def test_the_bundle_is_written_once_and_again_when_damaged_or_of_another_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[str] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda code: made.append(code) or code)
    plots_bundle.main()
    plots_bundle.main()
    assert len(made) == 1
    whole = plots_bundle.BUNDLE.read_bytes()
    for damaged in (whole[:-1], whole.replace(b"vl-convert-python ", b"vl-convert-python 0.")):
        plots_bundle.BUNDLE.write_bytes(damaged)
        plots_bundle.main()
        assert plots_bundle.BUNDLE.read_bytes() == whole
    assert [path.name for path in plots_bundle.BUNDLE.parent.iterdir()] == ["vega-bundle.js"]


@pytest.mark.parametrize("revisions", [["workspace"], ["HEAD", "workspace"]])
def test_the_chart_of_many_classes_has_those_of_the_pairs_confused_most(
    revisions: list[str],
) -> None:
    counts = np.diag(np.random.default_rng(0).integers(1, 9, 60))
    for number in range(28):  # more pairs than there is room for, many of them equally frequent
        counts[number, 59 - number] = 3 + number % 2
    names = [f"class {number}" for number in range(60)]
    rows = [row | {"rev": rev} for rev in revisions for row in confusion_rows(counts, names)]
    template = (ROOT / ".dvc/plots/confusion_counts.json").read_text(encoding="utf-8")
    filled = template.replace('"<DVC_METRIC_DATA>"', json.dumps(rows))
    for anchor, value in [("X", "predicted"), ("Y", "actual"), ("X_LABEL", "P"), ("Y_LABEL", "T")]:
        filled = filled.replace(f"<DVC_METRIC_{anchor}>", value)
    picture = vl_convert.vegalite_to_svg(filled, "5.20")
    shown = {int(number) for number in re.findall(r">class (\d+)<", picture)}
    assert shown == set(most_confused(counts, 30).tolist())
