"""Profiles that merchants have saved: the options with which they submit one kind of file, under a name."""

from typing import Annotated, Any, Literal

import msgspec

from goodsgate.engine.mapping_resolution import check_names
from goodsgate.engine.merchant_documents import read_merchant_document, update_merchant_document
from goodsgate.engine.receive import parse_delimiter, parse_encoding
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.saved_guards import check_conditions
from goodsgate.model.batch import WAITING_HOURS_MAX, Kind, Policy, Strictness
from goodsgate.model.guard import HOLD_HOURS_MAX, HoldMode
from goodsgate.profiles import profile_names
from goodsgate.store.contract import Store

DOCUMENT = "merchant/profiles"
PROFILES_MAX = 200
HEADER_CHARACTERS_MAX = 1_000
"""Longer names of columns are no part of the header by which a file is recognized."""


class SavedProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Options of a submission, with the names that they have there; what is absent is detected."""

    header: Annotated[tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=HEADER_CHARACTERS_MAX)], ...],
                      msgspec.Meta(max_length=2_000)] = ()
    """Columns of a table; a file that has all of them is recognized. None: the profile must be named."""

    profile: str | None = None
    """The shipped profile that the file is read by."""
    map: dict[str, list[str]] = {}
    encoding: str | None = None
    delimiter: str | None = None
    records_at: str | None = None
    sheet: str | None = None
    header_row: int | None = None
    decimal: Literal["point", "comma"] | None = None
    currency: str | None = None
    empty_words: Annotated[tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=100)], ...],
                           msgspec.Meta(max_length=50)] = ()
    group: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    key: Literal["derived"] | None = None
    references: Strictness | None = None
    waiting_hours: Annotated[float, msgspec.Meta(gt=0, le=WAITING_HOURS_MAX)] | None = None
    hold_if: dict[str, str] = {}
    hold: HoldMode | None = None
    hold_hours: Annotated[float, msgspec.Meta(gt=0, le=HOLD_HOURS_MAX)] | None = None


Profiles = dict[str, SavedProfile]


def saved_profiles(store: Store, merchant: str) -> Profiles:
    """Return the profiles of a merchant by name."""
    body = read_merchant_document(store, merchant, DOCUMENT)
    return msgspec.json.decode(body, type=Profiles) if body is not None else {}


def save_profile(store: Store, merchant: str, name: str, profile: SavedProfile) -> None:
    """Save a profile, or replace it. Raises Refusal for a name that a shipped one has, and for unknown names in it."""
    if name in profile_names():
        raise Refusal("parameter_invalid", f"{name} is a profile that comes with Goodsgate.", parameter="name")
    check_names(Kind.PRODUCT, Policy(profile=profile.profile))
    check_conditions(profile.hold_if)
    _options_of(profile)

    def change(body: bytes | None) -> bytes:
        profiles = msgspec.json.decode(body, type=Profiles) if body is not None else {}
        profiles[name] = profile
        if len(profiles) > PROFILES_MAX:
            raise Refusal("parameter_invalid", f"At most {PROFILES_MAX} profiles can be saved.", parameter="name")
        return msgspec.json.encode(profiles, order="deterministic")

    update_merchant_document(store, merchant, DOCUMENT, change)


def delete_profile(store: Store, merchant: str, name: str) -> bool:
    """Delete a profile; return False if there is none. Batches that use it keep what it said."""
    if name not in saved_profiles(store, merchant):
        return False

    def change(body: bytes | None) -> bytes:
        profiles = msgspec.json.decode(body, type=Profiles) if body is not None else {}
        profiles.pop(name, None)
        return msgspec.json.encode(profiles, order="deterministic")

    update_merchant_document(store, merchant, DOCUMENT, change)
    return True


def with_saved_profile(store: Store, merchant: str, policy: Policy) -> Policy:
    """Return the policy with what a saved profile that it names says; what the policy says itself counts more.

    A shipped profile stays as it is, and so does a policy to which a saved one was applied. Raises Refusal:
    profile_unknown.
    """
    if policy.profile is None or policy.profile in profile_names() or policy.saved_profile is not None:
        return policy
    saved = saved_profiles(store, merchant).get(policy.profile)
    if saved is None:
        raise Refusal("profile_unknown", profile=policy.profile)
    return apply_profile(policy, policy.profile, saved)


def apply_profile(policy: Policy, name: str, saved: SavedProfile, *, is_recognized: bool = False) -> Policy:
    """Return the policy with what a saved profile says that the policy does not say itself."""
    changes = {option: value for option, value in _options_of(saved).items() if not getattr(policy, option)}
    return msgspec.structs.replace(
        policy, **changes, profile=saved.profile, mapping=saved.map | policy.mapping, saved_profile=name,
        saved_options=(*changes, "profile") if is_recognized else (*changes,),
    )


def _options_of(saved: SavedProfile) -> dict[str, Any]:
    """Return the options of a profile as a policy has them. Raises Refusal: parameter_invalid."""
    named: dict[str, Any] = {
        "encoding": saved.encoding and parse_encoding(saved.encoding),
        "delimiter": saved.delimiter and parse_delimiter(saved.delimiter), "records_at": saved.records_at,
        "sheet": saved.sheet, "header_row": saved.header_row, "currency": saved.currency, "decimal": saved.decimal,
        "empty_words": saved.empty_words, "group": saved.group, "key": saved.key,
        "references": saved.references, "waiting_hours": saved.waiting_hours,
        "hold_if": saved.hold_if, "hold": saved.hold, "hold_hours": saved.hold_hours,
    }
    return {name: value for name, value in named.items() if value}
