"""The web application: FastAPI's routes around a Service, its documentation, and the page.

The two endpoints that are asked thousands of times a second, /predict and .../infer, are routes
like the others for /docs, but are answered before FastAPI sees the request: its routing would take
longer than the network does.
"""

from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline

from serving import documentation
from serving.documentation import (
    INFER_ANSWERS,
    INFER_REQUEST,
    PREDICT_ANSWERS,
    PREDICT_REQUEST,
    refusals,
)
from serving.metrics import CONTENT_TYPE
from serving.protocol import MODEL_NAME, VERSION, Json, model_metadata, server_metadata
from serving.replies import json_reply
from serving.requests import Receive, Scope, Send
from serving.service import Endpoint, Service

MODEL_PATH = f"/v2/models/{MODEL_NAME}"
VERSION_PATH = f"{MODEL_PATH}/versions/{VERSION}"
OWN_ERRORS = (401, 404, 405)  # what FastAPI and the page's files refuse
UNKNOWN = "unknown"  # in place of a commit
PAGE_MISSING = "The page is not here: {reason}\nThe API is described at /docs."


class Application:
    """The server's ASGI application."""

    def __init__(self, service: Service, version: Json, page: Path | str) -> None:
        """`page` is the page's folder, or why there is none; `version` is /version's answer."""
        self.service = service
        self.busy: dict[str, tuple[str, Endpoint]] = {
            "/predict": ("predict", service.predict),
            f"{MODEL_PATH}/infer": ("infer", service.infer),
            f"{VERSION_PATH}/infer": ("infer", service.infer),
        }
        self.others = make_routes(service, version, page)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            found = self.busy.get(scope["path"])
            if found:
                await self.service.answer(*found, scope, receive, send)
                return
        await self.others(scope, receive, send)


def make_routes(service: Service, version: Json, page: Path | str) -> FastAPI:
    app = FastAPIOffline(
        title=documentation.TITLE,
        description=documentation.DESCRIPTION,
        version=version["commit"] or UNKNOWN,
        redoc_url=None,
    )
    for status in OWN_ERRORS:
        app.add_exception_handler(status, answer_with_error)
    add_busy_routes(app)
    add_protocol_routes(app, service, version)

    @app.get("/version", response_model=dict[str, str | None])
    async def version_of_model() -> Json:
        """The commit, and the MD5 of each of the model's files."""
        return version

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Requests, errors, latency, confidence and classes since the start, for Prometheus."""
        return Response(service.metrics.exposition(), media_type=CONTENT_TYPE)

    add_page(app, page)
    return app


def add_busy_routes(app: FastAPI) -> None:
    """What Application answers itself, for the documentation and for other methods' 405."""

    @app.post("/predict", responses=PREDICT_ANSWERS, openapi_extra=PREDICT_REQUEST)
    async def predict() -> None:
        """The class of an image file, or of several sent as multipart/form-data."""

    @app.post(f"{VERSION_PATH}/infer", responses=INFER_ANSWERS, openapi_extra=INFER_REQUEST)
    @app.post(f"{MODEL_PATH}/infer", responses=INFER_ANSWERS, openapi_extra=INFER_REQUEST)
    async def infer() -> None:
        """The probabilities of images that are tensors already."""


def add_protocol_routes(app: FastAPI, service: Service, version: Json) -> None:
    """Health and metadata of the Open Inference Protocol."""

    @app.get("/v2/health/live", response_model=dict[str, bool])
    async def live() -> Json:
        return {"live": True}

    @app.get("/v2/health/ready", response_model=dict[str, bool])
    async def ready() -> Json:
        return {"ready": True}

    @app.get("/v2/", include_in_schema=False)
    @app.get("/v2")
    async def describe_server() -> Json:
        return server_metadata(version["commit"] or UNKNOWN)

    @app.get("/v2/models/{name}/ready", responses=refusals(404))
    @app.get("/v2/models/{name}/versions/{number}/ready", responses=refusals(404))
    async def model_ready(name: str, number: str = VERSION) -> Json:
        refuse_unknown(name, number)
        return {"name": name, "ready": True}

    @app.get("/v2/models/{name}", responses=refusals(404))
    @app.get("/v2/models/{name}/versions/{number}", responses=refusals(404))
    async def describe_model(name: str, number: str = VERSION) -> Json:
        refuse_unknown(name, number)
        return model_metadata(service.classifier.shape, len(service.classifier.classes))

    @app.post("/v2/models/{name}/infer", include_in_schema=False)
    @app.post("/v2/models/{name}/versions/{number}/infer", include_in_schema=False)
    async def infer_unknown(name: str, number: str = VERSION) -> None:
        refuse_unknown(name, number)


def refuse_unknown(name: str, number: str) -> None:
    if name != MODEL_NAME:
        raise HTTPException(404, f"expected the model {MODEL_NAME}, found {name[:80]}")
    if number != VERSION:
        raise HTTPException(404, f"expected version {VERSION} of {name}, found {number[:80]}")


def add_page(app: FastAPI, page: Path | str) -> None:
    """The page and its files at /, for whatever no other path takes."""
    if isinstance(page, Path):
        # Not a mount, which would answer 404 where another route has 405 for the method.
        app.router.default = StaticFiles(directory=page, html=True)
    else:
        text = PAGE_MISSING.format(reason=page)

        @app.get("/", include_in_schema=False)
        async def no_page() -> PlainTextResponse:
            return PlainTextResponse(text, 404)


async def answer_with_error(_request: Request, error: Exception) -> Response:
    """FastAPI's own errors in the form of all others here."""
    said: Any = error  # an HTTPException, of Starlette's or FastAPI's
    reply = json_reply({"error": said.detail}, said.status_code)
    return Response(reply.body, reply.status, said.headers, "application/json")
