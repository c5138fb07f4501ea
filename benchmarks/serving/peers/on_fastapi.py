"""The fewest lines of FastAPI, for `uvicorn`; CLASSIFIER names the classifier's folder."""

import os
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request

from serving.classifier import fields_of, open_classifier

classifier = open_classifier(Path(os.environ["CLASSIFIER"]))
app = FastAPI()


@app.post("/predict")
async def predict(request: Request) -> dict[str, Any]:
    image = classifier.read(await request.body())
    probabilities = classifier.predict(image[None])
    return fields_of(classifier.answers(probabilities, classifier.threshold)[0])
