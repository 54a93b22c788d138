"""The options of a submission that is made again and again: those of the API's query, under the same names."""

from typing import Annotated, Any, Literal

import msgspec

from goodsgate import formats
from goodsgate.engine.mapping_resolution import check_names
from goodsgate.engine.receive import parse_delimiter, parse_encoding
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.saved_guards import check_conditions
from goodsgate.engine.saved_profiles import with_saved_profile
from goodsgate.model.batch import HEADER_ROW_MAX, WAITING_HOURS_MAX, Duplicates, Kind, Policy, Strictness, Verb
from goodsgate.model.guard import HOLD_HOURS_MAX, HoldMode
from goodsgate.store.contract import Store

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class SubmissionOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How submissions want to be treated; what is absent is detected, or has its default."""

    verb: Verb = Verb.UPSERT
    mode: Literal["delta", "full"] = "delta"
    delete_share_max: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1
    duplicates: Duplicates | None = None
    replace: bool = False
    empty: Literal["keep", "clear"] = "keep"
    dry_run: bool = False
    profile: Text | None = None
    map: dict[str, list[str]] = {}
    format: Text | None = None
    encoding: Text | None = None
    delimiter: Text | None = None
    records_at: Text | None = None
    sheet: Text | None = None
    header_row: Annotated[int, msgspec.Meta(ge=1, le=HEADER_ROW_MAX)] | None = None
    decimal: Literal["point", "comma"] | None = None
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}\Z")] | None = None
    empty_words: Annotated[tuple[Text, ...], msgspec.Meta(max_length=50)] = ()
    group: Text | None = None
    key: Literal["derived"] | None = None
    references: Strictness | None = None
    waiting_hours: Annotated[float, msgspec.Meta(gt=0, le=WAITING_HOURS_MAX)] | None = None
    hold_if: dict[str, str] = {}
    hold: HoldMode | None = None
    hold_hours: Annotated[float, msgspec.Meta(gt=0, le=HOLD_HOURS_MAX)] | None = None


def options_policy(store: Store, merchant: str, kind: Kind, options: SubmissionOptions) -> Policy:
    """Return the policy that options name, with what a saved profile adds. Raises Refusal as a submission does."""
    if options.mode == "full" and options.verb is not Verb.UPSERT:
        raise Refusal("parameter_invalid", "mode=full requires verb=upsert.", parameter="mode", expected="verb=upsert")
    if options.format is not None and options.format not in formats.FORMATS:
        raise Refusal("parameter_invalid", f"There is no format {options.format!r}.", parameter="format")
    check_conditions(options.hold_if)
    named: dict[str, Any] = {
        name: getattr(options, name) for name in SubmissionOptions.__struct_fields__ if name != "map"
    }
    if options.encoding is not None:
        named["encoding"] = parse_encoding(options.encoding)
    if options.delimiter is not None:
        named["delimiter"] = parse_delimiter(options.delimiter)
    policy = with_saved_profile(store, merchant, Policy(mapping=options.map, **named))
    check_names(kind, policy)
    return policy
