"""An event as one line that a person can read."""

from jobs.model.event import Event


def line(event: Event) -> str:
    """For instance ``12:00:01.123 demo.random_delay 6f1c0a2b InProgress -> Completed  in 1.20 s  (owner me)``."""
    data = event.data
    change = f"{data['old_status']} -> {data['status']}" if data["old_status"] else str(data["status"])
    said = f"{event.time[11:23]} {event.job_type} {event.job_id} {_progress(event) or change}"
    if data.get("error"):
        said += f"  {data['error']['type']}: {data['error']['message'][:200]}"
    if data.get("duration") is not None:
        said += f"  in {data['duration']:.2f} s"
    return f"{said}  (owner {event.owner})"


def _progress(event: Event) -> str:
    progress = event.data.get("progress")
    if event.name != "progress" or not progress:
        return ""
    percent = progress["percent"]
    shown = f"{percent:g} %" if percent is not None else f"{progress['current']:g}"
    return f"{event.data['status']} {shown} {progress['message'] or ''}".rstrip()
