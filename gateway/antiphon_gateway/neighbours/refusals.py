"""What goes wrong with a request, in OpenAI's form. Pure but for the response."""

from collections.abc import Mapping

from aiohttp import web

from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.seats import RETRY_AFTER_S, Refusal
from antiphon_proto.errors import AntiphonError
from antiphon_proto.messages import Failed

_TYPES = {401: "invalid_request_error", 403: "invalid_request_error", 429: "rate_limit_error"}
_CLIENTS_FAULT = {
    "context_length_exceeded": "messages",
    "invalid_function_parameters": "tools",
    "unsupported_language": "language",
    "job_too_large": None,
}
"""Codes of failed jobs that the request is to blame for, and the field at fault."""
_LATE = frozenset({"stage_overloaded", "stage_unavailable", "deadline_exceeded"})


class RequestRefused(AntiphonError):
    """Raised when a request cannot be carried out."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        """`param` is the dotted path of the field at fault."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.error_code = code
        self.param = param
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, Mapping[str, str | None]]:
        """Return the error object."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {
            "error": {
                "message": self.message,
                "type": _TYPES.get(self.status, kind),
                "param": self.param,
                "code": self.error_code,
            }
        }

    def response(self) -> web.Response:
        """Return the answer to the request."""
        headers = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        return web.json_response(self.body(), status=self.status, headers=headers)


def unsupported(param: str, message: str) -> RequestRefused:
    """Return the refusal of a field or value that this server cannot honour."""
    return RequestRefused(400, message, code="unsupported_value", param=param)


def of_invalid(error: InvalidEvent) -> RequestRefused:
    """Return the refusal of a body that is not what it should be."""
    return RequestRefused(400, error.message, code=error.code, param=error.param)


def of_door(refusal: Refusal) -> RequestRefused:
    """Return the refusal of whom the door does not let in."""
    codes = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
    return RequestRefused(
        refusal.status,
        refusal.message,
        code=codes.get(refusal.status, refusal.cause),
        retry_after_s=refusal.retry_after_s,
    )


def of_job(failed: Failed) -> RequestRefused:
    """Return what a failed job means for the request that needed it."""
    if failed.code in _CLIENTS_FAULT:
        param = _CLIENTS_FAULT[failed.code]
        return RequestRefused(400, failed.message, code=failed.code, param=param)
    if failed.code in _LATE:
        return RequestRefused(503, failed.message, code=failed.code, retry_after_s=RETRY_AFTER_S)
    return RequestRefused(500, failed.message, code=failed.code)
