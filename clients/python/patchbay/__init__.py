"""A client of a Patchbay gateway: models and tools behind one key. The standard library is all it needs."""

from .client import Chat, Models, Patchbay, Tools
from .errors import (
    AuthenticationError,
    ConflictError,
    ConnectionFailed,
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
    PatchbayError,
    PaymentRequiredError,
    PermissionDenied,
    RateLimitError,
    ServerError,
)

__all__ = [
    "AuthenticationError",
    "Chat",
    "ConflictError",
    "ConnectionFailed",
    "InvalidRequestError",
    "Models",
    "NotFoundError",
    "OutcomeUnknownError",
    "Patchbay",
    "PatchbayError",
    "PaymentRequiredError",
    "PermissionDenied",
    "RateLimitError",
    "ServerError",
    "Tools",
]
