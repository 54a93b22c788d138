"""Check documents against a schema: bytes in; keys, references to items, and issues out."""

import logging
import secrets
from collections.abc import Sequence
from functools import cached_property

from goodsgate.model.batch import Policy
from goodsgate.model.issue import Issue, issue
from goodsgate.model.json_text import has_nul
from goodsgate.rules.checker import CheckResult, cut_issues
from goodsgate.rules.context import rule_context
from goodsgate.rules.document import UnreadableError, decode_document
from goodsgate.rules.record_mapping import RecordRefs
from goodsgate.rules.reference_data import ReferenceData
from goodsgate.rules.schema import Schema
from goodsgate.rules.schema_fast_path import DEPTH, AcceptValid, Record
from goodsgate.rules.text_checks import add_nul_issues

log = logging.getLogger(__name__)


class SchemaChecker:
    """Compiled rules of one schema under one policy."""

    def __init__(self, schema: Schema, policy: Policy, reference: ReferenceData, *, issues_per_record_max: int,
                 depth_max: int) -> None:
        self.schema = schema
        self.reference = reference
        self._context = rule_context(policy, reference)
        self._issues_max = issues_per_record_max
        self._depth_max = depth_max

    def check(self, documents: Sequence[bytes]) -> CheckResult:
        """Check documents (JSON objects); never raises for what they contain."""
        refs_of_records: list[RecordRefs | None] = []
        result = CheckResult([], [None] * len(documents), None, {}, refs_of_records)
        for at, document in enumerate(documents):
            issues: list[Issue] = []
            key, refs = None, None
            try:
                record = self._decode_valid(document)
                if record is None:
                    record = decoded = decode_document(document, depth_max=self._depth_max)
                    self.schema.check_record(decoded, "", self._context, issues)
                    if has_nul(document):
                        add_nul_issues(decoded, self.schema.members, issues)
                key = self.schema.mapping.key_of(record)
                refs = self.schema.mapping.refs_of(record, issues)
            except UnreadableError as error:
                issues = [error.issue]
            except Exception:
                name = secrets.token_hex(4)
                log.exception("fault %s in a schema's rules for %d bytes", name, len(document))
                issues, refs = [issue("internal_fault", value=name)], None
            result.keys.append(key)
            refs_of_records.append(refs)
            if issues:
                result.issues[at] = cut_issues(issues, self._issues_max)
        return result

    def _decode_valid(self, document: bytes) -> Record | None:
        """Return the record if it is certainly valid, else None."""
        try:
            return self._fast_path(document) if self._depth_max >= DEPTH else None
        except Exception:  # whatever the fast path fails on, the rules decide
            return None

    @cached_property
    def _fast_path(self) -> AcceptValid:
        return self.schema.fast_path.compile(self._context)
