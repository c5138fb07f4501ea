"""python -m benchmarks.serving.peers.on_litserve CLASSIFIER PORT"""

import sys
from pathlib import Path
from typing import Annotated, Any

import litserve
from fastapi import Depends, Request

from serving.classifier import fields_of, open_classifier


async def read_body(request: Request) -> bytes:
    return await request.body()


class Api(litserve.LitAPI):  # type: ignore[misc]
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def setup(self, _device: str) -> None:
        self.classifier = open_classifier(self.folder)

    def decode_request(self, request: Annotated[bytes, Depends(read_body)]) -> Any:
        return self.classifier.read(request)

    def predict(self, image: Any) -> Any:
        return self.classifier.predict(image[None])

    def encode_response(self, probabilities: Any) -> dict[str, Any]:
        return fields_of(self.classifier.answers(probabilities, self.classifier.threshold)[0])


def main() -> None:
    server = litserve.LitServer(Api(Path(sys.argv[1])), accelerator="cpu")
    server.run(port=int(sys.argv[2]), generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
