"""Runs the steps of transcripts against a server, as a client of a protocol."""

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from goodsgate.cli.client import USER_AGENT
from goodsgate.cli.errors import command_errors
from goodsgate.cli.transcripts import (
    ExpectedResponse,
    ProtocolClient,
    RequestTemplate,
    SignatureScheme,
    Step,
    UnknownVariableError,
    differences,
    resolve_pointer,
    shorten,
    substitute,
)

if TYPE_CHECKING:
    import httpx

POLL_SECONDS_MIN = 0.02
POLL_SECONDS_MAX = 1.0
"""Pauses before a request is repeated."""
TOO_MANY_REQUESTS = 429
TOO_MANY_ATTEMPTS_MAX = 5
"""How often a request that a rate limit refused is sent again, unless the refusal is expected."""
WAIT_SECONDS_MAX = 30.0
"""Longest wait that a refusal may ask for."""

Responder = Callable[[], "httpx.Response"]


class StepOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a step showed."""

    name: str
    differences: list[str]
    """Empty if the response was as expected."""
    request: str = ""
    """Method and URL."""
    response: str = ""
    """Status and the beginning of the body; only where something differs."""


class Conversation:
    """A client of a protocol at one server, and the values that its requests have saved."""

    def __init__(self, client: ProtocolClient, base_url: str, variables: Mapping[str, Any], *, ca: str | None = None,
                 ) -> None:
        """Connect to nothing yet. Raises CommandError if the URL or the certificates cannot be used."""
        from goodsgate_client.connection import create_http_client

        self.variables = dict(variables)
        self._client = client
        self._base_url = base_url.rstrip("/")
        with command_errors():
            self._http = create_http_client(self._base_url, {"User-Agent": USER_AGENT}, ca=ca)
        self._is_logged_in = not client.login

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def run(self, steps: list[Step]) -> list[StepOutcome]:
        """Run the login, if it was not run, and steps, until the first that differs; raises httpx.TransportError.

        The outcomes of the login are returned only if it failed.
        """
        if not self._is_logged_in:
            login = self._run_all(self._client.login)
            if login[-1].differences:
                return login
            self._is_logged_in = True
        return self._run_all(steps)

    def _run_all(self, steps: list[Step]) -> list[StepOutcome]:
        outcomes: list[StepOutcome] = []
        for step in steps:
            outcomes.append(self._run_step(step))
            if outcomes[-1].differences:
                break
        return outcomes

    def _run_step(self, step: Step) -> StepOutcome:
        try:
            expected = msgspec.convert(
                substitute(msgspec.to_builtins(step.response), self.variables), type=ExpectedResponse
            )
            request = self.build_request(step.request)
        except UnknownVariableError as error:
            return StepOutcome(name=step.name, differences=[f"the variable {error} has no value"])
        end, pause = time.monotonic() + step.repeat_seconds, POLL_SECONDS_MIN
        while True:
            response = self.send(request, expected_status=expected.status)
            found = compare(expected, response)
            if not found or time.monotonic() > end:
                break
            time.sleep(pause)
            pause = min(POLL_SECONDS_MAX, pause * 1.5)
            request = self.build_request(step.request)  # a signature is of its time
        if not found:
            found = self._save(step, response)
        shown = f"{response.status_code} {response.text[:1000]}" if found else ""
        return StepOutcome(
            name=step.name, differences=found, request=self._without_credentials(f"{request.method} {request.url}"),
            response=self._without_credentials(shown),
        )

    def _without_credentials(self, text: str) -> str:
        """Return a text with the names of credentials in place of their values."""
        for name in self._client.credentials:
            value = str(self.variables.get(name, ""))
            text = text.replace(value, f"${name}") if value else text
        return text

    def _save(self, step: Step, response: "httpx.Response") -> list[str]:
        found = []
        for name, place in step.save.items():
            try:
                header = place.removeprefix("header:")
                self.variables[name] = (
                    resolve_pointer(response.json(), place) if header == place else response.headers[header]
                )
            except (LookupError, ValueError) as error:
                found.append(f"nothing to save as {name}: {error}")
        return found

    def build_request(self, template: RequestTemplate) -> "httpx.Request":
        """Return a request with its variables and credentials. Raises UnknownVariableError."""
        import httpx

        headers = substitute(template.headers, self.variables)
        if template.credentials:
            headers = {**substitute(self._client.headers, self.variables), **headers}
        content: bytes | None = None
        if template.json is not UNSET:
            content = json.dumps(substitute(template.json, self.variables), ensure_ascii=False).encode()
            headers = {"Content-Type": "application/json", **headers}
        elif isinstance(template.text, str):
            content = substitute(template.text, self.variables).encode()
        path = substitute(template.path, self.variables)
        query = {name: str(value) for name, value in substitute(template.query, self.variables).items()}
        url = httpx.URL(path if "://" in path else f"{self._base_url}{path}")
        if query:
            url = url.copy_merge_params(query)
        request = self._http.build_request(template.method, url, content=content, headers=headers)
        if self._client.signature is not None and template.credentials:
            self._sign(request, self._client.signature)
        return request

    def _sign(self, request: "httpx.Request", scheme: SignatureScheme) -> None:
        from goodsgate.push.signing import sign_request

        with command_errors():
            sign_request(
                request, access_key=self.variables.get("AWS_ACCESS_KEY_ID", ""),
                secret_key=self.variables.get("AWS_SECRET_ACCESS_KEY", ""),
                session_token=self.variables.get("AWS_SESSION_TOKEN"), service=scheme.service, region=scheme.region,
            )

    def send(self, request: "httpx.Request", *, expected_status: int) -> "httpx.Response":
        """Send a request, and again after the time that a rate limit asks for; raises httpx.TransportError."""
        for _ in range(TOO_MANY_ATTEMPTS_MAX):
            response = self._http.send(request)
            if response.status_code != TOO_MANY_REQUESTS or expected_status == TOO_MANY_REQUESTS:
                return response
            wait = response.headers.get("Retry-After", "")
            time.sleep(min(WAIT_SECONDS_MAX, float(wait) if wait.isdecimal() else 1.0))
        return response


def compare(expected: ExpectedResponse, response: "httpx.Response") -> list[str]:
    """Return a line for each way in which a response is not as expected."""
    found = []
    if response.status_code != expected.status:
        found.append(f"status: {response.status_code}, expected {expected.status}")
    headers = dict(response.headers)
    for name, wanted in expected.headers.items():
        if name.lower() in headers:
            found += differences(wanted, headers[name.lower()], f"header {name}")
        elif wanted != {"$absent": True}:
            found.append(f"header {name}: missing, expected {shorten(wanted)}")
    if expected.json is not UNSET:
        try:
            found += differences(expected.json, response.json())
        except ValueError:
            found.append(f"body: {shorten(response.text)}, expected JSON")
    if isinstance(expected.text, str) and not re.search(expected.text, response.text):
        found.append(f"body: {shorten(response.text)}, expected a text with {expected.text}")
    return found
