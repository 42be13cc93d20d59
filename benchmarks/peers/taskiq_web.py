"""The web half of FastAPI + taskiq: send the task, poll its result if asked to, answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Response
from pydantic import BaseModel
from taskiq import TaskiqResultTimeoutError

from benchmarks.peers.taskiq_jobs import broker, noop


class Submission(BaseModel):
    type: str
    wait: float = 0


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    await broker.startup()
    yield
    await broker.shutdown()


app = FastAPI(lifespan=lifespan)


@app.post("/jobs")
async def submit(submission: Submission, response: Response) -> dict[str, Any]:
    task = await noop.kiq()
    if submission.wait:
        try:
            result = await task.wait_result(check_interval=0.002, timeout=submission.wait)
        except TaskiqResultTimeoutError:
            pass
        else:
            return {"id": task.task_id, "status": "Completed", "result": result.return_value}
    response.status_code = 202
    return {"id": task.task_id, "status": "InProgress"}
