"""The subscriber library and the services we ship. ``from subscribers import Subscriber`` is where yours begins."""

from jobs.events import Event
from subscribers.subscriber import Subscriber

__all__ = ["Event", "Subscriber"]
