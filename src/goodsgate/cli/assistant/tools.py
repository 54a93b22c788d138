"""What an assistant can ask a gate. Nothing here changes the catalogue."""

import inspect
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, cast, get_type_hints
from urllib.parse import quote

from goodsgate.cli.assistant.answers import ROWS_MAX, fetch_page, write_answer
from goodsgate.cli.assistant.folders import Folders
from goodsgate.cli.client import Document
from goodsgate.cli.errors import CommandError
from goodsgate_client.options import Kind, SubmitOptions, query_of

if TYPE_CHECKING:
    from goodsgate_client import Batch, Client

ROWS = 20
WAIT_SECONDS = 45.0
"""How long a dry run is waited for; assistants give up on a tool after a minute or so."""
GATE_OPTIONS = {"dry_run", "label", "hold_if", "hold", "hold_hours"}
"""Options of a submission that have no meaning here."""


class AssistantTools:
    """Tools over one gate, with the rights of one key; each public method is a tool, described by its docstring."""

    def __init__(self, client: "Client", folders: Folders) -> None:
        self._client = client
        self._folders = folders

    def list_batches(
        self, state: str | None = None, outcome: Literal["clean", "partial", "rejected"] | None = None,
        kind: Kind | None = None, collection: str | None = None, search: str | None = None, after: str | None = None,
        rows: int = ROWS,
    ) -> str:
        """List batches (submitted files), newest first. `search` is text of the file name or the start of an id.

        `state` is receiving, queued, working, held, finished, cancelled or broken. Lists have at most 200 rows; pass
        `after` of an answer to get the next ones.
        """
        filters = {"state": state, "outcome": outcome, "kind": kind, "collection": collection, "q": search}
        return self._list("/v1/batches", filters, name="batches", after=after, rows=rows)

    def batch(self, batch: str) -> str:
        """Show a batch: state, counts of results, how the file was read, and its issues in groups with remedies."""
        document = self._client.request("GET", _batch_path(batch))
        return write_answer(document, *self._next_steps(document))

    def issues(
        self, batch: str, code: str | None = None, severity: Literal["error", "warning"] | None = None,
        after: str | None = None, rows: int = ROWS,
    ) -> str:
        """List the issues of a batch row by row: line in the file, column, value, what was expected, suggestion."""
        filters = {"code": code, "severity": severity}
        return self._list(f"{_batch_path(batch)}/issues", filters, name="issues", after=after, rows=rows)

    def explain_code(self, code: str) -> str:
        """Explain an issue code: what it means, whether it rejects a record, and what to do about it."""
        from goodsgate.model.issue import CODES, base_code
        from goodsgate.model.remedies import REMEDIES

        known = CODES.get(base_code(code))
        if known is None:
            raise CommandError(f"There is no issue code {code!r}. The tool `batch` shows the codes of a batch.")
        return write_answer({
            "code": code, "severity": known.severity, "message": known.template, "about": known.about,
            "what_to_do": REMEDIES.get(base_code(code), ""),
        })

    def diff(
        self, batch: str, operation: Literal["created", "updated", "deleted"] | None = None, field: str | None = None,
        after: str | None = None, rows: int = ROWS,
    ) -> str:
        """Show what a dry run or held batch would change: in groups, and item by item with values before and after."""
        filters = {"operation": operation, "field": field}
        return self._list(f"{_batch_path(batch)}/diff", filters, name="changes", after=after, rows=rows)

    def find_items(
        self, search: str | None = None, collection: str = "products", kind: Kind | None = None,
        prefix: str | None = None, gtin: str | None = None, brand: str | None = None, group: str | None = None,
        after: str | None = None, rows: int = ROWS,
    ) -> str:
        """Search the catalogue by words, start of the SKU (`prefix`), GTIN, brand or group of variants."""
        filters = {"q": search, "kind": kind, "prefix": prefix, "gtin": gtin, "brand": brand, "group": group}
        path = f"/v1/collections/{quote(collection, '')}/items"
        return self._list(path, filters, name="items", after=after, rows=rows)

    def item(self, key: str, collection: str = "products", kind: Kind | None = None) -> str:
        """Show an item of the catalogue, with the batch that last wrote it and the fields that a person has edited."""
        path = f"/v1/collections/{quote(collection, '')}/items/{quote(key, '')}"
        return write_answer(self._client.request("GET", path, params=query_of({"kind": kind})))

    def item_history(
        self, key: str, collection: str = "products", kind: Kind | None = None, after: str | None = None,
        rows: int = ROWS,
    ) -> str:
        """List the changes of an item, newest first: which batch and row made each, with values before and after."""
        path = f"/v1/collections/{quote(collection, '')}/history/{quote(key, '')}"
        return self._list(path, {"kind": kind}, name="changes", after=after, rows=rows)

    def list_files(self) -> str:
        """List the files that `inspect_file` and `dry_run_file` may read."""
        return write_answer(self._folders.files())

    def inspect_file(self, path: str, **options: Any) -> str:
        """Show how a file would be read: format, columns and the fields they fill, first records, issues.

        Nothing is stored. The options are those of `goodsgate submit`; try them here until the file is read as meant.
        """
        file = self._folders.find(path)
        return write_answer(self._client.inspect_file(file, **_given(options)))

    def dry_run_file(self, path: str, **options: Any) -> str:
        """Process a file without applying it: results and issues of every record, and what would change.

        It makes a batch that is a dry run. Nothing of it can be applied: a person submits the file with the command
        that the answer has.
        """
        from goodsgate_client import WaitTimeoutError

        file = self._folders.find(path)
        batch = self._client.submit_file(file, **_given({**options, "dry_run": True}))
        try:
            batch = self._client.wait(batch, timeout_seconds=WAIT_SECONDS)
        except WaitTimeoutError:
            return write_answer(
                {"batch": batch.id}, "The dry run is not done yet. Ask for it with the tools `batch` and `diff` later."
            )
        return self._describe_dry_run(batch, command=_command(str(file), _given(options)))

    def _describe_dry_run(self, batch: "Batch", *, command: str) -> str:
        diff = self._client.request("GET", f"{_batch_path(batch.id)}/diff", params={"limit": "1"})
        document = batch.raw
        return write_answer(
            {
                "batch": batch.id, "state": batch.state, "outcome": batch.outcome, "counts": document["counts"],
                "reading": document["reading"], "issues": document.get("issues", []), "would_change": diff["groups"],
                "command_that_applies_it": command,
            },
            "Nothing was applied: it was a dry run. Only a person may decide to apply the file. Show them what would "
            "change, and the command `command_that_applies_it`; do not run it yourself.",
            f"To read it in a browser: {self._client.url}/console/batches/{batch.id}",
        )

    def _list(self, path: str, filters: Document, *, name: str, after: str | None, rows: int) -> str:
        def fetch(limit: int) -> Document:
            return self._client.request("GET", path, params=query_of({**filters, "after": after, "limit": limit}))

        page = fetch_page(fetch, name=name, rows=rows)
        more = ["There are more: call again with `after` of this answer."] if page["after"] is not None else []
        fewer = [f"A list has at most {ROWS_MAX} rows."] if rows > ROWS_MAX else []
        return write_answer(page, *fewer, *more)

    def _next_steps(self, batch: Document) -> list[str]:
        url = f"{self._client.url}/console/batches/{batch['id']}"
        if batch["state"] != "held":
            return [f"To read it in a browser: {url}"]
        return [
            "Guards hold this batch; nothing of it has been applied. Only a person may decide. To apply it: "
            f"`goodsgate approve {batch['id']}`, to give it up: `goodsgate discard {batch['id']}`, or both at {url}"
        ]


def file_options(tool: Callable[..., str]) -> inspect.Signature:
    """Return the signature of a tool with the options of a submission in place of `**options`."""
    signature = inspect.signature(tool)
    own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    if len(own) == len(signature.parameters):
        return signature
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)
        for name, hint in get_type_hints(SubmitOptions).items() if name not in GATE_OPTIONS
    ]
    return signature.replace(parameters=[*own, *options])


def _given(options: Document) -> SubmitOptions:
    return cast(SubmitOptions, {name: value for name, value in options.items() if value is not None})


def _command(file: str, options: SubmitOptions) -> str:
    """Return the command with which a person submits the file."""
    words = ["goodsgate", "submit", file]
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if name == "key":
            words.append("--derive-keys")
        elif name == "map":
            pairs = query_of({name: value})[name].split(",")
            words += [word for pair in pairs for word in (option, pair)]
        elif value is True:
            words.append(option)
        elif value is not False:
            words += [option, query_of({name: value})[name]]
    return shlex.join(words)


def _batch_path(batch: str) -> str:
    return f"/v1/batches/{quote(batch, '')}"
