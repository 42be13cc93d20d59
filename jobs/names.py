"""Which names there may be: of owners, job types, queues and services that subscribe."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NameRule:
    """How names of one kind are written."""

    regex: str
    """Of the whole name, without anchors."""
    words: str
    """The same for a person; what a name is."""

    def allows(self, name: object) -> bool:
        return isinstance(name, str) and re.fullmatch(self.regex, name) is not None


OWNER = NameRule(r"[A-Za-z0-9_-]{1,64}", "1 to 64 of A-Z a-z 0-9 _ -")
JOB_TYPE = NameRule(r"[A-Za-z0-9_.-]{1,100}", "1 to 100 of A-Z a-z 0-9 _ . -")
SERVICE = JOB_TYPE
QUEUE = NameRule(
    r"(?!unacked|amq\.)[A-Za-z0-9][A-Za-z0-9_.-]{0,99}",
    "1 to 100 of A-Z a-z 0-9 _ . -, a letter or digit first, and neither unacked nor amq. to begin with",
)
"""The name is a Redis key: none of ours (all have a colon), of kombu's, or of what RabbitMQ keeps for itself."""
