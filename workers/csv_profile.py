"""``csv.profile``: what is in a CSV text, column by column."""

import csv as csv_format
import io
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from marshmallow import Schema, fields, validate

from jobs.errors import JobError
from workers.job import Job
from workers.job_type import job

DELIMITERS = ",;\t|"
MOST_REPORTS = 20
MOST_COLUMNS = 5_000
"""A column takes about half a millisecond, however short it is."""
COLUMNS_BETWEEN_LOOKS = 250
"""Columns described between two looks whether the job is cancelled."""
SNIFFED_ROWS = 50
LONGEST_FIELD = 2**31 - 1
"""The csv module's limit is one for the whole process: always the same, for other threads read too."""

_NOT_A_DELIMITER = "Must be one character that can stand between fields."


class CsvProfileParameters(Schema):
    csv = fields.String(required=True, validate=validate.Length(min=1), metadata={"description": "The text itself."})
    delimiter = fields.String(
        validate=validate.Regexp(r"^[^\"\r\n A-Za-z0-9]$(?!\n)", error=_NOT_A_DELIMITER),
        metadata={"description": "Found by looking at the first rows where it is not given."},
    )


@job("csv.profile", schema=CsvProfileParameters, time_limit=300)
def profile(job: Job, csv: str, delimiter: str | None = None) -> dict[str, Any]:
    """For each column of a CSV text: its type, count, missing, distinct, min, max, mean and quantiles.

    The first row names the columns. Only an empty field is missing; "NA" is text. A column is integer, number,
    boolean, date or datetime if all its values are, else string; blanks around numbers do not count, numbers with
    leading zeros are text, for they are codes, and so are integers beyond 64 bits, for they would lose digits.
    """
    from workers.csv_column import describe  # polars takes 0.4 s to import: only whoever profiles pays

    text = _sound(csv.removeprefix("\ufeff"))
    delimiter = delimiter or _delimiter_of(text)
    total = sum(1 for _ in _rows(text, delimiter)) - 1
    rows = _rows(text, delimiter)
    header = next(rows, None)
    if header is None:
        raise _invalid("there is no header row")
    if len(header) > MOST_COLUMNS:
        raise _invalid(f"the header has {len(header)} fields, at most {MOST_COLUMNS} are profiled")
    columns: list[list[str]] = [[] for _ in header]
    every = max(1, total // MOST_REPORTS)
    for count, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise _invalid(f"row {count} has {len(row)} fields, the header has {len(header)}")
        for values, value in zip(columns, row, strict=True):
            values.append(value)
        if count % every == 0 and count < total:
            job.progress(count, total, "reading rows")
    described = []
    for i, name in enumerate(header, start=1):
        if i % COLUMNS_BETWEEN_LOOKS == 0:
            job.raise_if_cancelled()
        described.append(describe(name or f"column_{i}", columns[i - 1]))
    job.progress(total or 1, total or 1, "done")
    return {"rows": total, "columns": described}


def _sound(text: str) -> str:
    """``text``, unless it holds half a character, which JSON can escape but no result can hold."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise _invalid(f"line {line} holds a lone surrogate, half a character") from error
    return text


def _delimiter_of(text: str) -> str:
    """The one that cuts the first rows into the most fields, as many in each; failing that, the header's commonest."""
    header = re.sub(r'"[^"]*"', "", text.lstrip("\r\n")).split("\n", 1)[0]
    return max(DELIMITERS, key=lambda delimiter: (_width(text, delimiter), header.count(delimiter)))


def _width(text: str, delimiter: str) -> int:
    """The number of fields in each of the first rows, 0 if they differ or are not cut at all."""
    try:
        widths = {len(row) for row in islice(_rows(text, delimiter), SNIFFED_ROWS)}
    except JobError:
        return 0
    return max(widths) if len(widths) == 1 and widths != {1} else 0


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    """The rows that are not blank; a quoted field may hold delimiters and line breaks."""
    csv_format.field_size_limit(LONGEST_FIELD)
    reader = csv_format.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 0
    try:
        for row in reader:
            if row:
                yield row
                number += 1
    except csv_format.Error as error:
        where = f"row {number}" if number else "the header"
        raise _invalid(f"{where}, up to line {reader.line_num}: {error}") from error


def _invalid(what: str) -> JobError:
    return JobError(f"This is no CSV that can be profiled: {what}.", error_type="invalid-csv")
