"""Documents in, keys, versions and issues out."""

import json
import logging
import secrets
from array import array
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain, compress, repeat
from operator import attrgetter
from typing import Any, NoReturn

import msgspec
import orjson

from goodsgate.model.batch import Kind, Policy, Verb
from goodsgate.model.catalogue import item_key
from goodsgate.model.issue import Issue, issue
from goodsgate.rules.columns import Columns
from goodsgate.rules.context import rule_context
from goodsgate.rules.record_mapping import RecordRefs
from goodsgate.rules.record_rules import Record, check_record, key_of, version_of
from goodsgate.rules.reference_data import ReferenceData
from goodsgate.rules.spotless import Looks, PriceLooks, StockLooks, is_dirty
from goodsgate.rules.spotless_product import ProductLooks
from goodsgate.rules.timestamps import EPOCH, MICROSECOND
from goodsgate.rules.typed_decoder import DEPTH, Form
from goodsgate.rules.valid_cache import ValidCache, key_at, new_salt, spots_of

log = logging.getLogger(__name__)

CLUSTER = 128
"""Documents that are looked at together; few enough that one odd record makes little work for its neighbours."""

_LOOKS: dict[Kind, type[Looks]] = {Kind.PRODUCT: ProductLooks, Kind.PRICE: PriceLooks, Kind.STOCK: StockLooks}


class UnreadableError(Exception):
    """A document is no record; carries the issue that says why."""

    def __init__(self, told: Issue) -> None:
        super().__init__(told.code)
        self.issue = told


class CheckResult(msgspec.Struct):
    """What is known of documents after the rules; the lists have an entry for each document, in their order."""

    keys: list[str | None]
    """None where the record has no key that could be held; its issues say why."""
    versions: list[int | None]
    verbs: list[Verb | None] | None
    """What the records themselves ask for; None if none of them does."""
    issues: dict[int, list[Issue]]
    """Index → errors and warnings; an index that is absent is spotless."""
    refs: list[RecordRefs | None] | None = None
    """What each record of a schema refers to (None for one that cannot be read); None without a schema."""


class KeyFields(msgspec.Struct, gc=False, rename={"verb": "_verb"}):
    """What must be known of a record that was found spotless before."""

    id: str
    location: str | None = None
    version_number: int | None = None
    observed_at: datetime | None = None
    verb: Verb | None = None


class ProductKeyFields(KeyFields, gc=False, rename={"verb": "_verb"}):
    """The same of a product, where a location is nobody's business."""

    location: Any = None


NOTED = KeyFields.__struct_fields__
facts_of = attrgetter(*NOTED)


class Checker:
    """Compiled rules for one kind under one policy; keeps what it learns of a feed, is not for several threads."""

    def __init__(
        self, kind: Kind, policy: Policy, reference: ReferenceData, *, issues_per_record_max: int, depth_max: int,
        valid_cache: ValidCache | None = None,
    ) -> None:
        self.kind = kind
        self.verb = policy.verb
        self._context = rule_context(policy, reference)
        self._calm = msgspec.structs.replace(self._context, ascii_only=True)
        self._issues_max = issues_per_record_max
        self._depth_max = depth_max
        self._form = Form(kind)
        self._looks = _LOOKS[kind](self._context, policy.verb, self._form)
        self._keyed = kind is Kind.PRODUCT
        self._valid_cache = valid_cache
        self._salt = new_salt()
        self._brief = msgspec.json.Decoder(ProductKeyFields if self._keyed else KeyFields).decode
        if depth_max < DEPTH:
            self._form.refuse_all()

    def check(self, documents: Sequence[bytes], hashes: Sequence[bytes] | None = None) -> CheckResult:
        """Look at documents (JSON objects in our field names); never raises for what they hold.

        With `hashes` of their bytes (16 bytes each), those found spotless before are not looked at again.
        """
        checked = CheckResult([None] * len(documents), [None] * len(documents), None, {})
        fresh: Sequence[int] = range(len(documents))
        marks: list[int] = []
        if hashes is not None and self._valid_cache is not None:
            salt = self._salt
            marks = [half ^ salt for half in array("Q", b"".join(hashes))[::2]]
            fresh = self._recall(documents, marks, checked)
        for first in range(0, len(fresh), CLUSTER):
            self._check_cluster(documents, fresh[first : first + CLUSTER], marks, checked)
        return checked

    def _recall(self, documents: Sequence[bytes], marks: Sequence[int], checked: CheckResult) -> list[int]:
        """Note what is to be known of documents found spotless before; the others are given back."""
        assert self._valid_cache is not None
        keys, lowest = checked.keys, self._valid_cache.lowest
        spots = self._valid_cache.recall(marks)
        fresh = [at for at, spot in enumerate(spots) if spot > lowest]
        if len(fresh) == len(spots):
            return fresh
        for at, spot in enumerate(spots):
            if 0 < spot <= lowest:
                keys[at] = key_at(documents[at], spot)
            elif not spot:
                self._note(at, checked, *facts_of(self._brief(documents[at])))
        return fresh

    def _note(self, at: int, checked: CheckResult, id: str, location: str | None, number: int | None,
              observed_at: datetime | None, verb: Verb | None) -> None:
        checked.keys[at] = id if self._keyed else item_key(id, location)
        if number is not None:
            checked.versions[at] = number
        elif observed_at is not None:
            checked.versions[at] = (observed_at - EPOCH) // MICROSECOND
        if verb is not None:
            _note_verb(checked, at, verb)

    def _check_cluster(self, documents: Sequence[bytes], cluster: Sequence[int], marks: Sequence[int],
                       checked: CheckResult) -> None:
        decode = self._form.decode
        places: list[int] = []
        records: list[Any] = []
        for at in cluster:
            document = documents[at]
            try:
                records.append(decode(document))
                places.append(at)
                continue
            except msgspec.ValidationError as fault:
                if "unknown field" in str(fault):
                    self._look(documents, places, records, marks, checked)  # by the form they are of
                    places, records = [], []
                    self._learn(document)
                    decode = self._form.decode
                self._examine(document, at, checked)
            except Exception:  # whatever a form trips over, the rules tell the truth
                self._examine(document, at, checked)
        self._look(documents, places, records, marks, checked)

    def _look(self, documents: Sequence[bytes], places: list[int], records: list[Any], marks: Sequence[int],
              checked: CheckResult) -> None:
        """Note the spotless among the decoded records; about the others the rules have the word."""
        if not records:
            return
        mine = [documents[at] for at in places]
        columns = Columns(records)
        doubtful = self._doubtful(mine, records, columns)
        for at in sorted(doubtful):
            self._examine(mine[at], places[at], checked)
        noted = [columns[name] for name in NOTED]
        if doubtful:
            clear = [at not in doubtful for at in range(len(mine))]
            mine, places = [*compress(mine, clear)], [*compress(places, clear)]
            noted = [tuple(compress(column, clear)) for column in noted]
        ids, locations, *others = noted
        spots: Iterable[int] = repeat(0)
        if {*chain.from_iterable(others)} <= {None}:  # nearly always
            keys = ids if self._keyed else [*map(item_key, ids, locations)]
            for at, key in zip(places, keys, strict=True):
                checked.keys[at] = key
            if marks and self._keyed:
                spots = spots_of(mine, ids)
        else:
            for at, *facts in zip(places, *noted, strict=True):
                self._note(at, checked, *facts)
        if marks and self._valid_cache is not None:
            self._valid_cache.keep([marks[at] for at in places], spots)

    def _doubtful(self, documents: Sequence[bytes], records: Sequence[Any], columns: Columns) -> set[int]:
        """Places of the records about which there may be something to say."""
        looks = self._looks
        try:
            doubtful = looks.doubtful(columns)
            if is_dirty(b"".join(documents)):
                for at, document in enumerate(documents):
                    if at not in doubtful and not looks.acquits(document, records[at]):
                        doubtful.add(at)
        except Exception:  # whatever a look trips over, the rules tell the truth
            return set(range(len(records)))
        return doubtful

    def _learn(self, document: bytes) -> None:
        """Take in the members of a record that has new ones, if it can be read; it is judged all the same."""
        try:
            if self._form.learn(orjson.loads(document)):
                self._looks.refit()
        except orjson.JSONDecodeError:
            return
        except Exception:
            log.exception("the form of a %s of %d bytes cannot be learned", self.kind, len(document))

    def _examine(self, document: bytes, at: int, checked: CheckResult) -> None:
        """Apply every rule to one document; what goes wrong with it stays with it."""
        key = None
        try:
            record = read(document, depth_max=self._depth_max)
            told: list[Issue] = []
            verb = self._verb_of(record, told, at, checked)
            told += check_record(record, self.kind, verb, self._context if is_dirty(document) else self._calm)
            key = key_of(record, self.kind)
            checked.versions[at] = version_of(record)
        except UnreadableError as unreadable:
            told = [unreadable.issue]
        except Exception:
            name = secrets.token_hex(4)
            log.exception("fault %s in the rules for a %s of %d bytes", name, self.kind, len(document))
            told = [issue("internal_fault", value=name)]
        checked.keys[at] = key
        if told:
            checked.issues[at] = cut_issues(told, self._issues_max)

    def _verb_of(self, record: Record, told: list[Issue], at: int, checked: CheckResult) -> Verb:
        named = record.get("_verb")
        if named is None:
            return self.verb
        if not isinstance(named, str) or named not in _VERBS:
            told.append(issue("verb_unknown", "/_verb", value=named, expected=", ".join(_VERBS)))
            return self.verb
        _note_verb(checked, at, _VERBS[named])
        return _VERBS[named]


def cut_issues(told: list[Issue], most: int) -> list[Issue]:
    """At most so many, errors before warnings, the last saying that there were more."""
    if len(told) <= most:
        return told
    kept = sorted(told, key=lambda one: one.severity)[: max(1, most - 1)]  # errors first, else in their order
    return [*kept, issue("issues_cut", value=len(told), expected=f"at most {most}")][:most]


def checker(
    kind: Kind, policy: Policy, reference: ReferenceData, *, issues_per_record_max: int = 100, depth_max: int = 16,
    valid_cache: ValidCache | None = None,
) -> Checker:
    """Compile the rules for records of a kind under a policy.

    ``issues_per_record_max`` (from 1) bounds what is told of one record, ``depth_max`` (from 2) its nesting, the record
    itself counted. ``memory`` keeps what was found spotless.
    """
    return Checker(
        kind, policy, reference, issues_per_record_max=issues_per_record_max, depth_max=depth_max,
        valid_cache=valid_cache
    )


def read(document: bytes, *, depth_max: int) -> Record:
    """Decode one document; raises Unreadable with the issue that says why it is no record.

    Where a member comes twice the last one counts, as for every common reader (RFC 8259, section 4, leaves it open).
    """
    try:
        record = orjson.loads(document)
    except orjson.JSONDecodeError as fault:
        record = _read_again(document, fault, depth_max)
    if not isinstance(record, dict):
        raise UnreadableError(issue("record_not_object", value=_TYPE_NAMES.get(type(record), "something else")))
    if document.count(b"{") + document.count(b"[") > depth_max and _deeper(record, depth_max):
        raise UnreadableError(issue("line_too_deep", expected=f"at most {depth_max} levels"))
    return record


def _read_again(document: bytes, fault: orjson.JSONDecodeError, depth_max: int) -> Any:
    """Tell why a document cannot be read, or read it all the same: JSON bounds no number, orjson does."""
    if "depth" in fault.msg or "recursion" in fault.msg.lower():
        raise UnreadableError(issue("line_too_deep", expected=f"at most {depth_max} levels"))
    if "infinity" in fault.msg:
        try:
            record = json.loads(document, parse_int=float, parse_constant=_refuse_constant)
            json.dumps(record, ensure_ascii=False).encode()  # lone surrogates do not encode
        except (ValueError, RecursionError):
            pass
        else:
            return record
    raise UnreadableError(issue("line_unreadable", value=_placed(document, fault)))


def _placed(document: bytes, fault: orjson.JSONDecodeError) -> str:
    """What is wrong and where: the column from 1, in bytes of UTF-8 where the text itself is broken."""
    try:
        document.decode()
    except UnicodeDecodeError as broken:
        return f"not UTF-8 at byte {broken.start + 1}"
    return f"{fault.msg.split(': line ')[0]} at character {fault.pos + 1}"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _deeper(value: dict[str, Any], levels: int) -> bool:
    """Whether lists and objects are nested more than so many levels."""
    level: list[Any] = [value]
    for _ in range(levels):
        level = [
            inner for entry in level for inner in (entry.values() if type(entry) is dict else entry)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return False
    return True


def _note_verb(checked: CheckResult, at: int, verb: Verb) -> None:
    if checked.verbs is None:
        checked.verbs = [None] * len(checked.versions)
    checked.verbs[at] = verb


_VERBS: dict[str, Verb] = {verb.value: verb for verb in Verb}
_TYPE_NAMES: dict[type, str] = {
    list: "a list", str: "a text", int: "a number", float: "a number", bool: "true or false", type(None): "null",
}
