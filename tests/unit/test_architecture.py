"""The map in docs/architecture.md, beside what is there."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "jobs", "launch", "subscribers", "workers")


def rows() -> Iterator[str]:
    """The modules that have a row, as ``package/module``: a heading says of which package."""
    package = ""
    for line in (ROOT / "docs" / "architecture.md").read_text("utf-8").splitlines():
        if heading := re.fullmatch(r"(#{2,4}) (?:`([\w/]+)/`)?.*", line):
            package = heading[2] or (package if heading[1] == "####" else "")
        elif package and (row := re.fullmatch(r"\| `(\w+)` \| \S.* \|", line)):
            yield f"{package}/{row[1]}"


def modules() -> set[str]:
    return {
        file.relative_to(ROOT).with_suffix("").as_posix()
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        if file.name != "__init__.py"
    }


def test_every_module_has_its_row_in_the_map() -> None:
    assert modules() - set(rows()) == set()


def test_no_row_of_the_map_names_a_module_that_is_gone() -> None:
    assert set(rows()) - modules() == set()


def test_no_module_has_two_rows() -> None:
    assert [module for module, times in Counter(rows()).items() if times > 1] == []
