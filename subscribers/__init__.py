"""The subscriber library and the services we ship. ``from subscribers import Subscriber`` is where yours begins."""

from jobs.events.gap import Gap
from jobs.model.event import Event
from subscribers.repeats import without_repeats
from subscribers.subscriber import Subscriber

__all__ = ["Event", "Gap", "Subscriber", "without_repeats"]
