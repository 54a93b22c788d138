"""The rules of a merchant for the records of one kind and collection, compiled.

A rule is about a record as the catalogue would hold it: after an update was merged into its item. A rule that fails on
a record says nothing about the record; that is counted for the rule.
"""

from collections.abc import Mapping, Sequence

import msgspec
import orjson

from goodsgate.model.batch import Kind
from goodsgate.model.issue import Issue, has_error, issue, rule_code
from goodsgate.model.json_text import read_json
from goodsgate.model.record_rule import RecordRule
from goodsgate.model.rule_counts import RuleCounts
from goodsgate.rules.cel import Conjunction, EvaluationError, Expression, ExpressionError, activation
from goodsgate.rules.context import pointer
from goodsgate.rules.json_schema import JsonSchema, JsonSchemaError
from goodsgate.rules.passed_documents import PassedDocuments, new_salt

CATEGORY_FIELDS = ("product_type", "google_product_category")
"""Members that name the category of a product: a text, or a list of texts."""
CATEGORY_SEPARATOR = " > "
TOO_COSTLY = "the record is too large for this rule"
REJECTED = RuleCounts(rejected=1)
WARNED = RuleCounts(warned=1)
ACCEPTED = RuleCounts(accepted=1)
KEY_PATHS = ("/id", "/location")
RULE_SETS_MAX = 32
"""Kinds and collections whose compiled rules are kept."""

Record = dict[str, object]


class RuleResults(msgspec.Struct):
    """What the rules say about one record, if it is more than that it is in order."""

    issues: list[Issue] = []
    counts: list[tuple[str, RuleCounts]] = []
    """Name of a rule that only counts, or that failed, and what to add to its counts."""


class CompiledRule:
    """One rule with an expression or a schema."""

    def __init__(self, name: str, rule: RecordRule) -> None:
        """Compile the rule."""
        self.name = name
        self.rule = rule
        self.expression: Expression | None = None
        self.schema: JsonSchema | None = None
        self.fault: str | None = None
        """Why the rule cannot be used, so that it fails on every record."""
        try:
            if rule.expression is not None:
                self.expression = Expression(rule.expression)
            elif rule.schema is not None:
                self.schema = JsonSchema(rule.schema)
        except (ExpressionError, JsonSchemaError) as fault:
            self.fault = str(fault)
        self.path = pointer("", rule.field) if rule.field is not None else ""
        if rule.field is None and self.expression is not None and (members := self.expression.members.record):
            self.path = pointer("", next(iter(members))) if len(members) == 1 else ""

    @property
    def reads_current(self) -> bool:
        """Whether the rule reads the item that a record would replace."""
        return self.expression is not None and self.expression.members.held != frozenset()

    def issues_of(self, record: Record, document: bytes, variables: object) -> list[Issue]:
        """Return the issues of a record; none if it is in order. Raises EvaluationError."""
        check = self.expression or self.schema
        if check is None:
            raise EvaluationError(self.fault or "it has no expression and no schema")
        if not check.fits(document):
            raise EvaluationError(TOO_COSTLY)
        if self.expression is not None:
            return [] if self.expression.holds(variables) else [self._issue(self.path, record)]
        assert self.schema is not None
        errors = self.schema.errors(record, document)
        if self.rule.field is not None or self.rule.message is not None:
            paths = dict.fromkeys(self.path or path for path, _, _ in errors)
            return [self._issue(path, record) for path in paths]
        return [self._issue(path, record, message=message) for path, _, message in errors]

    def _issue(self, path: str, record: Record, *, message: str | None = None) -> Issue:
        rule = self.rule
        value = _value_at(record, path)
        return issue(
            rule_code(self.name), path, value=value, severity=rule.severity, suggestion=rule.suggestion,
            expected=rule.message or message or f'The record breaks the rule "{self.name}".',
        )


class RuleSet:
    """The rules for the records of one kind and collection."""

    def __init__(self, rules: Sequence[CompiledRule], shadow_severities: Mapping[str, tuple[str, RecordRule]],
                 passed: PassedDocuments) -> None:
        """Take compiled rules, and by code those that only count what another severity of the code would change."""
        self._passed = passed
        self._salt = new_salt()
        self._rules = [each for each in rules if each.rule.category is None]
        self._category_rules = [each for each in rules if each.rule.category is not None]
        self._shadow_severities = shadow_severities
        self.reads_current = any(each.reads_current for each in rules)
        """Whether any rule reads the item that a record would replace."""
        self._members = _members_read(rules)
        self._has_expressions = any(each.expression is not None for each in rules)
        expressions = [each.expression for each in self._rules if each.expression is not None]
        self._all_hold = Conjunction(expressions) if expressions else None
        self._schemas = [each.schema for each in self._rules if each.schema is not None]
        self._is_broken = any(each.fault is not None for each in self._rules)

    def has_passed(self, digest: bytes) -> bool:
        """Return whether the document with a hash is known to be in order, whatever item it replaces."""
        return not self.reads_current and self._passed.contain(self._passed.fingerprint(digest, self._salt))

    def check(self, document: bytes, digest: bytes, held: bytes | None) -> RuleResults | None:
        """Return what the rules say about a document and the item that it replaces; None if it is in order.

        `digest` is the hash of the document, by which it is remembered if it is in order.
        """
        results = self._check(document, held)
        if results is None and not self.reads_current:
            self._passed.add(self._passed.fingerprint(digest, self._salt))
        return results

    def pass_together(self, documents: Sequence[bytes], digests: Sequence[bytes]) -> bool:
        """Return whether nothing is to be said about any of some documents, if that is found out at once."""
        if self._is_broken or self._category_rules:
            return False
        records = [*map(_decode, documents)]
        for document, record in zip(documents, records, strict=True):
            if not all(schema.fits(document) and schema.holds(record) for schema in self._schemas):
                return False
        if self._all_hold is not None:
            if not all(map(self._all_hold.fits, documents)):
                return False
            if not self._all_hold.surely_holds_for_all([*map(self._members_of, records)]):
                return False
        for digest in digests:
            self._passed.add(self._passed.fingerprint(digest, self._salt))
        return True

    def _members_of(self, record: Record) -> Record:
        """Return the members that expressions read."""
        members = self._members
        return record if members is None else {name: record[name] for name in members if name in record}

    def _check(self, document: bytes, held: bytes | None) -> RuleResults | None:
        record = _decode(document)
        variables = None
        if self._has_expressions:
            before = _decode(held) if held is not None and self.reads_current else None
            variables = activation(self._members_of(record), before)
        results = RuleResults([], [])
        if not self._surely_hold(record, document, variables):
            for each in self._rules:
                _check_one(each, record, document, variables, results)
        for each in self._category_rules:
            if is_in_category(record, each.rule.category):
                _check_one(each, record, document, variables, results)
        return results if results.issues or results.counts else None

    def _surely_hold(self, record: Record, document: bytes, variables: object) -> bool:
        """Return whether all rules for every category hold, by one evaluation for all expressions."""
        every = self._all_hold
        if self._is_broken:
            return False
        if every is not None and not (every.fits(document) and every.surely_holds(variables)):
            return False
        return all(schema.fits(document) and schema.holds(record) for schema in self._schemas)

    def count_severities(self, issues: Sequence[Issue]) -> list[tuple[str, RuleCounts]]:
        """Return what other severities of codes of the gate would change for a record, by rules that only count."""
        counts = []
        for code in {each.code for each in issues} & self._shadow_severities.keys():
            name, rule = self._shadow_severities[code]
            others = [each for each in issues if each.code != code]
            is_rejected, stays_rejected = has_error(issues), has_error(others)
            if rule.severity == "error" and not is_rejected:
                counts.append((name, REJECTED))
            elif rule.severity == "warning" and is_rejected and not stays_rejected:
                counts.append((name, ACCEPTED))
        return counts


class SeverityRules:
    """Severities that a merchant has set for codes of the gate."""

    def __init__(self, rules: Sequence[RecordRule]) -> None:
        self._rules: dict[str, list[RecordRule]] = {}
        for rule in rules:
            if rule.code is not None:
                self._rules.setdefault(rule.code, []).append(rule)

    def adjust(self, issues: list[Issue], record: Record) -> list[Issue]:
        """Return the issues of a record with their severities; of its key they stay."""
        if self._rules.keys().isdisjoint(each.code for each in issues):
            return issues
        return [self._adjust_one(each, record) for each in issues]

    def _adjust_one(self, found: Issue, record: Record) -> Issue:
        for rule in self._rules.get(found.code, ()):
            is_about = rule.category is None or is_in_category(record, rule.category)
            if is_about and found.severity != rule.severity and found.path not in KEY_PATHS:
                return msgspec.structs.replace(found, severity=rule.severity)
        return found


class RecordRules:
    """All rules of one merchant."""

    def __init__(self, rules: Mapping[str, RecordRule], passed: PassedDocuments) -> None:
        """Take the rules by name."""
        self._passed = passed
        self._rules = {name: rule for name, rule in rules.items() if rule.mode != "off"}
        self._rule_sets: dict[tuple[Kind, str], RuleSet | None] = {}

    def severities(self, kind: Kind, collection: str) -> SeverityRules | None:
        """Return the severities for the records of a kind and collection; None if none is set."""
        if not self._rules:
            return None
        rules = [
            rule for rule in self._about(kind, collection).values() if rule.code is not None and rule.mode == "on"
        ]
        return SeverityRules(rules) if rules else None

    def rule_set(self, kind: Kind, collection: str) -> RuleSet | None:
        """Return the rules for the records of a kind and collection; None if there are none."""
        if not self._rules:
            return None
        if (kind, collection) not in self._rule_sets:
            if len(self._rule_sets) >= RULE_SETS_MAX:
                self._rule_sets.clear()
            self._rule_sets[kind, collection] = self._compile(kind, collection)
        return self._rule_sets[kind, collection]

    def _compile(self, kind: Kind, collection: str) -> RuleSet | None:
        compiled, shadow_severities = [], {}
        for name, rule in self._about(kind, collection).items():
            if rule.code is None:
                compiled.append(CompiledRule(name, rule))
            elif rule.mode == "shadow":
                shadow_severities[rule.code] = (name, rule)
        return RuleSet(compiled, shadow_severities, self._passed) if compiled or shadow_severities else None

    def _about(self, kind: Kind, collection: str) -> dict[str, RecordRule]:
        return {
            name: rule for name, rule in self._rules.items()
            if rule.kind is kind and rule.collection in (None, collection)
        }


def is_in_category(record: Record, category: str | None) -> bool:
    """Return whether a product is in a category or below it: ``Toys > Games`` is below ``Toys``."""
    if category is None:
        return True
    wanted = category.casefold()
    for field in CATEGORY_FIELDS:
        value = record.get(field)
        for each in value if isinstance(value, list) else [value]:
            text = str(each).casefold() if each is not None else ""
            if text == wanted or text.startswith(wanted + CATEGORY_SEPARATOR):
                return True
    return False


def _check_one(each: CompiledRule, record: Record, document: bytes, variables: object, results: RuleResults) -> None:
    try:
        found = each.issues_of(record, document, variables)
    except EvaluationError as fault:
        results.counts.append((each.name, RuleCounts(faults=1, fault=str(fault))))
        return
    if found and each.rule.mode == "shadow":
        results.counts.append((each.name, REJECTED if each.rule.severity == "error" else WARNED))
    else:
        results.issues += found


def _members_read(rules: Sequence[CompiledRule]) -> frozenset[str] | None:
    """Return the members of records that expressions read; None if they may read any."""
    read: frozenset[str] = frozenset()
    for each in rules:
        if each.expression is not None:
            if each.expression.members.record is None:
                return None
            read |= each.expression.members.record
    return read


def _decode(document: bytes) -> Record:
    try:
        record: Record = orjson.loads(document)
    except orjson.JSONDecodeError:  # half a surrogate pair, for example, which the gate stores as it was received
        record = read_json(document)
    return record


def _value_at(record: Record, path: str) -> object:
    """Return the value at a path; None if there is none."""
    value: object = record if path else None
    for step in path.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value
