"""The web half of FastAPI + arq: enqueue the job, poll its result if asked to, answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from arq import create_pool
from fastapi import FastAPI, Response
from pydantic import BaseModel

from benchmarks.peers.arq_jobs import REDIS


class Submission(BaseModel):
    type: str
    wait: float = 0


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.arq = await create_pool(REDIS)
    yield
    await app.state.arq.aclose()


app = FastAPI(lifespan=lifespan)


@app.post("/jobs")
async def submit(submission: Submission, response: Response) -> dict[str, Any]:
    job = await app.state.arq.enqueue_job("noop")
    if submission.wait:
        try:
            value = await job.result(timeout=submission.wait, poll_delay=0.002)
        except TimeoutError:
            pass
        else:
            return {"id": job.job_id, "status": "Completed", "result": value}
    response.status_code = 202
    return {"id": job.job_id, "status": "InProgress"}
