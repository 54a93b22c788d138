"""Productsup Stream: uploads and deletions as lines of JSON to one chunked stream.

An upload merges by product id, so that one that is received twice has the same effect, and is repeated freely. Its
upload stage is answered at once; its processing stage ends when a site has imported the stream. The documents of both
stages give one example line for each distinct message, and not all lines.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from goodsgate.model.json_text import write_json
from goodsgate.push.contract import (
    Platform,
    PlatformConnection,
    PushRequest,
    RefusedError,
    RequestOutcome,
    RequestReceipt,
    SentRequest,
    SourceRecord,
    UnitError,
    WireUnit,
    unnamed_rejections,
)
from goodsgate.push.values import missing, text_of, too_long

LINE_BYTES_MAX = 2_097_152
"""Published for a line of a chunked stream."""
UPLOADED, PROCESSED, FAILED = "uploaded", "processed", "failed"
NDJSON = {"Content-Type": "application/x-ndjson", "Accept": "application/vnd.api+json"}


class ProductsupStream(Platform):
    """A chunked stream of an account."""

    SETTINGS: ClassVar[Mapping[str, str]] = {"stream": "the number of the stream, of the type chunked"}
    REQUEST_SECONDS_MIN = 1 / 30
    UNITS_MAX = 10_000
    BYTES_MAX = 1_000_000
    OPEN_MAX = None
    NAMES_UNITS = False

    def __init__(self, connection: PlatformConnection) -> None:
        super().__init__(connection)
        self._path = f"/streams/{self.setting('stream')}"

    def connect(self) -> None:
        """Check the token and that the stream is a chunked one."""
        self.transport.headers["Authorization"] = f"Bearer {self.credentials['PRODUCTSUP_TOKEN']}"
        document = self.transport.request("GET", self._path).document()
        type = (_member(document, "data", "attributes") or {}).get("type")
        if type != "chunked":
            raise RefusedError(f"stream {self.settings['stream']} is of the type {type}; only chunked ones take a push")

    def units(self, records: Iterable[SourceRecord]) -> Iterator[WireUnit]:
        """Yield a line for each record: its members as texts and numbers."""
        for record in records:
            line: dict[str, Any] = {"id": record.sku}
            if not record.is_deletion:
                line |= {name: _flat(value) for name, value in record.members.items() if name != "id"}
            body = write_json(line)
            issues = []
            if len(body) > LINE_BYTES_MAX:
                issues.append(too_long("", f"{len(body):,} bytes", LINE_BYTES_MAX))
            if not record.sku.strip():
                issues.append(missing("/id"))
            yield WireUnit(
                name=record.sku, numbers=(record.number,), body=body, is_deletion=record.is_deletion,
                issues=tuple(issues),
            )

    def send(self, request: PushRequest) -> RequestReceipt:
        """Upload lines, or delete the products that they name; 422 says that no line was accepted."""
        answer = self.transport.request(
            "DELETE" if request.operation == "delete" else "POST", f"{self._path}/products",
            content=b"".join(unit.body + b"\n" for unit in request.units), headers=NDJSON, accepts=frozenset({422}),
        )
        document = answer.document()
        batch = _member(document, "data", "id")
        if not isinstance(batch, str):
            raise RefusedError(f"the answer {answer.status} to an upload names no batch", status=502)
        outcome = _outcome_of(document, ("upload",), units=len(request.units))
        is_final = _member(document, "data", "attributes", "status") == FAILED
        return RequestReceipt(ids=[batch], outcome=outcome if is_final else None)

    def status(self, sent: SentRequest) -> RequestOutcome | None:
        """Return the errors of both stages once the batch is processed."""
        batch = sent.receipt.ids[0]
        try:
            document = self.transport.request("GET", f"{self._path}/batches/{batch}").document()
        except RefusedError as error:
            if error.status not in (403, 404):
                raise
            return RequestOutcome(problem=f"the status of batch {batch} cannot be read: {error}")
        if _member(document, "data", "attributes", "status") == UPLOADED:
            return None
        return _outcome_of(document, ("upload", "processing"), units=len(sent.numbers))


def _flat(value: object) -> object:
    """Return a value as an attribute of a product: texts and numbers as they are."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else text_of(value)


def _member(document: object, *names: str) -> Any:
    for name in names:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def _outcome_of(document: Mapping[str, Any], stages: Iterable[str], *, units: int) -> RequestOutcome:
    errors: list[UnitError] = []
    problems: list[str] = []
    batch = _member(document, "data", "id")
    for name in stages:
        stage = _member(document, "data", "attributes", "stages", name) or {}
        found = [each for each in stage.get("errors") or [] if isinstance(each, Mapping)]
        count = int(stage.get("errorCount") or 0)
        if count >= units and stage.get("status") == "failure":
            message = "; ".join(str(each.get("message")) for each in found)
            errors += [UnitError(index=at, message=message) for at in range(units)]
            continue
        for each in found:
            line = _member(each, "example", "lineNumber")
            occurrences = int(each.get("occurrences") or 1)
            is_named = isinstance(line, int) and 1 <= line <= units
            if is_named:
                errors.append(UnitError(index=line - 1, message=str(each.get("message"))))
            if occurrences > is_named:
                problems.append(
                    f"{unnamed_rejections(occurrences - is_named)} (batch {batch}): {each.get('message')}"
                )
    return RequestOutcome(errors=errors, problem="; ".join(problems))


PLATFORM = ProductsupStream
