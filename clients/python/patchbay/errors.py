"""What the gateway answers instead of what was asked for."""

from __future__ import annotations

from typing import Any, Mapping


class PatchbayError(Exception):
    """A request that failed. ``body`` is the whole answer; of a tool that failed it is the envelope."""

    def __init__(self, message: str, *, status: int | None = None, body: Any = None, headers: Mapping[str, str] | None = None):
        super().__init__(message)
        self.message = message
        self.status = status
        self.body = body
        found = body.get("error") if isinstance(body, dict) else None
        error = found if isinstance(found, dict) else {}
        self.code = error.get("code") or error.get("type")
        self.type = (body.get("error_type") if isinstance(body, dict) else None) or error.get("type")
        self.param = error.get("param")
        self.metadata = error.get("metadata")
        headers = headers or {}
        self.request_id = headers.get("x-request-id")
        self.generation_id = headers.get("x-generation-id")
        try:
            self.retry_after: float | None = float(headers["retry-after"])
        except (KeyError, ValueError):
            self.retry_after = None


class InvalidRequestError(PatchbayError):
    """400, 413, 422."""


class AuthenticationError(PatchbayError):
    """401."""


class PaymentRequiredError(PatchbayError):
    """402: the credits, or a limit of the key, do not suffice; or an own provider key is needed."""


class PermissionDenied(PatchbayError):
    """403."""


class NotFoundError(PatchbayError):
    """404."""


class ConflictError(PatchbayError):
    """409."""


class OutcomeUnknownError(PatchbayError):
    """424: it was sent, and nobody knows whether it was done. Never sent again by itself."""


class RateLimitError(PatchbayError):
    """429."""


class ServerError(PatchbayError):
    """5xx."""


class ConnectionFailed(PatchbayError):
    """No answer came."""


_KINDS: dict[int, type[PatchbayError]] = {
    401: AuthenticationError,
    402: PaymentRequiredError,
    403: PermissionDenied,
    404: NotFoundError,
    409: ConflictError,
    424: OutcomeUnknownError,
    429: RateLimitError,
}


def kind_of(status: int) -> type[PatchbayError]:
    """The error of an HTTP status."""
    return _KINDS.get(status, ServerError if status >= 500 else InvalidRequestError)
