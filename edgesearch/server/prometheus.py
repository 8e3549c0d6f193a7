"""Count requests and answers for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ..answer import Answer

_SECONDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "edgesearch_requests", "Requests answered", ["path", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "edgesearch_request_seconds", "From request to answer", ["path"], buckets=_SECONDS, registry=self._registry
        )
        self._answers = Counter(
            "edgesearch_answers", "Searches answered", ["decision", "flaw"], registry=self._registry
        )
        self._stages = Histogram(
            "edgesearch_stage_seconds", "Stages of a search", ["stage"], buckets=_SECONDS, registry=self._registry
        )
        self._waiting = Gauge("edgesearch_requests_waiting", "Requests waiting for a thread", registry=self._registry)

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            status: HTTP status of the response.
            seconds: From the request to the end of the response.
            path: The path of the route, not of the request, so that the number of labels stays bounded.
        """
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def count_answer(self, answer: Answer) -> None:
        """Count a search by its decision, and record the time of each stage."""
        self._answers.labels(answer.decision, answer.flaw or "none").inc()
        for stage, ms in answer.elapsed_ms.items():
            self._stages.labels(stage).observe(ms / 1000)

    def render(self, waiting: int) -> bytes:
        """Return all metrics in Prometheus's text format.

        Args:
            waiting: Number of requests that wait now.
        """
        self._waiting.set(waiting)
        return generate_latest(self._registry)
