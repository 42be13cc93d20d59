"""Figures are written between the markers of their section of a page, and nowhere else."""

from pathlib import Path

import pytest

from benchmarks.systems import BenchmarkError
from benchmarks.table import check_markers, write

PAGE = "a\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nb\n<!-- growth:begin -->\n<!-- growth:end -->\nc\n"


def test_a_section_is_written_and_the_others_stay(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    write(page, "new", "growth")
    assert page.read_text() == PAGE.replace("growth:begin -->\n", "growth:begin -->\nnew\n")
    write(page, "newer", "growth")
    assert page.read_text() == PAGE.replace("growth:begin -->\n", "growth:begin -->\nnewer\n")


@pytest.mark.parametrize("text", ["", "<!-- pools:begin -->", "<!-- pools:end -->\n<!-- pools:begin -->"])
def test_a_page_without_the_section_is_refused_before_anything_is_measured(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE + text)
    with pytest.raises(BenchmarkError, match="pools:begin"):
        check_markers(page, "pools")
    check_markers(page, "growth")


def test_a_page_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="No such file"):
        check_markers(tmp_path / "none.md")
