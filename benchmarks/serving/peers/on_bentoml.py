"""A service of BentoML's, for `bentoml serve`; CLASSIFIER names the classifier's folder."""

import os
from pathlib import Path
from typing import Annotated, Any

import bentoml
from bentoml.validators import ContentType

from serving.classifier import fields_of, open_classifier


@bentoml.service(workers=1)
class Classify:
    def __init__(self) -> None:
        self.classifier = open_classifier(Path(os.environ["CLASSIFIER"]))

    @bentoml.api
    def predict(self, body: Annotated[bytes, ContentType("image/png")], /) -> dict[str, Any]:
        probabilities = self.classifier.predict(self.classifier.read(body)[None])
        return fields_of(self.classifier.answers(probabilities, self.classifier.threshold)[0])
