"""What a client raises. Every exception is a `GoodsgateError`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


class GoodsgateError(Exception):
    """An error of this client; `message` says what is wrong and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ConfigurationError(GoodsgateError):
    """The URL, the CA certificates or the proxy cannot be used."""


class UnreachableError(GoodsgateError):
    """No gate answers at the address, or the connection stayed lost."""


class CertificateError(UnreachableError):
    """The certificate of the gate is not trusted; `reason` is what its verification says."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ResponseError(GoodsgateError):
    """The answer is not that of a gate."""


class WaitTimeoutError(GoodsgateError):
    """The batch had not ended when the time was up. The gate continues with it."""


class RefusedError(GoodsgateError):
    """The gate, or a proxy in front of it, refused the request: a problem document (RFC 9457) as an exception."""

    def __init__(
        self, message: str, *, status: int, code: str, members: Mapping[str, Any] = MappingProxyType({}),
        retry_after_seconds: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.status = status
        """Status code of the answer."""
        self.code = code
        """A `RefusalCode` of the gate, or ``status 502`` and the like if the answer is no problem document."""
        self.members = members
        """The whole problem document: `detail`, `instance` (the request id), `limit`, `allowed` and so on."""
        self.retry_after_seconds = retry_after_seconds
        """How long the gate asks to wait; 0 if it does not say."""


class InvalidRequestError(RefusedError):
    """A parameter or the body is not valid (400, 415, 422)."""


class UnauthorizedError(RefusedError):
    """The key is missing or not valid (401)."""


class ForbiddenError(RefusedError):
    """The key does not permit the request (403)."""


class NotFoundError(RefusedError):
    """The batch, item or other resource does not exist, or belongs to another merchant (404)."""


class ConflictError(RefusedError):
    """The request does not fit the state of the resource (409)."""


class GoneError(RefusedError):
    """The payload was deleted after its retention period (410)."""


class TooLargeError(RefusedError):
    """The body is larger than the gate accepts (413)."""


class RateLimitedError(RefusedError):
    """The merchant sends too much at once (429)."""


class UnavailableError(RefusedError):
    """The gate or a proxy failed, or cannot serve the request now (408 and 5xx)."""


REFUSAL_ERRORS: dict[int, type[RefusedError]] = {
    400: InvalidRequestError, 401: UnauthorizedError, 403: ForbiddenError, 404: NotFoundError,
    408: UnavailableError, 409: ConflictError, 410: GoneError, 413: TooLargeError, 415: InvalidRequestError,
    422: InvalidRequestError, 429: RateLimitedError,
}
"""Status → exception; of the other statuses, those from 500 are `UnavailableError`."""


def error_of_status(status: int) -> type[RefusedError]:
    """Return the exception for a status code."""
    return REFUSAL_ERRORS.get(status, UnavailableError if status >= 500 else RefusedError)
