"""``csv.profile``: what is in a CSV text, column by column."""

import csv as csv_format
import io
import re
from collections.abc import Iterator
from typing import Any

from marshmallow import Schema, fields, validate

from jobs.errors import JobError
from workers.job import Job
from workers.job_type import job

DELIMITERS = ",;\t|"
MOST_REPORTS = 20


class CsvParameters(Schema):
    csv = fields.String(required=True, validate=validate.Length(min=1), metadata={"description": "The text itself."})
    delimiter = fields.String(
        validate=validate.Regexp(
            r"^[^\"\r\n A-Za-z0-9]$", error="Must be one character that can stand between fields."
        ),
        metadata={"description": "Found by looking at the header where it is not given."},
    )


@job("csv.profile", schema=CsvParameters, time_limit=300)
def profile(job: Job, csv: str, delimiter: str | None = None) -> dict[str, Any]:
    """For each column of a CSV text: its type, count, missing, distinct, min, max, mean and quantiles.

    The first row names the columns. Only an empty field is missing; "NA" is text. A column is integer, number,
    boolean, date or datetime if all its values are, else string; blanks around numbers do not count, numbers with
    leading zeros are text, for they are codes, and so are integers beyond 64 bits, for they would lose digits.
    """
    from workers.csv_column import describe  # polars takes 0.4 s to import: only whoever profiles pays

    text = csv.removeprefix("\ufeff")
    rows = _rows(text, delimiter or _delimiter_of(text))
    header = next(rows, None)
    if header is None:
        raise _invalid("there is no header row")
    columns: list[list[str]] = [[] for _ in header]
    lines = text.count("\n") + 1
    every = max(1, lines // MOST_REPORTS)
    count = 0
    for count, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise _invalid(f"row {count} has {len(row)} fields, the header has {len(header)}")
        for values, value in zip(columns, row, strict=True):
            values.append(value)
        if count % every == 0:
            job.progress(count, max(lines, count + 1), "reading rows")
    described = [describe(name or f"column_{i}", columns[i - 1]) for i, name in enumerate(header, start=1)]
    job.progress(count, count or 1, "done")
    return {"rows": count, "columns": described}


def _delimiter_of(text: str) -> str:
    """The one that stands most often in the first line, outside quotes."""
    first = re.sub(r'"[^"]*"', "", text.lstrip("\r\n").split("\n", 1)[0])
    return max(DELIMITERS, key=first.count)


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    """The rows that are not blank; a quoted field may hold delimiters and line breaks."""
    csv_format.field_size_limit(len(text) + 1)
    reader = csv_format.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        yield from (row for row in reader if row)
    except csv_format.Error as error:
        raise _invalid(f"line {reader.line_num}: {error}") from error


def _invalid(what: str) -> JobError:
    return JobError(f"This is no CSV that can be profiled: {what}.", error_type="invalid-csv")
