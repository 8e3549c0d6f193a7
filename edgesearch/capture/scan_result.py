"""The results that a scan reports."""

from dataclasses import dataclass
from typing import Any

from ..answer import Answer
from ..counting.scan_count import CountChange


@dataclass(frozen=True)
class ScanResult:
    """An answer, an error or a change of a count.

    Attributes:
        source: "camera", "trigger", "file" or "wedge".
        at: Local time, ISO 8601.
        answer: None if there is none.
        error: What went wrong; None if nothing did.
        photo: Path of a photo that could not be answered.
        age_ms: Time from the arrival of the frame to its answer.
        dropped: Number of frames dropped before this one.
        counted: Change of the count; None if there is none.
    """

    source: str
    at: str
    answer: Answer | None = None
    error: Exception | None = None
    photo: str = ""
    age_ms: float | None = None
    dropped: int = 0
    counted: CountChange | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form: the fields of the answer, and those of the scan."""
        table: dict[str, Any] = {"at": self.at, "source": self.source}
        table |= self.answer.to_dict() if self.answer else {"photo": self.photo} if self.photo else {}
        if self.age_ms is not None:
            table |= {"age_ms": round(self.age_ms, 1), "dropped": self.dropped}
        if self.counted:
            table["counted"] = dict(vars(self.counted))
        if self.error:
            table["error"] = {"kind": type(self.error).__name__, "message": str(self.error)}
        return table

    def to_environment(self) -> dict[str, str]:
        """Return the main values as environment variables of a hook; all names are always present."""
        best = self.answer.matches[0] if self.answer and self.answer.matches else None
        values: dict[str, object] = {
            "event": "error" if self.error else self.answer.decision if self.answer else "counted",
            "source": self.source,
            "sku": best.sku if best else "",
            "name": best.name if best else "",
            "price": "" if best is None or best.price is None else f"{best.price:.2f}",
            "currency": best and best.product.currency,
            "location": best and best.product.location,
            "probability": f"{best.probability:.3f}" if best else "",
            "advice": self.answer.advice if self.answer else "",
            "error": self.error or "",
        }
        if self.counted:
            values |= {"sku": self.counted.sku, "name": self.counted.name}
        values["count"] = self.counted.count if self.counted else ""
        return {f"EDGESEARCH_{name.upper()}": "" if value is None else str(value) for name, value in values.items()}
