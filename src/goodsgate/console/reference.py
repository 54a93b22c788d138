"""What rules look up: trees and lists, loaded from files, and which items use an entry."""

import tempfile
from collections.abc import Iterator
from typing import IO, Any

from starlette.responses import Response

from goodsgate.console.catalogue import FIRST_SECONDS
from goodsgate.console.framed import Framed, detected
from goodsgate.console.pages import HEADERS, Pages, segment
from goodsgate.console.visit import Visit
from goodsgate.engine.reference import READ_ONLY_KINDS
from goodsgate.engine.search import Found, naming, search
from goodsgate.http.context import PIECE_BYTES, ServerContext
from goodsgate.http.problems import refuse
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import REFERENCE_KINDS, ReferenceEntry

ROWS = 100
TREE_ENTRIES_MAX = 2_000
"""A kind with parents and no more entries than this is shown as a tree."""


class Reference:
    """Everything under ``/console/of/{merchant}/reference``."""

    def __init__(self, context: ServerContext, pages: Pages) -> None:
        self._context = context
        self._engine = context.engine
        self._pages = pages

    async def get(self, visit: Visit) -> Response:
        """The kinds, with a first glance at each."""
        return await self._context.run_in_thread(self._kinds, visit, await visit.merchant())

    def _kinds(self, visit: Visit, merchant: str) -> Response:
        kinds = [
            (kind, self._engine.reference(merchant, kind, limit=6), kind in READ_ONLY_KINDS)
            for kind in (*REFERENCE_KINDS, *READ_ONLY_KINDS)
        ]
        words = {"kinds": kinds, "merchant": merchant, "place": "reference"}
        return self._pages.answer(visit, "references.html", words)

    async def entries(self, visit: Visit) -> Response:
        """Of one kind: a tree where they have parents and are not too many, else a list."""
        return await self._context.run_in_thread(self._listed, visit, await visit.merchant())

    def _listed(self, visit: Visit, merchant: str) -> Response:
        kind, text, after = visit.param("kind"), visit.query.get("q"), visit.query.kept("after") or None
        tree: list[tuple[ReferenceEntry, Any]] | None = None
        page = self._engine.reference(merchant, kind, search=text or None, after=after, limit=ROWS)
        if not text and after is None and any(entry.parent for entry in page.rows):
            whole = self._engine.reference(merchant, kind, limit=TREE_ENTRIES_MAX)
            tree = branches(whole.rows) if whole.next is None else None
        words: dict[str, Any] = {
            "kind": kind, "q": text, "page": page, "tree": tree, "merchant": merchant, "place": "reference",
            "may_load": visit.caller.may("submit") and kind not in READ_ONLY_KINDS, "after": after,
            "first": visit.link(after=None), "older": visit.link(after=page.next) if page.next else None,
        }
        return self._pages.answer(visit, "reference.html", words)

    async def used(self, visit: Visit) -> Response:
        """Items that have the entry's code as a value, a stretch at a time."""
        return await self._context.run_in_thread(self._used, visit, await visit.merchant())

    def _used(self, visit: Visit, merchant: str) -> Response:
        kind, code, after = visit.param("kind"), visit.query.kept("code"), visit.query.kept("after") or None
        shelves = [(each, name) for each, name, _ in self._context.store.collections(merchant)]
        shelf = visit.query.get("in") or (f"{shelves[0][0]}/{shelves[0][1]}" if shelves else "")
        item_kind, _, collection = shelf.partition("/")
        if shelf and item_kind not in [*Kind]:
            raise refuse("parameter_invalid", "There is no such collection.", parameter="in")
        found = Found(items=[], looked_at=0, next=None)
        if shelf:
            found = search(
                self._context.store, merchant, Kind(item_kind), collection, naming(code), after=after,
                seconds=FIRST_SECONDS,
            )
        words: dict[str, Any] = {
            "kind": kind, "code": code, "shelves": [f"{each}/{name}" for each, name in shelves], "shelf": shelf,
            "found": found, "merchant": merchant, "place": "reference", "item_kind": item_kind, "after": after,
            "collection": collection, "onward": visit.link(after=found.next) if found.next is not None else None,
        }
        return self._pages.answer(visit, "used.html", words)

    async def load(self, visit: Visit) -> Response:
        """A file of entries: all of it or nothing."""
        visit.allow("submit")
        visit.check()
        merchant, kind, config = await visit.merchant(), visit.param("kind"), self._context.config
        body = await Framed.opened(
            visit.body(config.reference_body_bytes_max), bytes_max=config.document_bytes_max
        )
        piece = await body.read(PIECE_BYTES)
        format, content_encoding = detected(piece, body.fields)
        with tempfile.TemporaryFile() as file:
            while piece:
                await self._context.run_in_thread(file.write, piece)
                piece = b"" if body.ended else await body.read(PIECE_BYTES)
            await self._context.run_in_thread(
                self._engine.load_reference, merchant, kind, _pieces(file), format=format,
                content_encoding=content_encoding,
                replace=body.fields.get("replace") == "yes",
            )
        path = f"/console/of/{segment(merchant)}/reference/{segment(kind)}"
        return Response(status_code=202, headers={**HEADERS, "x-location": path})


def branches(entries: list[ReferenceEntry]) -> list[tuple[ReferenceEntry, Any]]:
    """Entries with those below them; what names a parent that is not there stands at the top."""
    nodes: dict[str, tuple[ReferenceEntry, Any]] = {entry.code: (entry, []) for entry in entries}
    top: list[tuple[ReferenceEntry, Any]] = []
    for entry in entries:
        parent = nodes.get(entry.parent or "")
        own = nodes[entry.code]
        (top if parent is None or _above(entry, nodes) else parent[1]).append(own)
    return top


def _above(entry: ReferenceEntry, nodes: dict[str, tuple[ReferenceEntry, Any]]) -> bool:
    """Whether an entry stands above itself, so that it would be in no tree."""
    seen = {entry.code}
    parent = entry.parent
    while parent in nodes:
        if parent in seen:
            return True
        seen.add(parent)
        parent = nodes[parent][0].parent
    return False


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(PIECE_BYTES):
        yield piece
