"""The header of a table: what each column stands for, and which of several columns for one field is used."""

from collections.abc import Iterable

from goodsgate.engine.field_mapping import ASIDE, NAMED, RESERVED, Source, find_source
from goodsgate.engine.header_names import nearest_field
from goodsgate.model import fields
from goodsgate.model.batch import Kind, Policy, ReadingDecision, Verb
from goodsgate.model.issue import Issue, Severity, issue
from goodsgate.model.nearest import nearest_name
from goodsgate.profiles import Column, Profile, fold

TITLE_VERBS = frozenset({Verb.UPSERT, Verb.CREATE})
"""Verbs that need a title."""
DESCRIBED_CONFIDENCE = 0.8


class TableHeader:
    """Columns of one table and the fields they stand for."""

    def __init__(self, kind: Kind, policy: Policy, profile: Profile, columns: list[str]) -> None:
        self.kind = kind
        self.policy = policy
        self.issues: list[Issue] = []
        """Issues of the header."""
        self.refusal: Issue | None = None
        """Why no row of the table can be applied; the issue of each."""
        self.decisions: list[ReadingDecision] = []
        self.describes_title = False
        """Whether the description of a row is its title, too."""
        self.positions: dict[str, int] = {}
        """Name → the first column that has it."""
        for at, name in enumerate(columns):
            self.positions.setdefault(name, at)
        self.sources: dict[str, Source] = {
            name: source for name in self.positions
            if name not in RESERVED and (source := find_source(name, kind, policy, profile)) is not None
        }
        """Name → what the column stands for; names that nobody knows are left out."""
        self._resolve()

    def _resolve(self) -> None:
        """Decide which of the columns for one field is used, and collect the issues of the header."""
        self._check_mapping()
        by_field: dict[str, list[Source]] = {}
        for source in sorted(self.sources.values(), key=self.preference):
            for field in source.fields:
                by_field.setdefault(field, []).append(source)
        keys = [source for source in by_field.get("id", ()) if source.rank == NAMED]
        if len(keys) > 1 and len(keys) == len(by_field["id"]):
            names = [source.name for source in sorted(keys, key=lambda key: self.positions[key.name])]
            self.issues.append(issue("header_key_ambiguous", value=", ".join(names), suggestion=f"{names[-1]}:id"))
            for source in keys:
                self.sources[source.name] = source._replace(columns=ASIDE)
            del by_field["id"]
        elif "id" not in by_field:
            self.issues.append(issue("header_key_missing", expected="a column for id (sku, code, item number …)"))
        self._use_description(by_field)
        for field, sources in by_field.items():
            self._resolve_field(field, sources)
        for name in self.positions:
            if name not in self.sources and name not in RESERVED and not self._is_below_field(name):
                self.issues.append(issue("header_unknown", value=name, suggestion=nearest_field(name, self.kind)))
        self.issues.sort(key=lambda found: self.positions.get(found.value or "", -1))

    def _use_description(self, by_field: dict[str, list[Source]]) -> None:
        """Let a description name the products of a list that has no other name for them, as lists of an ERP do.

        Of several descriptions the first one is the title. A file of keys and descriptions alone is no such list.
        """
        descriptions = by_field.get("description", [])
        is_list = self.kind is Kind.PRODUCT and not by_field.keys() <= {"id", "description", "currency", "link"}
        if not is_list or not descriptions or "title" in by_field or "id" not in by_field:
            return
        if any(source.rank != NAMED for source in descriptions) or self.policy.verb not in TITLE_VERBS:
            return
        first = descriptions[0]
        self.issues.append(issue("header_title_described", value=first.name))
        self.decisions.append(
            ReadingDecision(what="title", value=first.name, how="detected", confidence=DESCRIBED_CONFIDENCE)
        )
        if len(descriptions) == 1:
            self.describes_title = True
            return
        source = self.sources[first.name] = first._replace(columns=(Column(to=("title",)),))
        by_field["title"], by_field["description"] = [source], descriptions[1:]

    def preference(self, source: Source) -> tuple[int, int, int, int]:
        """Return the order of columns for one field: mapped, of the profile, without additions, in file order."""
        header, currency = source.header, self.policy.currency
        is_plain = header is None or (header.language is None and header.currency in (None, currency))
        return source.rank, source.order, not is_plain, self.positions[source.name]

    def _resolve_field(self, field: str, sources: list[Source]) -> None:
        """Exclude columns that are beaten by a mapped one, or that have another language or currency than the first.

        If nobody has chosen among languages, that is an error, although the first is used. Among currencies nothing is
        chosen for the submitter.
        """
        first = sources[0]
        others = [source for source in sources[1:] if source.rank == first.rank == NAMED]
        currency = _currency(first)
        if currency not in (None, self.policy.currency) and any(_currency(other) != currency for other in others):
            self._refuse(issue("header_currency_ambiguous", expected=field, value=", ".join(
                source.name for source in sorted((first, *others), key=lambda each: self.positions[each.name])
            )))
            return
        is_chosen = first.rank != NAMED or first.header is None or first.header.language is None
        for source in sources[1:]:
            if source.rank == first.rank and source.rank != NAMED:
                continue
            additions = [(each.header.language, each.header.currency) if each.header else (None, None)
                         for each in (first, source)]
            is_other = first.rank != source.rank or additions[0] != additions[1]
            code = "header_field_repeated" if is_other else "header_field_shared"
            severity: Severity | None = "error" if is_other and not is_chosen else None
            self.issues.append(issue(code, value=source.name, expected=first.name, severity=severity))
            if is_other:
                self.sources[source.name] = self.sources[source.name].without(field)

    def _check_mapping(self) -> None:
        """Refuse the table if the submission maps a column that it does not have."""
        for name in self.policy.mapping:
            if name not in self.positions:
                near = nearest_column(name, self.positions)
                self._refuse(issue("map_column_missing", value=name, expected=", ".join(self.positions),
                                   suggestion=near))

    def _refuse(self, found: Issue) -> None:
        """Add an issue because of which no row can be applied."""
        self.refusal = found
        self.issues.append(found)

    def _is_below_field(self, name: str) -> bool:
        top = name.split(".", 1)[0]
        return top != name and fields.resolve(top, self.kind) is not None


def _currency(source: Source) -> str | None:
    """Return the currency in the name of a column."""
    return source.header.currency if source.header is not None else None


def nearest_column(name: str, columns: Iterable[str]) -> str | None:
    """Return the column of a file that a name may stand for: the same but for case and marks, or a similar one."""
    known = {fold(column): column for column in columns}
    near = nearest_name(fold(name), known, similarity_min=fields.NEAR_ENOUGH)
    return known[near] if near is not None else None
