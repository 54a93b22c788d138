"""Choose the field mapping of a batch: by its policy, its profile and its header."""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from goodsgate.engine.field_mapping import MAPPED, FieldMapping, OwnNames, find_source, resolve_target
from goodsgate.engine.group_reading import missing_group_column
from goodsgate.engine.header_names import nearest_field
from goodsgate.engine.member_mapping import MemberMapping
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.table_mapping import TableMapping
from goodsgate.formats import TABLES
from goodsgate.model.batch import Kind, Policy, ReadingDecision
from goodsgate.model.issue import Issue
from goodsgate.profiles import GENERIC, Profile, load_profile, profile_names, recognise, shipped_profiles


def resolve_mapping(kind: Kind, policy: Policy, *, columns: list[str] | None, profile: str | None = None,
                    root: str | None = None, namespaces: tuple[str, ...] = ()) -> tuple[FieldMapping, list[Issue]]:
    """Return the mapping of a batch and the issues of its header; records of a schema keep their own names.

    `profile` is the name of the one that was chosen before, `root` and `namespaces` are those of an XML file.
    """
    if policy.schema:
        return OwnNames(kind, policy, load_profile(GENERIC), columns), []
    chosen, decision = _choose_profile(kind, policy, columns=columns, profile=profile, root=root, namespaces=namespaces)
    if policy.saved_profile is not None:
        how: Literal["given", "saved"] = "saved" if "profile" in policy.saved_options else "given"
        decision = ReadingDecision(what="profile", value=policy.saved_profile, how=how)
    if policy.empty_words:
        words = (*chosen.empty_words, *policy.empty_words, *map(str.lower, policy.empty_words))
        chosen = msgspec.structs.replace(chosen, empty_words=words)
    mapping: FieldMapping
    if columns is None:
        mapping, issues = MemberMapping(kind, policy, chosen), []
    else:
        mapping = table = TableMapping(kind, policy, chosen, columns)
        issues = table.issues
        table.refusal = table.refusal or missing_group_column(policy, columns)
    if (missing := missing_group_column(policy, columns)) is not None:
        issues.append(missing)
    if decision is not None:
        mapping.decisions.append(decision)
    return mapping, issues


def is_known_header(kind: Kind, names: Sequence[str]) -> bool:
    """Return whether a profile other than the generic one recognizes the names of a row."""
    return recognise(names, kind=kind)[0].name != GENERIC


def check_names(kind: Kind, policy: Policy) -> None:
    """Raise Refusal if a policy names a profile or field that does not exist; the nearest one is named."""
    if policy.profile is not None and policy.profile not in profile_names():
        raise Refusal(
            "parameter_invalid", f"There is no profile {policy.profile!r}.", parameter="profile",
            expected=", ".join(profile_names()),
        )
    for column, targets in policy.mapping.items() if not policy.schema else ():
        for target in targets:
            if resolve_target(target, kind) is None:
                near = nearest_field(target, kind)
                hint = f" Did you mean {near!r}?" if near else ""
                raise Refusal(
                    "parameter_invalid", f"There is no field {target!r} for column {column!r}.{hint}", parameter="map",
                    expected=near or "a field of the kind of record",
                )


def check_group(policy: Policy, format: str) -> None:
    """Raise Refusal if a policy groups rows of a file that has none."""
    if policy.group is not None and format not in TABLES:
        raise Refusal(
            "parameter_invalid", f"Rows of a table are grouped by a column; {format.upper()} has none. Write what a "
            "record takes from others into the record itself, or its variants into a list `variants`.",
            parameter="group", expected=", ".join(sorted(TABLES)),
        )


def chosen_profile(reading: Iterable[ReadingDecision]) -> str | None:
    """Return the name of the profile that was chosen for a batch; None if it has none."""
    return next((decision.value for decision in reading if decision.what == "profile"), None)


def resolve_name(kind: Kind, policy: Policy, name: str) -> str | None:
    """Return the field that a column stands for, before the header and so the profile is known; None if none does."""
    if policy.schema:
        return None
    profiles = (load_profile(GENERIC), *shipped_profiles())
    if policy.profile is not None and policy.profile in profile_names():
        profiles = (load_profile(policy.profile),)
    for profile in profiles:
        source = find_source(name, kind, policy, profile)
        if source is not None and (source.fields or source.rank == MAPPED):
            return source.fields[0] if source.fields else None
    return None


def _choose_profile(
    kind: Kind, policy: Policy, *, columns: list[str] | None, profile: str | None, root: str | None,
    namespaces: tuple[str, ...],
) -> tuple[Profile, ReadingDecision | None]:
    if policy.profile is not None and policy.profile in profile_names():
        return load_profile(policy.profile), ReadingDecision(what="profile", value=policy.profile, how="given")
    if profile is not None and profile in profile_names():
        return load_profile(profile), None
    if columns is None and root is None:
        return load_profile(GENERIC), None
    chosen, confidence = recognise(columns or (), kind=kind, root=root, namespaces=namespaces)
    if chosen.name == GENERIC:
        return chosen, None
    return chosen, ReadingDecision(what="profile", value=chosen.name, how="detected", confidence=confidence)
