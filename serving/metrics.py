"""What /metrics tells Prometheus: requests, errors, latency, confidence and classes."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from serving.classifier import Answer

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
CONFIDENCES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)


class Metrics:
    """Counts of one server since its start."""

    def __init__(self, classes: list[str]) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.requests = Counter(
            "classifier_requests", "Requests by endpoint and HTTP status; from 400 on, errors",
            ["endpoint", "status"], registry=registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "classifier_request_seconds", "From a request's headers to its answer",
            ["endpoint"], buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self.in_flight = Gauge(
            "classifier_requests_in_flight", "Requests being answered", registry=registry
        )  # set_function names what counts them
        self.confidence = Histogram(
            "classifier_confidence", "Highest probability of each image",
            buckets=CONFIDENCES, registry=registry,
        )  # fmt: skip
        self.unsure = Counter("classifier_unsure", "Images below the threshold", registry=registry)
        by_class = Counter(
            "classifier_predictions", "Images by the most probable class",
            ["class"], registry=registry,
        )  # fmt: skip
        self.by_class = {name: by_class.labels(name) for name in classes}

    def count_request(self, endpoint: str, status: int, seconds: float) -> None:
        self.requests.labels(endpoint, str(status)).inc()
        self.seconds.labels(endpoint).observe(seconds)

    def count_answers(self, answers: list[Answer]) -> None:
        for answer in answers:
            self.by_class[answer.name].inc()
            self.confidence.observe(answer.probability)
            if answer.unsure:
                self.unsure.inc()

    def exposition(self) -> bytes:
        """The text that Prometheus scrapes, of the type CONTENT_TYPE."""
        return generate_latest(self.registry)
