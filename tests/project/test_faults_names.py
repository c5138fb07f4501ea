"""Names that mean something in another language: each is shown as it stands."""

import html
import re
from functools import partial

import pytest
import yaml
from conftest import Project
from faults import assert_nothing_lost
from test_page import Shown

fault = partial(pytest.mark.fault, heading="Names")

FORMULA, SCRIPT, NO_FONT = "$a_2^$ | `# *b*", "</script><!--", "[red] \U000f0000 {refresh_tag}"


def name_classes(project: Project, *names: str, title: str = "Tiny bars") -> None:
    dataset = yaml.safe_load(project.read("data/tiny/dataset.yaml"))
    project.write_dataset("tiny", dataset | {"classes": list(names), "title": title})
    corrections = project.folder / "data/tiny/corrections.csv"
    corrections.write_text("image,old,new,reason\n", encoding="utf-8")  # it named the old classes


@pytest.fixture(scope="module")
def named(
    finished_project: Project, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Project, str]:
    """A project whose classes have such names, and what its run printed; do not change it."""
    project = finished_project.copy(tmp_path_factory.mktemp("named") / "a clone")
    name_classes(project, FORMULA, SCRIPT, NO_FONT, title="1. <b>Bars</b> & $5")
    output = project.dvc("repro")
    project.run("python", "-m", "tools.plots_bundle")
    return project, output


@fault(
    done="A class named `$a_2^$`, which is no formula",
    seen="drew reports/figures/wrong_predictions.png",
)
def test_a_formula_in_a_figure(named: tuple[Project, str], seen: str) -> None:
    _project, output = named
    assert seen in output
    assert "Traceback" not in output
    assert "Warning" not in output


@fault(
    done="A class name with a character that no font has",
    seen="no installed font has unnamed (U+F0000)",
)
def test_a_character_without_a_font(named: tuple[Project, str], seen: str) -> None:
    _project, output = named
    assert output.count(seen) == 1
    assert output.count("no installed font") == 1


@fault(done="A class named `</script><!--`, in the plots page", seen=SCRIPT)
def test_a_tag_in_the_page(named: tuple[Project, str], seen: str) -> None:
    project, _output = named
    for command in (["show"], ["diff", "HEAD"]):
        project.dvc("plots", *command, "--out", command[0])
        shown = Shown(project.folder / command[0] / "index.html")
        assert shown.console == []
        drawn, count = shown.data("drawn").split("/")
        assert drawn == count
        texts = [html.unescape(text) for text in shown.texts]
        for name in (FORMULA, seen, NO_FONT):
            assert texts.count(name) >= 3  # two axes of the confusion, one of the recall


def test_names_in_the_card_and_the_review(named: tuple[Project, str]) -> None:
    project, _output = named
    project.call("tools.report", "--card", "--folder", "card")
    card = project.read("card/model_card.md")
    assert card.startswith("# Model card: mlp for 1\\. &lt;b&gt;Bars&lt;/b&gt; &amp; \\$5\n")
    assert r"(\$a_2^\$ \| \`\# \*b\*, &lt;/script&gt;&lt;!--, \[red]" in card
    project.call("tools.report", "--folder", "review")
    review = project.read("review/report.md")
    (row,) = re.findall(r"^\| data/tiny/dataset.yaml \| classes \|.*$", review, re.MULTILINE)
    assert len(re.split(r"(?<!\\)\|", row)) == len(["", "file", "key", "old", "new", ""])
    assert "</script>" not in card + review


@fault(
    done="A class name with a line break",
    seen="classes.1: expected one line without control characters, found U+000A",
)
def test_a_name_that_is_refused(project: Project, finished_project: Project, seen: str) -> None:
    name_classes(project, "left", "two\nlines", "right")
    output = project.dvc("repro", code=255)
    assert seen in output
    assert "Traceback" not in output
    assert_nothing_lost(project, finished_project)


@fault(
    done="A data set named `my.data`",
    seen="expected a folder of data/ whose name has A-Z, a-z, 0-9, _ and - only",
)
def test_a_data_set_that_dvc_could_not_name(
    project: Project, finished_project: Project, seen: str
) -> None:
    (project.folder / "data/tiny").rename(project.folder / "data/my.data")
    project.edit({"dataset": "my.data"})
    assert seen in project.call("tools.check", code=1)
    (project.folder / "data/my.data").rename(project.folder / "data/tiny")
    assert_nothing_lost(project, finished_project)
