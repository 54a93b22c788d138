"""Reference data: entries as trees and lists, loading from files, and the items that use an entry."""

import tempfile
from collections.abc import Iterator
from typing import IO, Any

from starlette.responses import Response

from goodsgate.console.catalogue import FIRST_SEARCH_SECONDS
from goodsgate.console.rendering import HEADERS, PageRenderer, path_segment
from goodsgate.console.request import ConsoleRequest
from goodsgate.console.upload import UploadWithFields, detect_format
from goodsgate.engine.reference import READ_ONLY_KINDS
from goodsgate.engine.search import SearchResult, search, uses_code
from goodsgate.http.context import PIECE_BYTES, ServerContext
from goodsgate.http.problems import refuse
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import REFERENCE_KINDS, ReferenceEntry

TITLES = {
    "brand": "Brands", "category": "Categories", "attribute": "Attributes", "location": "Locations",
    "tax_rule": "Tax rules", "hs_code": "HS codes", "department": "Departments", "template": "Templates",
    "currency": "Currencies", "country": "Countries", "unit": "Units",
}
"""Kind → its title; other kinds are shown by their name."""
PAGE_ENTRIES = 100
TREE_LEVELS_MAX = 32
"""A tree with more levels is shown as a list."""
PREVIEW_ENTRIES = 6
TREE_ENTRIES_MAX = 2_000
"""A kind whose entries have parents is shown as a tree up to this number of entries."""


class ReferencePages:
    """Everything under ``/console/merchants/{merchant}/reference``."""

    def __init__(self, context: ServerContext, renderer: PageRenderer) -> None:
        self._context = context
        self._engine = context.engine
        self._renderer = renderer

    async def kinds(self, request: ConsoleRequest) -> Response:
        """Return the kinds with the first entries of each."""
        return await self._context.run_in_thread(self._render_kinds, request, await request.merchant())

    def _render_kinds(self, request: ConsoleRequest, merchant: str) -> Response:
        kinds = [
            (kind, kind_title(kind), self._engine.reference(merchant, kind, limit=PREVIEW_ENTRIES),
             kind in READ_ONLY_KINDS)
            for kind in (*REFERENCE_KINDS, *READ_ONLY_KINDS)
        ]
        values = {"kinds": kinds, "merchant": merchant, "section": "reference"}
        return self._renderer.response(request, "reference.html", values)

    async def entries(self, request: ConsoleRequest) -> Response:
        """Return the entries of a kind: a tree if they have parents and are not too many, else a list."""
        return await self._context.run_in_thread(self._render_entries, request, await request.merchant())

    def _render_entries(self, request: ConsoleRequest, merchant: str) -> Response:
        kind, text = request.path_param("kind"), request.query.get("q")
        after = request.query.get_raw("after") or None
        tree: list[tuple[ReferenceEntry, Any]] | None = None
        page = self._engine.reference(merchant, kind, search=text or None, after=after, limit=PAGE_ENTRIES)
        if not text and after is None and any(entry.parent for entry in page.rows):
            whole = self._engine.reference(merchant, kind, limit=TREE_ENTRIES_MAX)
            tree = build_tree(whole.rows) if whole.next is None else None
            if tree is not None and _levels(tree) > TREE_LEVELS_MAX:
                tree = None
        values: dict[str, Any] = {
            "kind": kind, "title": kind_title(kind), "q": text, "page": page, "tree": tree, "after": after,
            "can_load": request.caller.may("configure") and kind not in READ_ONLY_KINDS, "merchant": merchant,
            "section": "reference", "first_page": request.link(after=None),
            "next_page": request.link(after=page.next) if page.next else None,
        }
        return self._renderer.response(request, "reference_entries.html", values)

    async def usage(self, request: ConsoleRequest) -> Response:
        """Return the items that have the entry's code as a value, as many as one time-limited search finds."""
        return await self._context.run_in_thread(self._render_usage, request, await request.merchant())

    def _render_usage(self, request: ConsoleRequest, merchant: str) -> Response:
        kind, code = request.path_param("kind"), request.query.get_raw("code")
        after = request.query.get_raw("after") or None
        rows = sorted(self._context.store.collections(merchant), key=lambda row: row[0] != Kind.PRODUCT)
        collections = [f"{each}/{name}" for each, name, _ in rows]
        selected = request.query.get("in") or next(iter(collections), "")
        item_kind, _, collection = selected.partition("/")
        if selected and item_kind not in [*Kind]:
            raise refuse("parameter_invalid", "There is no such collection.", parameter="in")
        result = SearchResult(items=[], examined=0, next=None)
        if selected:
            result = search(
                self._context.store, merchant, Kind(item_kind), collection, uses_code(code), after=after,
                seconds=FIRST_SEARCH_SECONDS,
            )
        values: dict[str, Any] = {
            "kind": kind, "title": kind_title(kind), "code": code, "collections": collections, "selected": selected,
            "merchant": merchant, "section": "reference", "item_kind": item_kind, "collection": collection,
            "result": result, "after": after,
            "next_page": request.link(after=result.next) if result.next is not None else None,
        }
        return self._renderer.response(request, "reference_usage.html", values)

    async def load(self, request: ConsoleRequest) -> Response:
        """Load a file of entries, all or none."""
        request.check_csrf()
        merchant, kind, limits = await request.merchant(), request.path_param("kind"), self._context.limits
        upload = await UploadWithFields.start(
            request.body(limits.reference_body_bytes_max), bytes_max=limits.document_bytes_max
        )
        piece = await upload.read(self._context.uploads.buffer_bytes())
        format, content_encoding = detect_format(piece, upload.fields)
        with tempfile.TemporaryFile() as file:
            while piece:
                await self._context.run_in_thread(file.write, piece)
                piece = b"" if upload.ended else await upload.read(self._context.uploads.buffer_bytes())
            await self._context.run_in_thread(
                self._engine.load_reference, merchant, kind, _pieces(file), format=format,
                content_encoding=content_encoding, replace=upload.fields.get("replace") == "yes",
            )
        path = f"/console/merchants/{path_segment(merchant)}/reference/{path_segment(kind)}"
        return Response(status_code=202, headers={**HEADERS, "x-location": path})


def kind_title(kind: str) -> str:
    """Return the title of a kind of reference data."""
    return TITLES.get(kind, kind)


def build_tree(entries: list[ReferenceEntry]) -> list[tuple[ReferenceEntry, Any]]:
    """Return the top entries, each with its children; an entry whose parent does not exist is a top entry."""
    nodes: dict[str, tuple[ReferenceEntry, Any]] = {entry.code: (entry, []) for entry in entries}
    top: list[tuple[ReferenceEntry, Any]] = []
    for entry in entries:
        parent = nodes.get(entry.parent or "")
        node = nodes[entry.code]
        (top if parent is None or _is_in_cycle(entry, nodes) else parent[1]).append(node)
    return top


def _levels(tree: list[tuple[ReferenceEntry, Any]]) -> int:
    """Return the number of levels of a tree."""
    levels, nodes = 0, tree
    while nodes:
        levels += 1
        nodes = [child for _, children in nodes for child in children]
    return levels


def _is_in_cycle(entry: ReferenceEntry, nodes: dict[str, tuple[ReferenceEntry, Any]]) -> bool:
    """Return whether the parents of an entry form a cycle, so that it would be in no tree."""
    visited = {entry.code}
    parent = entry.parent
    while parent in nodes:
        if parent in visited:
            return True
        visited.add(parent)
        parent = nodes[parent][0].parent
    return False


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(PIECE_BYTES):
        yield piece
