"""What /docs and /openapi.json say of the two endpoints that read their bodies themselves."""

from typing import Any

from serving.protocol import INPUT, INPUT_TYPE, LENGTH_HEADER, OUTPUT, OUTPUT_TYPE

TITLE = "Image classifier"
DESCRIPTION = """\
Classifies images with the model that this project trains. `POST /predict` takes image files; the
paths under `/v2` speak the Open Inference Protocol, as clients of KServe and Triton do. The page
to draw on is at [/](/), Prometheus' metrics at [/metrics](/metrics).
"""

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
BYTES: Schema = {"type": "string", "format": "binary"}
ERROR: Schema = {"type": "object", "required": ["error"], "properties": {"error": TEXT}}
ANSWER: Schema = {
    "type": "object",
    "required": ["class", "probability", "runner_up", "runner_up_probability", "unsure"],
    "properties": {
        "class": TEXT,
        "probability": SHARE,
        "runner_up": TEXT,
        "runner_up_probability": SHARE,
        "unsure": {"type": "boolean", "description": "the probability is below the threshold"},
    },
}
FILE: Schema = {"type": "object", "required": ["file"], "properties": {"file": TEXT}}
ANSWERS: Schema = {
    "type": "object",
    "required": ["predictions"],
    "properties": {
        "predictions": {
            "type": "array",
            "items": {"allOf": [FILE, {"anyOf": [ANSWER, ERROR]}]},
        }
    },
}


def json_content(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def refusals(*statuses: int) -> dict[int | str, Schema]:
    """The documented errors of an endpoint, all of one shape."""
    reasons = {
        400: "The request cannot be understood or the image not be read",
        404: "No such model, version or path",
        408: "The request took too long to arrive",
        413: "The request is larger than a limit allows",
        415: "Of a type or an encoding that is not known",
        503: "Too busy: Retry-After says when to try again",
    }
    return {
        status: {"description": reasons[status], "content": json_content(ERROR)}
        for status in statuses
    }


PREDICT_ANSWERS: dict[int | str, Schema] = {
    200: {
        "description": "An answer; for multipart/form-data one for each file",
        "content": json_content({"anyOf": [ANSWER, ANSWERS]}),
    },
    **refusals(400, 408, 413, 415, 503),
}
PREDICT_REQUEST: Schema = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": BYTES},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"image": {"type": "array", "items": BYTES}},
                }
            },
        },
    }
}

PARAMETERS: Schema = {"type": "object"}


def tensor(name: str, datatype: str, values: Schema) -> Schema:
    return {
        "type": "object",
        "required": ["name", "shape", "datatype"],
        "properties": {
            "name": {"const": name},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "datatype": {"const": datatype},
            "parameters": PARAMETERS,
            "data": {"type": "array", "items": values},
        },
    }


INPUT_TENSOR = tensor(INPUT, INPUT_TYPE, {})
OUTPUT_TENSOR = tensor(OUTPUT, OUTPUT_TYPE, {"type": "number"})
INFER_REQUEST: Schema = {
    "parameters": [
        {
            "name": LENGTH_HEADER.decode().title(),
            "in": "header",
            "required": False,
            "description": "bytes of the JSON, if the tensor's bytes follow it",
            "schema": {"type": "integer", "minimum": 0},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            **json_content(
                {
                    "type": "object",
                    "required": ["inputs"],
                    "properties": {
                        "id": TEXT,
                        "parameters": PARAMETERS,
                        "inputs": {"type": "array", "items": INPUT_TENSOR},
                        "outputs": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {"name": {"const": OUTPUT}, "parameters": PARAMETERS},
                            },
                        },
                    },
                }
            ),
            "application/octet-stream": {"schema": BYTES},
        },
    },
}
INFER_ANSWERS: dict[int | str, Schema] = {
    200: {
        "description": "The probabilities of each image's classes",
        "content": {
            **json_content(
                {
                    "type": "object",
                    "required": ["model_name", "model_version", "outputs"],
                    "properties": {
                        "id": TEXT,
                        "model_name": TEXT,
                        "model_version": TEXT,
                        "outputs": {"type": "array", "items": OUTPUT_TENSOR},
                    },
                }
            ),
            "application/octet-stream": {"schema": BYTES},
        },
    },
    **refusals(400, 404, 408, 413, 415, 503),
}
