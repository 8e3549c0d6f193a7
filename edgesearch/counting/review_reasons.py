"""Say why a person must review a photo."""

from ..answer import Answer

REASONS = {"unknown": "like no product here", "ambiguous": "which one?"}


def review_reason(answer: Answer) -> str:
    """Return the reason for an answer that is no match."""
    if answer.conflict:
        return answer.conflict
    reason, unknown = REASONS[answer.decision], [label.text for label in answer.barcodes if not label.skus]
    return f"{reason}; its barcode {', '.join(unknown)} is of no product here" if unknown else reason
