"""What the server counts, as Prometheus reads it."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ..answer import Answer

_SECONDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "edgesearch_requests", "Requests answered", ["path", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "edgesearch_request_seconds", "From request to answer", ["path"], buckets=_SECONDS, registry=self._registry
        )
        self._answers = Counter(
            "edgesearch_answers", "Photos and words answered", ["decision", "flaw"], registry=self._registry
        )
        self._stages = Histogram(
            "edgesearch_stage_seconds", "Of a search, by stage", ["stage"], buckets=_SECONDS, registry=self._registry
        )
        self._waiting = Gauge("edgesearch_requests_waiting", "Requests that wait", registry=self._registry)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """A request; path: of its route, not of what was asked."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def found(self, answer: Answer) -> None:
        """A search."""
        self._answers.labels(answer.decision, answer.flaw or "none").inc()
        for stage, ms in answer.elapsed_ms.items():
            self._stages.labels(stage).observe(ms / 1000)

    def text(self, waiting: int) -> bytes:
        """All of them; waiting: requests."""
        self._waiting.set(waiting)
        return generate_latest(self._registry)
