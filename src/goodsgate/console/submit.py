"""The submit page: preview a file, map its columns, save how it is read, validate it, and submit it."""

import asyncio
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate import formats
from goodsgate.console.batch import batch_path
from goodsgate.console.preview import parse_kind, parse_policy, preview_columns, sheets_of, with_columns
from goodsgate.console.records import record_values
from goodsgate.console.rendering import HEADERS, PageRenderer
from goodsgate.console.request import NAME, NUMBER_DIGITS_MAX, ConsoleRequest
from goodsgate.console.upload import ENCODINGS_OFFERED, Fields, UploadWithFields, detect_format
from goodsgate.engine import Submission
from goodsgate.engine.dry_run import DryRunner
from goodsgate.engine.inspection import Inspection, head_bytes, inspect_file, profile_from
from goodsgate.engine.profile_recognition import with_recognized_profile
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.saved_profiles import save_profile, saved_profiles, with_saved_profile
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import refuse
from goodsgate.http.threads import WORK, Work
from goodsgate.model.batch import RESULTS, Kind, Policy, Strictness, Verb
from goodsgate.model.fields import FIELDS, REQUIRED
from goodsgate.model.guard import CONDITIONS
from goodsgate.profiles import profile_names

VALIDATION_BYTES_MAX = 32 * 1024**2
"""Larger files are checked with `goodsgate check`, which takes no time of the server."""
LABEL_CHARACTERS_MAX = 200
DELIMITERS_OFFERED = ("comma", "semicolon", "tab", "pipe")


class SubmitPage:
    """Everything under ``/console/merchants/{merchant}/submit``."""

    def __init__(self, context: ServerContext, renderer: PageRenderer, dry_runner: DryRunner) -> None:
        self._context = context
        self._store = context.store
        self._renderer = renderer
        self._dry_runner = dry_runner
        self._validation_lock = asyncio.Lock()

    async def get(self, request: ConsoleRequest) -> Response:
        """Return the page on which a file is dropped."""
        values = {"merchant": await request.merchant(), "section": "submit"}
        return self._renderer.response(request, "submit.html", values)

    async def preview(self, request: ConsoleRequest) -> Response:
        """Return a preview of the file, with a form for its mapping and policy."""
        merchant, upload = await self._start_upload(request, self._context.engine.settings.read_limits.xlsx_bytes_max)
        head = await upload.read(self._context.engine.settings.read_limits.xlsx_bytes_max)
        WORK.set(Work.FILES)
        return await self._context.run_in_thread(self._render_preview, request, merchant, upload.fields, head)

    async def save_profile(self, request: ConsoleRequest) -> Response:
        """Save how the file is read as a profile, and return the preview by it."""
        bytes_max = self._context.engine.settings.read_limits.xlsx_bytes_max
        merchant, upload = await self._start_upload(request, bytes_max)
        head = await upload.read(bytes_max)
        name = upload.fields.get("save_as", "").strip()
        if not NAME.fullmatch(name):
            message = "A profile name contains only letters, digits, dots, hyphens and underscores."
            raise refuse("parameter_invalid", message, parameter="save_as")
        WORK.set(Work.FILES)
        return await self._context.run_in_thread(self._save_profile, request, merchant, upload.fields, head, name)

    def _save_profile(self, request: ConsoleRequest, merchant: str, form: Fields, head: bytes, name: str) -> Response:
        save_profile(self._store, merchant, name, profile_from(self._inspect(merchant, form, head)))
        form = {**form, "profile": name, "mapped_with": name, "save_as": ""}
        return self._render_preview(request, merchant, form, head, saved_as=name)

    def _inspect(self, merchant: str, form: Fields, head: bytes) -> Inspection:
        """Inspect the first bytes of a file by the options of the form."""
        format, content_encoding = detect_format(head, form)
        is_whole = form.get("whole") == "true"
        limits = self._context.engine.settings.read_limits
        least = head_bytes(format, content_encoding, limits)
        if len(head) > least:
            head, is_whole = head[:least], False
        kind, policy = parse_kind(form), with_saved_profile(self._store, merchant, parse_policy(form))
        policy = with_recognized_profile(
            self._store, merchant, policy, [head], kind=kind, format=format, content_encoding=content_encoding,
            limits=limits,
        )
        return inspect_file(
            self._dry_runner, head, limits, is_whole=is_whole, merchant=merchant, kind=kind,
            collection=parse_collection(form), policy=with_columns(policy, form), format=format,
            content_encoding=content_encoding,
        )

    def _render_preview(self, request: ConsoleRequest, merchant: str, form: Fields, head: bytes, *,
                        saved_as: str = "") -> Response:
        inspection, kind = self._inspect(merchant, form, head), parse_kind(form)
        counts, policy = inspection.dry_run.batch.counts, inspection.policy
        size = form.get("bytes", "")
        bytes_total = int(size) if size.isdecimal() and len(size) <= NUMBER_DIGITS_MAX else 0
        values: dict[str, Any] = {
            "sample": inspection.sample, "contents": inspection.contents, "saved_as": saved_as,
            "columns": preview_columns(inspection.sample, policy.mapping),
            "items": [_indented(item.document) for item in inspection.dry_run.items], "checked": counts.accounted,
            "results": [(name, count) for name in RESULTS if (count := getattr(counts, name))],
            "fields_needed": ["id", REQUIRED[kind]], "encodings": ENCODINGS_OFFERED,
            "delimiters": [*dict.fromkeys((*DELIMITERS_OFFERED, *filter(None, [form.get("delimiter")])))],
            "form": form, "kind": kind, "kinds": [*Kind], "verbs": [*Verb], "is_whole": inspection.is_whole,
            "strictness": [*Strictness], "fields": [*FIELDS[kind]], "formats": formats.FORMATS,
            "profiles": [*sorted(saved_profiles(self._store, merchant)), *profile_names()],
            "sheets": sheets_of(inspection),
            "mapped_with": policy.saved_profile or "", "merchant": merchant,
            "conditions": CONDITIONS, "hold_if": policy.hold_if,
            "bytes_total": bytes_total, "can_validate": bytes_total <= VALIDATION_BYTES_MAX,
            "validation_bytes_max": VALIDATION_BYTES_MAX,
            "collections": sorted({name for _, name, _ in self._store.collections(merchant)} | {"products"}),
        }
        return self._renderer.response(request, "preview_fragment.html", values)

    def _policy(self, merchant: str, form: Fields) -> Policy:
        """Return the policy of a submission: what the preview that was sent back shows."""
        policy = parse_policy(form)
        if policy.profile is None and form.get("mapped_with"):
            policy = msgspec.structs.replace(policy, profile=form["mapped_with"])
        return with_columns(with_saved_profile(self._store, merchant, policy), form)

    async def validate(self, request: ConsoleRequest) -> Response:
        """Return what a submission of the file would result in; one validation at a time in a process."""
        bytes_max = VALIDATION_BYTES_MAX + self._context.limits.document_bytes_max
        merchant, upload = await self._start_upload(request, bytes_max)
        content = await upload.read(VALIDATION_BYTES_MAX + 1)
        if len(content) > VALIDATION_BYTES_MAX:
            message = f"Files of more than {VALIDATION_BYTES_MAX} bytes are checked with `goodsgate check`."
            raise Refusal("payload_too_large", message)
        WORK.set(Work.FILES)
        async with self._validation_lock:
            return await self._context.run_in_thread(
                self._render_validation, request, merchant, upload.fields, content
            )

    def _render_validation(self, request: ConsoleRequest, merchant: str, form: Fields, content: bytes) -> Response:
        format, content_encoding = detect_format(content, form)
        policy = msgspec.structs.replace(self._policy(merchant, form), mode="delta", dry_run=False)
        dry_run = self._dry_runner.run(
            [content], merchant=merchant, kind=parse_kind(form), collection=parse_collection(form), policy=policy,
            format=format, content_encoding=content_encoding,
        )
        records = [record_values(dry_run.batch, finding, None, None) for finding in dry_run.rejected]
        values = {"batch": dry_run.batch, "groups": dry_run.groups, "records": records}
        return self._renderer.response(request, "validation_fragment.html", values)

    async def submit(self, request: ConsoleRequest) -> Response:
        """Accept the file as a new batch."""
        limits = self._context.limits
        merchant, upload = await self._start_upload(request, limits.body_bytes_max)
        form = upload.fields
        kind, collection = parse_kind(form), parse_collection(form)
        policy = await self._context.run_in_thread(self._policy, merchant, form)

        def begin(head: bytes) -> Submission:
            format, content_encoding = detect_format(head, form)
            return self._context.engine.submit(
                merchant=merchant, kind=kind, collection=collection, policy=policy, format=format,
                content_encoding=content_encoding, label=_label(form), protocol="console",
            )

        receipt = await self._context.stream_body(upload, begin)
        assert receipt.batch is not None
        return Response(status_code=202, headers={**HEADERS, "x-location": batch_path(receipt.batch)})

    async def _start_upload(self, request: ConsoleRequest, bytes_max: int) -> tuple[str, UploadWithFields]:
        request.check_csrf()
        limit = self._context.limits.document_bytes_max
        body = request.body(min(bytes_max + limit, self._context.limits.body_bytes_max))
        return await request.merchant(), await UploadWithFields.start(body, bytes_max=limit)


def parse_collection(form: Fields) -> str:
    """Return the collection in the form; raises parameter_invalid."""
    name = form.get("collection", "").strip() or "products"
    if not NAME.fullmatch(name):
        message = "A collection name contains only letters, digits, dots, hyphens and underscores."
        raise refuse("parameter_invalid", message, parameter="collection")
    return name


def _label(form: Fields) -> str:
    label = form.get("label", "").strip() or form.get("filename", "")
    return "".join(character for character in label if character.isprintable())[:LABEL_CHARACTERS_MAX]


def _indented(document: bytes) -> str:
    return msgspec.json.format(document, indent=2).decode("utf-8", "replace")
