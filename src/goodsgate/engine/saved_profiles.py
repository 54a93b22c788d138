"""Profiles that merchants have saved: the options with which they submit one kind of file, under a name."""

from typing import Any, Literal

import msgspec

from goodsgate.engine.mapping_resolution import check_names
from goodsgate.engine.merchant_documents import read_merchant_document, update_merchant_document
from goodsgate.engine.receive import parse_delimiter, parse_encoding
from goodsgate.engine.refusal import Refusal
from goodsgate.model.batch import Kind, Policy
from goodsgate.profiles import profile_names
from goodsgate.store.contract import Store

DOCUMENT = "merchant/profiles"
PROFILES_MAX = 200


class SavedProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Options of a submission, with the names that they have there; what is absent is detected."""

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

    A shipped profile stays as it is. Raises Refusal: profile_unknown.
    """
    if policy.profile is None or policy.profile in profile_names():
        return policy
    saved = saved_profiles(store, merchant).get(policy.profile)
    if saved is None:
        raise Refusal("profile_unknown", profile=policy.profile)
    changes = {name: value for name, value in _options_of(saved).items() if getattr(policy, name) is None}
    if saved.decimal is not None and policy.decimal == "point":
        changes["decimal"] = saved.decimal
    return msgspec.structs.replace(policy, **changes, profile=saved.profile, mapping=saved.map | policy.mapping)


def _options_of(saved: SavedProfile) -> dict[str, Any]:
    """Return the options of a profile as a policy has them. Raises Refusal: parameter_invalid."""
    named: dict[str, Any] = {
        "encoding": saved.encoding and parse_encoding(saved.encoding),
        "delimiter": saved.delimiter and parse_delimiter(saved.delimiter), "records_at": saved.records_at,
        "sheet": saved.sheet, "header_row": saved.header_row, "currency": saved.currency,
    }
    return {name: value for name, value in named.items() if value is not None}
