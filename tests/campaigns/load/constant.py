"""A FastAPI application with one route that answers a constant, on uvicorn as the server has it: `constant.py PORT`."""

import sys

import uvicorn
from fastapi import FastAPI

app = FastAPI()


@app.get("/constant")
async def constant() -> dict[str, str]:
    return {"id": "f" * 32, "name": "1.0.0", "description": ""}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), http="httptools")
