"""The workers' Celery application: the shared one, with job types as tasks and their announcement."""

import importlib
from collections.abc import Iterable, Iterator
from typing import Any

from celery import signals
from kombu.entity import Queue
from kombu.pools import producers
from kombu.utils.compat import detect_environment

from jobs.celery_app import UNCONFIRMED, JobsCelery, create_celery
from jobs.collecting import collect_rarely
from jobs.connections.line import Line, SharedLine
from jobs.errors import SettingsError
from jobs.settings import Settings
from jobs.store.job_types import JobTypeInfo
from workers.announcer import Announcer
from workers.fetch_ahead import FetchAhead
from workers.heartbeat import Heartbeat
from workers.job_type import JobType
from workers.memory import MemoryLimit
from workers.reconciler import Reconciler
from workers.set_aside import SetAside
from workers.shutdown import Shutdown
from workers.task import JobTask
from workers.task_events import TaskEvents

SHIPPED = ("workers.demo", "workers.csv_profile")


def create_worker_app(settings: Settings) -> JobsCelery:
    """An app that runs the shipped job types and those of ``settings.modules``.

    Raises:
        SettingsError: a module cannot be imported or holds no job type, one cannot be announced, two have one name.
    """
    # greenlets ask together; in a pool of processes a soft time limit may raise anywhere, and threads gain nothing
    app = create_celery(settings, SharedLine if detect_environment() == "gevent" else Line)
    types = list(find_job_types((*SHIPPED, *settings.modules)))
    for job_type, _ in types:
        register(app, job_type)
    infos = [info for _, info in types]
    queues = sorted({"default", *(info.queue for info in infos)})
    app.conf.worker_consumer = "workers.consumer:Consumer"
    app.conf.worker_pool = "workers.prefork:TaskPool"
    arguments = {} if settings.broker_url is None else {"x-queue-type": "quorum"}
    app.conf.task_queues = [Queue(name, routing_key=name, queue_arguments=arguments) for name in queues]
    if settings.broker_url is not None:  # for the answers to remote control, and for a worker's hello to the others
        app.control.mailbox.producer_pool = producers[app.connection_for_write(transport_options=UNCONFIRMED)]
    app.events.dispatcher_cls = "workers.task_events:Dispatcher"
    app.steps["consumer"].update((TaskEvents, FetchAhead, SetAside))
    announcer, reconciler, heartbeat = Announcer(app, infos), Reconciler(app), Heartbeat(app)
    for start in (announcer.start, reconciler.start, heartbeat.start):
        signals.worker_ready.connect(start, weak=False)
    for stop in (announcer.stop, reconciler.stop, Shutdown(app).begin):
        signals.worker_shutting_down.connect(stop, weak=False)
    signals.worker_init.connect(lambda **_: collect_rarely(), weak=False)  # before the pool's processes are forked
    signals.worker_process_init.connect(MemoryLimit(settings.max_memory).apply, weak=False)
    return app


def find_job_types(modules: Iterable[str]) -> Iterator[tuple[JobType, JobTypeInfo]]:
    """The job types in the modules of these names, in order, each with what is announced of it.

    Raises:
        SettingsError: at the end, with all that is wrong.
    """
    problems, names = [], dict[str, str]()
    for module in modules:
        try:
            members = vars(importlib.import_module(module)).values()
        except Exception as error:  # whatever a module of somebody else raises
            problems.append(f"JOBS_MODULES: {module} cannot be imported: {type(error).__name__}: {error}")
            continue
        found = [member for member in members if isinstance(member, JobType)]
        if not found:
            problems.append(f"JOBS_MODULES: {module} holds no function decorated with @job")
        for job_type in found:
            if names.setdefault(job_type.name, module) != module:
                problems.append(f"JOBS_MODULES: {module} and {names[job_type.name]} both define {job_type.name}")
            try:
                info = job_type.info()
                info.to_json()
            except Exception as error:  # whatever a schema of somebody else is
                what = f"{type(error).__name__}: {error}"
                problems.append(f"JOBS_MODULES: {module}: {job_type.name} cannot be announced: {what}")
            else:
                yield job_type, info
    if problems:
        raise SettingsError(problems)


def register(app: JobsCelery, job_type: JobType) -> None:
    """Make ``job_type`` a task of ``app``."""
    members: dict[str, Any] = {
        "name": job_type.name,
        "job_type": job_type,
        "time_limit": job_type.time_limit,
        "soft_time_limit": job_type.soft_time_limit,
        "__doc__": job_type.function.__doc__,
        "__module__": job_type.function.__module__,
    }
    app.register_task(type("JobTask", (JobTask,), members)())
