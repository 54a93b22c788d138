"""Documents of a schema in, keys, ties and issues out."""

import logging
import secrets
from collections.abc import Sequence
from functools import cached_property

from goodsgate.model.batch import Policy
from goodsgate.model.issue import Issue, issue
from goodsgate.rules.checker import CheckResult, cut_issues
from goodsgate.rules.context import rule_context
from goodsgate.rules.document import UnreadableError, decode_document
from goodsgate.rules.record_mapping import RecordRefs
from goodsgate.rules.reference_data import ReferenceData
from goodsgate.rules.schema import Schema
from goodsgate.rules.schema_fast_path import DEPTH, Acquit, Record

log = logging.getLogger(__name__)


class SchemaChecker:
    """The rules of one schema under one policy."""

    def __init__(self, schema: Schema, policy: Policy, reference: ReferenceData, *, issues_per_record_max: int,
                 depth_max: int) -> None:
        self.schema = schema
        self.reference = reference
        self._context = rule_context(policy, reference)
        self._issues_max = issues_per_record_max
        self._depth_max = depth_max

    def check(self, documents: Sequence[bytes]) -> CheckResult:
        """Look at documents (JSON objects); never raises for what they hold."""
        refs_of_records: list[RecordRefs | None] = []
        checked = CheckResult([], [None] * len(documents), None, {}, refs_of_records)
        for at, document in enumerate(documents):
            told: list[Issue] = []
            key, refs = None, None
            try:
                record = self._acquitted(document)
                if record is None:
                    record = plain = decode_document(document, depth_max=self._depth_max)
                    self.schema.check_record(plain, "", self._context, told)
                key = self.schema.mapping.key_of(record)
                refs = self.schema.mapping.refs_of(record, told)
            except UnreadableError as unreadable:
                told = [unreadable.issue]
            except Exception:
                name = secrets.token_hex(4)
                log.exception("fault %s in a schema's rules for %d bytes", name, len(document))
                told, refs = [issue("internal_fault", value=name)], None
            checked.keys.append(key)
            refs_of_records.append(refs)
            if told:
                checked.issues[at] = cut_issues(told, self._issues_max)
        return checked

    def _acquitted(self, document: bytes) -> Record | None:
        """The record, if nothing can be wrong with it."""
        try:
            return self._acquit(document) if self._depth_max >= DEPTH else None
        except Exception:  # whatever the fast way trips over, the rules tell the truth
            return None

    @cached_property
    def _acquit(self) -> Acquit:
        return self.schema.form.under(self._context)
