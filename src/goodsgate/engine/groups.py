"""Rows that belong together: what role each one has, and what it takes from the others. Pure functions of cells.

Shop systems write one product on several rows: its variants, further images, prices in other currencies, translations.
`RowGroups` completes the cells of each row, before its names are mapped, so that a row can then be checked alone. What
a row says itself is never changed; what it takes is remembered with the row that it comes from.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from goodsgate.engine.grouped_row import GroupedRow, ParentRow
from goodsgate.engine.row_cells import Row, RowCondition, are_met, first_cell, has_any
from goodsgate.model.fields import SKU_CHARACTERS_MAX
from goodsgate.model.issue import Issue, issue
from goodsgate.model.roles import Role
from goodsgate.profiles import fold
from goodsgate.profiles.group import CellConditions, Group
from goodsgate.rules.urls import ORIGIN

PARENT_BYTES_MAX = 64 * 1024 * 1024
"""Characters of the parents of a file whose variants may stand anywhere; they are in memory while it is worked."""
OPTION_FIELDS = ("color", "size", "material", "pattern")
GROUP_ID = "item_group_id"
IMAGES = "additional_image_link"

_PLACEHOLDER = re.compile(r"\\\{n\\\}|\\\*")
_COLUMN = re.compile(r"\{([^}]+)\}")
_MEMBER = re.compile(r"(?:^|\|)\s*sku=([^,|]+)([^|]*)", re.IGNORECASE)
_NO_WORD = re.compile(r"[^\w.]+")

FindColumns = Callable[[str], Sequence[int]]
"""Returns the columns that fill a field."""


class _Rule(NamedTuple):
    role: Role
    conditions: list[RowCondition]
    beside_variants: bool
    label: Sequence[int]


class RowGroups:
    """The groups of the rows of one file."""

    keeps_parents = False
    """Whether rows that describe a product are kept for variants in other batches."""

    def __init__(self, group: Group, columns: Sequence[str], *, find_columns: FindColumns,
                 derives_keys: bool = False) -> None:
        """Read `group` for the header of a file. With `derives_keys` a row without a SKU gets one made of its options.
        """
        self.group = group
        self._columns = [fold(column) for column in columns]
        self._find_columns = find_columns
        self._derives_keys = derives_keys
        self._sku = find_columns("id")
        self._key = self._indices(group.key)
        self._begins = self._conditions(group.begins)
        self._from_parent = {
            field: at for field, column in group.from_parent.items() for at in self._indices((column,))
        }
        self._rules = [
            _Rule(rule.role, self._conditions(rule.when), rule.beside_variants, self._indices((rule.label or "",)))
            for rule in group.roles
        ]
        self._looks_beside = any(rule.beside_variants for rule in self._rules)
        self._inherit_when = self._conditions(group.inherit_when)
        units = [(name,) if isinstance(name, str) else name for name in group.inherit]
        self._units = [unit for unit in map(self._indices, units) if unit]
        self._is_inherited = frozenset(at for unit in self._units for at in unit) | {*self._from_parent.values()}
        self._images = self._indices(group.images)
        self._position = self._indices((group.image_position or "",))
        self._members = self._indices((group.members or "",))
        self._named_by = self._indices(group.named_by)
        named = self._indices((*group.key, *group.begins, group.members or ""))
        self.column = columns[named[0]] if named else ""
        """Column of the file by which rows belong together; empty if it has none."""
        self._options = [at for name in OPTION_FIELDS for at in find_columns(name)]
        self._options += self._indices(("Option{n} Value", "option{n}_value", "Attribute {n} value(s)"))
        self._parents: dict[str, ParentRow] = {}
        self._variants: dict[str, tuple[ParentRow, dict[str, object]]] = {}
        self._parent_characters = 0

    @property
    def is_needed(self) -> bool:
        """Whether rows of the file can belong together, or have another role than that of an item."""
        has_roles = any(
            rule.role != "variant" and all(each.columns or "" in each.cells for each in rule.conditions)
            for rule in self._rules
        )
        return bool(self.group.key or self.group.begins or self.group.scattered or has_roles)

    def padded(self, row: list[str]) -> list[str]:
        """Return a row with a cell for each column; a fix may have more columns than the submission."""
        missing = len(self._columns) - len(row)
        return [*row, *[""] * missing] if missing > 0 else row

    def key_of(self, row: Row) -> str:
        """Return what names the group of a row: its key, else its own SKU; empty if it has neither."""
        return first_cell(row, self._key) or first_cell(row, self._sku)

    def goes_on(self, row: Row, key: str) -> bool:
        """Return whether a row belongs to the group of the row above it, whose key is given."""
        if self._begins:
            return not any(are_met([condition], row) for condition in self._begins)
        return bool(key) and self.key_of(row) == key

    def has_key(self, row: Row) -> bool:
        """Return whether the row names its group itself."""
        return bool(first_cell(row, self._key))

    def takes(self, row: Row) -> bool:
        """Return whether a row may take something from the others, by ``inherit_when``."""
        return are_met(self._inherit_when, row)

    def look_up(self, groups: Iterable[Sequence[Row]]) -> None:
        """Look up what these groups take from other batches, before they are completed: here nothing."""

    def complete(self, rows: Sequence[Row], source_rows: Sequence[int]) -> list[GroupedRow]:
        """Return the rows of one group, each with what it takes from the others."""
        rules = self._roles(rows)
        parent = None
        for at, rule in enumerate(rules):
            if rule.role == "parent":
                parent = self._parent(rows[at], source_rows[at], self.key_of(rows[at]))
                break
        givers = [at for at, rule in enumerate(rules) if rule.role in ("parent", "variant")]
        describing = [at for at, rule in enumerate(rules) if rule.role in ("parent", "variant", "image")]
        sources = self._sources(rows, describing) if len(rows) > 1 else []
        images = self._gallery(rows, source_rows, rules) if self._images else []
        links = list(dict.fromkeys(image.link for image in images))
        group_id = ""
        if parent is not None:
            group_id = parent.name
        elif self.group.names_items and len(givers) > 1 and any(self.takes(rows[at]) for at in givers):
            group_id = self.key_of(rows[0])
        completed = []
        first = givers[0] if givers and not self.group.inherit_when else None
        for at, (row, rule) in enumerate(zip(rows, rules, strict=True)):
            if rule.role != "variant":
                giver = self._giver(row, source_rows[at], rule, parent)
                completed.append(msgspec.structs.replace(giver, begins_product=True) if at == first else giver)
                continue
            cells, taken = self._take(row, at, rows, source_rows, sources)
            members = self._add_images(cells, taken, images, links=links)
            if parent is not None:
                self._add_from_parent(parent, taken, members)
            if group_id:
                members[GROUP_ID] = group_id
            issues: tuple[Issue, ...] = ()
            if not first_cell(row, self._sku):
                members |= self._derived_key(row)
                issues = self._missing_key(row)
            completed.append(GroupedRow("variant", cells, taken, parent, members, "", issues, at == first))
        return completed

    def complete_scattered(self, row: Row, source_row: int) -> GroupedRow:
        """Return a row with what it takes from its parent, which `add_parent` has seen wherever it stands."""
        rule = self._role(row, beside_variants=True)
        key, sku = first_cell(row, self._key), first_cell(row, self._sku)
        if rule.role in ("price", "translation") and sku in self._parents:
            return GroupedRow("note", [*row], issues=(issue("group_note", value=f"{rule.role} of a parent row"),))
        if rule.role != "variant":
            return self._giver(row, source_row, rule, None)
        parent, members = self._variants.get(sku, (None, {})) if sku else (None, {})
        if key and parent is None:
            parent = self._find_parent(key)
        issues = self._missing_key(row)
        if key and parent is None:
            issues = (*issues, issue("group_parent_missing", value=key))
        cells, taken = [*row], dict[int, int]()
        if parent is not None:
            sources = [(unit, 0) for unit in self._units]
            cells, taken = self._take(row, 1, [parent.cells, row], [parent.source_row, source_row], sources)
            members = {**members, GROUP_ID: parent.name}
            self._add_from_parent(parent, taken, members)
        members |= self._derived_key(row)
        return GroupedRow("variant", cells, taken, parent, members, "", issues, parent is None and not key)

    def add_parent(self, row: Row, source_row: int) -> bool:
        """Remember a row if it is a parent, for `complete_scattered`; False if there is no room for more."""
        if self._role(row, beside_variants=True).role != "parent":
            return True
        names = self._names(row)
        parent = self._parent(row, source_row, first_cell(row, self._sku) or (names[0] if names else ""))
        listed = _MEMBER.findall(first_cell(row, self._members)) if self._members else []
        self._parent_characters += sum(map(len, parent.cells)) + sum(len(name) + len(rest) for name, rest in listed)
        if self._parent_characters > PARENT_BYTES_MAX:
            return False
        for name in names:
            self._parents.setdefault(name, parent)
        for name, rest in listed:
            self._variants.setdefault(name.strip(), (parent, _option_members(rest)))
        return True

    def field_columns(self, fields: Iterable[str]) -> list[int]:
        """Return the columns that fill these fields."""
        return [at for field in fields for at in self._find_columns(field)]

    def _sources(self, rows: Sequence[Row], givers: Sequence[int]) -> list[tuple[list[int], int]]:
        """Return the columns that can be taken, with the first row that has a value."""
        sources = []
        for unit in self._units:
            for at in givers:
                if has_any(rows[at], unit):
                    sources.append((unit, at))
                    break
        return sources

    def _roles(self, rows: Sequence[Row]) -> list[_Rule]:
        rules = [self._role(row, beside_variants=True) for row in rows]
        if self._looks_beside and all(rule.role != "variant" for rule in rules):
            rules = [self._role(row, beside_variants=False) for row in rows]
        return rules

    def _role(self, row: Row, *, beside_variants: bool) -> _Rule:
        for rule in self._rules:
            if (beside_variants or not rule.beside_variants) and are_met(rule.conditions, row):
                return rule
        return _VARIANT

    def _parent(self, row: Row, source_row: int, key: str) -> ParentRow:
        cells = [cell if at in self._is_inherited else "" for at, cell in enumerate(row)]
        return ParentRow(source_row, cells, first_cell(row, self._named_by) or key)

    def _giver(self, row: Row, source_row: int, rule: _Rule, parent: ParentRow | None) -> GroupedRow:
        """Return a row that is no item."""
        if rule.role == "parent":
            own = parent if parent is not None and parent.source_row == source_row else None
            own = own or self._parent(row, source_row, self.key_of(row))
            return GroupedRow("parent", own.cells, parent=own, begins_product=self.group.scattered)
        if rule.role == "image":
            return GroupedRow("image", [cell if at in self._images else "" for at, cell in enumerate(row)])
        if rule.role == "note":
            return GroupedRow("note", [*row], issues=(issue("group_note", value=row[0].strip() if row else None),))
        cells = ["" if at in rule.label else cell for at, cell in enumerate(row)]
        return GroupedRow(rule.role, cells, label=first_cell(row, rule.label))

    def _take(self, row: Row, at: int, rows: Sequence[Row], source_rows: Sequence[int],
              sources: Sequence[tuple[list[int], int]]) -> tuple[list[str], dict[int, int]]:
        """Return the cells of a variant, completed, and where the added ones come from."""
        cells, taken = [*row], dict[int, int]()
        if not sources or not self.takes(row):
            return cells, taken
        for unit, source in sources:
            if source == at or ((own := row[unit[0]]) and own.strip()) or (len(unit) > 1 and has_any(row, unit)):
                continue
            giver, number = rows[source], source_rows[source]
            for each in unit:
                if giver[each].strip():
                    cells[each] = giver[each]
                    taken[each] = number
        return cells, taken

    def _add_from_parent(self, parent: ParentRow, taken: dict[int, int], members: dict[str, object]) -> None:
        for field, at in self._from_parent.items():
            if parent.cells[at].strip():
                members[field] = parent.cells[at].strip()
                taken[at] = parent.source_row

    def _gallery(self, rows: Sequence[Row], source_rows: Sequence[int], rules: Sequence[_Rule]) -> list["_Image"]:
        """Return the images of a group in their order; what is no address is left to the row that has it."""
        images = []
        for at, (row, rule) in enumerate(zip(rows, rules, strict=True)):
            link = first_cell(row, self._images)
            if rule.role in ("parent", "variant", "image") and ORIGIN.match(link):
                position = first_cell(row, self._position)
                images.append(_Image(int(position) if position.isdecimal() else at + 1, at, link, source_rows[at]))
        return sorted(images)

    def _add_images(self, cells: list[str], taken: dict[int, int], images: list["_Image"], *, links: list[str],
                    ) -> dict[str, object]:
        """Put the first image of the group into a variant's own column; return all `links` as a member."""
        if not images:
            return {}
        at = self._images[0]
        if len(self._images) > 1:
            at = next((each for each in self._images if cells[each].strip()), at)
        own = cells[at].strip()
        if own and own not in links:
            return {}  # it is no address
        if own != images[0].link:
            cells[at] = images[0].link
            taken[at] = images[0].source_row
        return {IMAGES: links}

    def _missing_key(self, row: Row) -> tuple[Issue, ...]:
        """Return the issue of a variant without a SKU; without a profile, it is that of any record."""
        if self._derives_keys or self.group.inherit_when or first_cell(row, self._sku):
            return ()
        return (issue("group_sku_missing", "/id"),)

    def _derived_key(self, row: Row) -> dict[str, object]:
        """Return a SKU made of the group and the options of a variant that has none, if the policy asks for it."""
        if not self._derives_keys or first_cell(row, self._sku):
            return {}
        return {"id": derived_key(first_cell(row, self._key), [row[at].strip() for at in self._options])}

    def _find_parent(self, name: str) -> ParentRow | None:
        return self._parents.get(name)

    def _names(self, row: Row) -> list[str]:
        """Return by which names variants may know a parent."""
        names = [name for pattern in self.group.known_as if (name := self._name(pattern, row))]
        return names or [*filter(None, (first_cell(row, self._sku),))]

    def _name(self, pattern: str, row: Row) -> str:
        """Return a name by which variants may know a parent; empty if the row lacks what it is made of."""
        if "{" not in pattern:
            return first_cell(row, self._indices((pattern,)))
        cells = {name: first_cell(row, self._indices((name,))) for name in _COLUMN.findall(pattern)}
        return _COLUMN.sub(lambda name: cells[name[1]], pattern) if all(cells.values()) else ""

    def _indices(self, names: Sequence[str]) -> list[int]:
        """Return the columns of these names, in the order of the names; of equal columns the first."""
        found: list[int] = []
        for name in filter(None, names):
            folded = fold(name)
            if "{n}" in folded or "*" in folded:
                pattern = re.compile(_PLACEHOLDER.sub(
                    lambda placeholder: r"\d+" if "n" in placeholder[0] else ".*", re.escape(folded)
                ))
                found += [at for at, column in enumerate(self._columns) if pattern.fullmatch(column)]
            elif folded in self._columns:
                found.append(self._columns.index(folded))
        return list(dict.fromkeys(found))

    def _conditions(self, when: CellConditions) -> list[RowCondition]:
        return [
            RowCondition(self._indices((column,)), frozenset(map(str.lower, cells))) for column, cells in when.items()
        ]


class _Image(NamedTuple):
    position: int
    at: int
    link: str
    source_row: int


_VARIANT = _Rule("variant", [], beside_variants=False, label=())


def derived_key(group: str, options: Iterable[str]) -> str:
    """Return a SKU made of the key of a group and the options of a row; the same for the same ones."""
    parts = [group, *(option for option in options if option and option.lower() != "default title")]
    key = "-".join(filter(None, (_NO_WORD.sub("-", part).strip("-") for part in parts)))
    if len(key) > SKU_CHARACTERS_MAX:
        digest = hashlib.blake2b(key.encode(), digest_size=4).hexdigest()
        key = f"{key[: SKU_CHARACTERS_MAX - len(digest) - 1]}-{digest}"
    return key


def _option_members(listed: str) -> dict[str, object]:
    """Return the options in what a parent says of a variant, as in ``,color=Red,size=M``."""
    pairs = (pair.partition("=") for pair in listed.split(",") if "=" in pair)
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip().lower() in OPTION_FIELDS}
