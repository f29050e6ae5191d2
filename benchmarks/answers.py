"""What one side answered to one request, in the same terms for both sides."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """One suggestion.

    Attributes:
        text: What would be inserted at the cursor; "" when nothing was suggested.
        ms: From the request to the answer, as the asking editor sees it.
        n_evaluated: Tokens of the prompt that were evaluated, not taken from the KV cache; None when not told.
        outside_ms: What the server needed besides the model and the debounce; None when not told.
        reason: Why there is no suggestion; None when there is one.
        waited: Whether it was waited for the model, in this request or in one that it joined; None when not told.
        until_engine_ms: From the request until the engine began with it; None when it did not, or when not told.
    """

    text: str
    ms: float
    n_evaluated: int | None = None
    outside_ms: float | None = None
    reason: str | None = None
    waited: bool | None = None
    until_engine_ms: float | None = None
