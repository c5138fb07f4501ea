"""python -m tools.why: which stages would `dvc repro` run now, and because of what?

Compares dvc.lock with what lies here, as DVC does, and says of each stage which value, file or
image differs. It changes nothing. Exit code 0 also if stages would run.
"""

from collections.abc import Iterator

from stages.run.failures import failures_in_one_line
from tools.shared.command_line import make_parser
from tools.shared.lists import name_some
from tools.why.causes import NAMED
from tools.why.plan import Step, make_plan

MEANING = {
    "nothing": "up to date",
    "restored": "comes back from DVC's cache, without a run",
    "runs": "would run",
}


def main() -> None:
    make_parser("tools.why", __doc__).parse_args()
    with failures_in_one_line("why"):
        print("\n".join(describe_plan(make_plan())))


def describe_plan(steps: list[Step]) -> Iterator[str]:
    """The lines that the user sees."""
    if all(step.outcome == "nothing" for step in steps):
        yield "Nothing would run: dvc.lock, values, code and data agree."
        return
    for step in steps:
        yield f"{step.name}: {describe_outcome(step)}"
        yield from (f"    {cause.text}" for cause in step.causes)


def describe_outcome(step: Step) -> str:
    if step.name.endswith(".dvc"):
        return "names other files than those that are here"
    if step.outcome != "may run":
        return MEANING[step.outcome]
    waits = [f"{maker} changes {name_some(deps, NAMED)}" for maker, deps in step.waits.items()]
    return f"would run if {' or '.join(waits)}"


if __name__ == "__main__":
    main()
