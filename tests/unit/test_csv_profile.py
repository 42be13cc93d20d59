"""``csv.profile`` against the standard library's csv and statistics, and against texts that are hardly CSV."""

import csv
import io
import json
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from jobs.errors import JobCancelled, JobError
from workers.csv_profile import profile

DATA = Path(__file__).parents[1] / "data"
MOST_REPORTS = 50


class RecordingJob:
    """A job that remembers what it was told."""

    id, owner, attempt = "a-job", "somebody", 1

    def __init__(self) -> None:
        self.reports: list[tuple[float, float | None]] = []

    def progress(self, current: float, total: float | None = None, message: str | None = None) -> None:
        self.reports.append((current, total))

    def raise_if_cancelled(self) -> None:
        pass


def profiled(text: str, **parameters: str):
    return profile(RecordingJob(), csv=text, **parameters)


def column(*values: str):
    """The profile of one column named x; the other is there so that no line is blank."""
    text = io.StringIO()
    csv.writer(text).writerows([["x", "n"], *([value, i] for i, value in enumerate(values))])
    return profiled(text.getvalue())["columns"][0]


def refusal(text: str, **parameters: str) -> str:
    with pytest.raises(JobError) as failure:
        profiled(text, **parameters)
    assert (failure.value.error_type, failure.value.retryable) == ("invalid-csv", False)
    return failure.value.message


# Real tables, by another way

NUMBERS = {"integer": int, "number": float}


def expected(name: str, kind: str, texts: list[str]):
    present = [text for text in texts if text != ""]
    values = [NUMBERS.get(kind, str)(text) for text in present]
    if kind == "date":
        values = [value.replace("/", "-") for value in values]
    quantiles = None
    if kind in NUMBERS:
        cuts = statistics.quantiles(values, n=4, method="inclusive")
        quantiles = {q: pytest.approx(cut) for q, cut in zip(("0.25", "0.5", "0.75"), cuts, strict=True)}
    return {
        "name": name,
        "type": kind,
        "count": len(present),
        "missing": len(texts) - len(present),
        "distinct": len(set(values)),
        "min": min(values),
        "max": max(values),
        "mean": pytest.approx(statistics.fmean(values)) if kind in NUMBERS else None,
        "quantiles": quantiles,
    }


@pytest.mark.parametrize(
    ("file", "kinds"),
    [
        ("airports.csv", ["string", "string", "string", "string", "string", "number", "number"]),
        ("seattle-weather.csv", ["date", "number", "number", "number", "number", "string"]),
    ],
)
def test_a_real_table_is_profiled_as_the_standard_library_does_it(file, kinds):
    text = (DATA / file).read_text(encoding="utf-8")
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    columns = [list(values) for values in zip(*rows, strict=True)]
    assert profiled(text) == {
        "rows": len(rows),
        "columns": [expected(*of) for of in zip(header, kinds, columns, strict=True)],
    }


def test_the_state_na_is_a_text_and_not_a_missing_value():
    text = (DATA / "airports.csv").read_text(encoding="utf-8")
    state = next(c for c in profiled(text)["columns"] if c["name"] == "state")
    assert state["missing"] == 0


# Types


@pytest.mark.parametrize(
    ("values", "kind", "least", "greatest"),
    [
        (["2", "-10", "+3"], "integer", -10, 3),
        ([" 1", "2 "], "integer", 1, 2),
        (["9223372036854775807", "-9223372036854775808"], "integer", -(2**63), 2**63 - 1),
        (["1", "2.5", ".5", "5.", "1e3"], "number", 0.5, 1000.0),
        (["true", "FALSE"], "boolean", False, True),
        (["2012-01-02", "2012-01-01"], "date", "2012-01-01", "2012-01-02"),
        (["2012/01/02", "2012/01/01"], "date", "2012-01-01", "2012-01-02"),
        (["b", "a"], "string", "a", "b"),
        (["NA", "1"], "string", "1", "NA"),
        (["01234", "1"], "string", "01234", "1"),
        (["9223372036854775808", "1"], "string", "1", "9223372036854775808"),
        (["9223372036854775808", "1.5"], "string", "1.5", "9223372036854775808"),
        (["nan", "1.5"], "string", "1.5", "nan"),
        (["inf", "1.5"], "string", "1.5", "inf"),
        (["1e400", "1"], "string", "1", "1e400"),
        (["2012-02-30"], "string", "2012-02-30", "2012-02-30"),
        (["0000-01-01"], "string", "0000-01-01", "0000-01-01"),
        (["2012-01-01", "soon"], "string", "2012-01-01", "soon"),
    ],
    ids=lambda value: "|".join(value)[:40] if isinstance(value, list) else None,
)
def test_a_column_has_the_type_that_all_its_values_have(values, kind, least, greatest):
    described = column(*values)
    assert (described["type"], described["min"], described["max"]) == (kind, least, greatest)


def test_times_are_told_in_iso_text():
    described = column("2012-01-02 10:00", "2012-01-01T09:30:00")
    assert described["type"] == "datetime"
    assert described["min"].startswith("2012-01-01T09:30:00")


def test_only_an_empty_field_is_missing():
    described = column("1", "", "3", "")
    assert (described["type"], described["count"], described["missing"], described["distinct"]) == ("integer", 2, 2, 2)


@pytest.mark.parametrize(
    ("values", "mean", "quartiles"),
    [
        (["1e308", "1e308"], 1e308, [1e308, 1e308, 1e308]),
        (["-1e308", "1e308"], 0, [-5e307, 0, 5e307]),
    ],
)
def test_a_mean_or_quantile_is_told_though_the_sums_on_the_way_leave_the_doubles(values, mean, quartiles):
    described = column(*values)
    assert described["mean"] == pytest.approx(mean)
    assert list(described["quantiles"].values()) == pytest.approx(quartiles)


# Shapes of text


def names_and_rows(text: str, **parameters: str):
    answer = profiled(text, **parameters)
    return [c["name"] for c in answer["columns"]], answer["rows"]


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ("a,b\n", ["a", "b"], 0),
        ("a,b", ["a", "b"], 0),
        ("a,a\n1,2\n", ["a", "a"], 1),
        (",b,\n1,2,3\n", ["column_1", "b", "column_3"], 1),
        ("\ufeffa,b\n1,2\n", ["a", "b"], 1),
        ('\ufeff"a",b\n1,2\n', ["a", "b"], 1),
        ("a,b\r\n1,2\r\n", ["a", "b"], 1),
        ("a,b\r1,2\r3,4", ["a", "b"], 2),
        ('a,"b\nc"\r\n1,"x,\r\ny"\r\n', ["a", "b\nc"], 1),
        ('"a ""quoted"" name",b\n1,2\n', ['a "quoted" name', "b"], 1),
        ("a\n1\n\n2\n", ["a"], 2),
    ],
)
def test_an_odd_but_sound_text_is_profiled(text, names, rows):
    assert names_and_rows(text) == (names, rows)


def test_a_thousand_columns_are_profiled():
    names = [f"c{i}" for i in range(1000)]
    text = "\n".join([",".join(names), *([",".join(["1"] * 1000)] * 3)])
    assert names_and_rows(text) == (names, 3)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter):
    text = "\n".join(delimiter.join(row) for row in (["a", "b", "c"], ["1", "x", "2"], ["3", "y", "4"]))
    assert names_and_rows(text) == (["a", "b", "c"], 2)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("price;name\n1,5;x\n2,5;y\n", ["price", "name"]),
        ("City, State, Zip;n\nBay Springs;1\n", ["City, State, Zip", "n"]),
        ('"a;b;c;d",e\n1,2\n', ["a;b;c;d", "e"]),
        ("word\na;b\nc\n", ["word"]),
    ],
)
def test_a_character_that_does_not_cut_all_rows_alike_is_not_taken_for_the_delimiter(text, names):
    assert names_and_rows(text)[0] == names


def test_a_given_delimiter_is_used():
    assert names_and_rows("a,b:c\n1,2:3\n", delimiter=":") == (["a,b", "c"], 1)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a,b\n1,2\n3\n", "row 2"),
        ("a,b\n1,2\n3,4,5\n", "row 2"),
        ('a,b\n1,2\n3,"x\ny\nz,4\n', "row 2"),
        ('a,b\n1,2\n3,"x"y\n', "row 2"),
        ('a,"b\n1,2\n', "header"),
        ("\n\r\n", "header"),
        ("\ufeff", "header"),
        ("a,b\n1,2\n3,\ud800\n", "line 3"),
    ],
)
def test_a_broken_text_fails_with_the_place_where_it_breaks(text, where):
    message = refusal(text)
    assert where in message
    message.encode()


# Parameters


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", "\r", ",\n", "a", "Z", "7", None, 1])
def test_what_cannot_stand_between_fields_is_refused_as_delimiter(delimiter):
    with pytest.raises(ValidationError, match="delimiter"):
        profile.load({"csv": "a", "delimiter": delimiter})


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", ":", "~", "§", "é", "\N{GRINNING FACE}"])
def test_a_delimiter_may_be_any_other_character(delimiter):
    loaded = profile.load({"csv": f"a{delimiter}b\n1{delimiter}2\n", "delimiter": delimiter})
    assert profile(RecordingJob(), **loaded)["rows"] == 1


@pytest.mark.parametrize("parameters", [{}, {"csv": ""}, {"csv": 1}, {"csv": None}, {"csv": "a", "rows": 3}])
def test_a_csv_that_is_no_text_is_refused(parameters):
    with pytest.raises(ValidationError):
        profile.load(parameters)


# Progress


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("rows", [0, 1, 49, 1000])
def test_progress_grows_by_rows_to_all_of_them_in_few_reports(rows, line_end):
    job = RecordingJob()
    profile(job, csv=line_end.join(["a", *map(str, range(rows))]))
    done = [current for current, _ in job.reports]
    assert {total for _, total in job.reports} == {max(rows, 1)}
    assert done == sorted(set(done))
    assert done[-1] == max(rows, 1)
    assert len(done) <= MOST_REPORTS


def test_a_job_cancelled_while_many_columns_are_described_stops():
    class CancelledJob(RecordingJob):
        def raise_if_cancelled(self) -> None:
            raise JobCancelled(self.id)

    job = CancelledJob()
    with pytest.raises(JobCancelled):
        profile(job, csv=",".join(["a"] * 1000))
    assert job.reports == []


# Anything at all


def is_json(value) -> bool:
    return json.loads(json.dumps(value, allow_nan=False)) == value


def profiled_or_refused(text: str):
    """The profile, of nothing if the text was refused as it should be."""
    try:
        return profiled(text)
    except JobError as error:
        if error.error_type != "invalid-csv":
            raise
        return {"rows": 0, "columns": []}


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=())) | st.text(alphabet='ab,;\t|"\r\n 01.-/:eT+\ufeff\0'))
@example("a\n\ud800")
def test_any_text_is_profiled_or_fails_as_invalid_csv(text):
    answer = profiled_or_refused(text)
    assert is_json(answer)
    assert all(c["count"] + c["missing"] == answer["rows"] for c in answer["columns"])


values = st.one_of(
    st.text(),
    st.integers().map(str),
    st.floats().map(str),
    st.dates().map(str),
    st.datetimes().map(str),
    st.sampled_from(["", "NA", "true", "-0", "1e400", "9999-12-31", " 1 "]),
)


@settings(deadline=None)
@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(values, min_size=width, max_size=width), min_size=1)))
def test_any_table_that_the_standard_library_writes_is_profiled_with_all_its_rows(table):
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(table)
    answer = profiled(text.getvalue(), delimiter=",")
    assert is_json(answer)
    assert answer["rows"] == len(table) - 1
    for described, (_, *texts) in zip(answer["columns"], zip(*table, strict=True), strict=True):
        assert described["missing"] == texts.count("")
        assert described["count"] == len(texts) - texts.count("")


# Processes

FORKED = """
import multiprocessing, sys
from workers.csv_profile import profile
class Job:
    def progress(self, *_): pass
    def raise_if_cancelled(self): pass
def run(_): return profile(Job(), csv="a,b\\n1,x\\n3,y\\n")["columns"][0]["mean"]
assert "polars" not in sys.modules, "whoever imports the job type pays for polars"
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map_async(run, range(4)).get(60))
assert "polars" not in sys.modules
"""


def test_importing_the_job_type_leaves_polars_to_the_forked_children():
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=90, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[2.0, 2.0, 2.0, 2.0]", "")
