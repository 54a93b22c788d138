"""Submitting: a file is recognised, its columns mapped, checked without effect, and sent."""

import asyncio
import re
import tempfile
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate import formats
from goodsgate.config import Config
from goodsgate.console.batch import path_of
from goodsgate.console.framed import Fields, Framed, detected
from goodsgate.console.looking import kind_of, look, mapping_of, policy_of
from goodsgate.console.pages import HEADERS, Pages
from goodsgate.console.records import shown
from goodsgate.console.visit import Visit
from goodsgate.engine import Submission
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.trial import SPOTLESS_RECORDS, Foretold, foretell
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import refuse
from goodsgate.model.batch import Kind, Strictness, Verb
from goodsgate.model.fields import FIELDS
from goodsgate.store.contract import Store

CHECKED_BYTES_MAX = 32 * 1024**2
"""A larger file is checked with `goodsgate check`, which takes nobody else's time."""
HEAD_BYTES = 1024**2
LABEL_CHARACTERS_MAX = 200
COLLECTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Submit:
    """Everything under ``/console/of/{merchant}/submit``."""

    def __init__(self, context: ServerContext, pages: Pages, *, open_store: Callable[[Config], Store]) -> None:
        self._context = context
        self._store = context.store
        self._pages = pages
        self._open_store = open_store
        self._checking = asyncio.Lock()

    async def get(self, visit: Visit) -> Response:
        """Where a file is dropped."""
        visit.allow("submit")
        words = {"merchant": await visit.merchant(), "place": "submit"}
        return self._pages.answer(visit, "submit.html", words)

    async def look(self, visit: Visit) -> Response:
        """What the head of the file shows, with a form that says how the rest is to be treated."""
        merchant, body = await self._opened(visit, self._context.config.xlsx_bytes_max)
        head = await body.read(self._context.config.xlsx_bytes_max)
        return await self._context.run_in_thread(self._looked, visit, merchant, body.fields, head)

    def _looked(self, visit: Visit, merchant: str, told: Fields, head: bytes) -> Response:
        format, content_encoding = detected(head, told)
        whole = told.get("whole") == "true"
        if format != "xlsx" and len(head) > HEAD_BYTES:
            head, whole = head[:HEAD_BYTES], False
        saved = self._store.mappings(merchant)
        kind, mapping = kind_of(told), mapping_of(told, saved)
        looked = look(
            head, self._context.config, format=format, content_encoding=content_encoding, whole=whole, kind=kind,
            mapping=mapping
        )
        bytes_total = int(told["bytes"]) if told.get("bytes", "").isdecimal() else 0
        words: dict[str, Any] = {
            "looked": looked, "told": told, "kind": kind, "kinds": [*Kind], "verbs": [*Verb], "whole": whole,
            "treatments": [*Strictness], "fields": [*FIELDS[kind]], "formats": formats.FORMATS, "saved": sorted(saved),
            "mapped_with": told.get("mapping", ""), "merchant": merchant, "bytes_total": bytes_total,
            "can_check": bytes_total <= CHECKED_BYTES_MAX, "checked_bytes_max": CHECKED_BYTES_MAX,
            "collections": sorted({name for _, name, _ in self._store.collections(merchant)} | {"products"}),
        }
        return self._pages.answer(visit, "looked.html", words)

    async def check(self, visit: Visit) -> Response:
        """What would become of the file, without any effect; one check at a time in a process."""
        merchant, body = await self._opened(visit, CHECKED_BYTES_MAX + self._context.config.document_bytes_max)
        sent = await body.read(CHECKED_BYTES_MAX + 1)
        if len(sent) > CHECKED_BYTES_MAX:
            raise Refusal("payload_too_large", f"A file of more than {CHECKED_BYTES_MAX} bytes is not checked here.")
        async with self._checking:
            return await self._context.run_in_thread(self._checked, visit, merchant, body.fields, sent)

    def _checked(self, visit: Visit, merchant: str, told: Fields, sent: bytes) -> Response:
        format, content_encoding = detected(sent, told)
        policy = policy_of(told, mapping_of(told, self._store.mappings(merchant)))
        policy = msgspec.structs.replace(policy, mode="delta")
        with tempfile.TemporaryDirectory(prefix="goodsgate-check-") as folder:
            config = msgspec.structs.replace(
                self._context.config, store=folder, spotless_records=SPOTLESS_RECORDS, catalogue_cache_bytes=8 * 1024**2
            )
            scratch = self._open_store(config)
            try:
                scratch.migrate()
                foretold = foretell(
                    self._store, scratch, config, [sent], merchant=merchant, kind=kind_of(told),
                    collection=collection_of(told), policy=policy, format=format, content_encoding=content_encoding,
                )
            finally:
                scratch.close()
        return self._pages.answer(visit, "checked.html", _foretold_words(foretold))

    async def send(self, visit: Visit) -> Response:
        """The file, as a new batch; the mapping is saved first, if it is to be."""
        config = self._context.config
        merchant, body = await self._opened(visit, config.body_bytes_max)
        told = body.fields
        saved = await self._context.run_in_thread(self._store.mappings, merchant)
        mapping, kind, collection = mapping_of(told, saved), kind_of(told), collection_of(told)
        policy = policy_of(told, mapping)
        if name := told.get("save_as", "").strip():
            if not NAME.fullmatch(name):
                raise refuse("parameter_invalid", "A mapping's name is letters, digits, dots and dashes.")
            await self._context.run_in_thread(self._store.put_mapping, merchant, name, mapping)

        def begin(head: bytes) -> Submission:
            format, content_encoding = detected(head, told)
            return self._context.engine.submit(
                merchant=merchant, kind=kind, collection=collection, policy=policy, format=format,
                content_encoding=content_encoding,
                label=_label(told), protocol="console",
            )

        receipt = await self._context.stream_body(body, begin)
        assert receipt.batch is not None
        return Response(status_code=202, headers={**HEADERS, "x-location": path_of(receipt.batch)})

    async def _opened(self, visit: Visit, bytes_max: int) -> tuple[str, Framed]:
        visit.allow("submit")
        visit.check()
        limit = self._context.config.document_bytes_max
        body = visit.body(min(bytes_max + limit, self._context.config.body_bytes_max))
        return await visit.merchant(), await Framed.opened(body, bytes_max=limit)


def collection_of(told: Fields) -> str:
    """Where the items go; raises parameter_invalid."""
    name = told.get("collection", "").strip() or "products"
    if not COLLECTION.fullmatch(name):
        raise refuse("parameter_invalid", "A collection's name is letters, digits, dots and dashes.")
    return name


def _label(told: Fields) -> str:
    wanted = told.get("label", "").strip() or told.get("filename", "")
    return "".join(character for character in wanted if character.isprintable())[:LABEL_CHARACTERS_MAX]


def _foretold_words(foretold: Foretold) -> dict[str, Any]:
    records = [shown(foretold.batch, finding, None, None) for finding in foretold.rejected]
    return {"batch": foretold.batch, "groups": foretold.groups, "records": records}
