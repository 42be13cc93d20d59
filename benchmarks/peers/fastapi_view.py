"""A view as those in benchmarks.bare, in FastAPI."""

from fastapi import FastAPI, Response
from pydantic import BaseModel


class Submission(BaseModel):
    type: str
    wait: float = 0


app = FastAPI()


@app.post("/jobs")
async def submit(submission: Submission, response: Response) -> dict[str, str]:
    response.status_code = 200 if submission.wait else 202
    return {"id": submission.type, "status": "New"}
