"""Texts for people: titles, descriptions, names, and the damage that texts suffer on their way.

Source of lengths: Google Merchant product data specification (``title`` 150, ``description`` 5,000 characters, and so
on, in the table of fields). Damage is a warning: a shop can show such a text, but its owner should know.
"""

import html
import re
from collections.abc import Container, Mapping

from goodsgate.model.fields import Field
from goodsgate.model.issue import Severity, if_short, issue
from goodsgate.model.json_text import contains_nul
from goodsgate.rules.context import Issues, Rule, RuleContext, pointer, wrong_type
from goodsgate.rules.placeholders import PLACEHOLDERS

SPECIALS = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
"""Windows-1252 between 0x80 and 0x9F, where ISO 8859-1 has control characters."""

SUSPECT = re.compile(r"[\x00-\x1f\x7f-\x9f\ufeff\ufffdÂÃ]|â€|ï»¿|ðŸ|<[a-zA-Z/!?]|&[a-zA-Z#]")
"""Matches nothing in most texts; a text in which it matches is checked in detail."""

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff]")
CONTROL_OR_BREAK = re.compile(r"[\x00-\x1f\x7f-\x9f\ufeff]+")
MARKUP = re.compile(r"</?[a-zA-Z][^<>]*>|<!--|<![a-zA-Z\[]|<\?[a-zA-Z]")
ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
MOJIBAKE = re.compile(rf"[ÂÃ][\u0080-\u00bf]|â€[\u0080-\u00bf{SPECIALS}]|ï»¿|ðŸ[\u0080-\u00bf{SPECIALS}]")
"""UTF-8 that was read as Windows-1252; hardly any language uses these pairs."""
MOJIBAKE_PERHAPS = re.compile(f"[ÂÃ][{SPECIALS}]")
"""Also the end of a quotation in capitals; reported only if the whole text can be repaired."""
NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_CONTROLS = {special.encode("cp1252")[0]: special for special in SPECIALS}
"""C1 control characters are nearly always Windows-1252 that was read as ISO 8859-1."""
_BYTES = {ord(special): special.encode("cp1252").decode("latin-1") for special in SPECIALS}


def text(field: Field) -> Rule:
    """Make the rule of a text on one line, with a maximum length; also lists of them if the field is repeated."""
    if field.name == "title":
        return _title(field)
    return _repeated(field, _one_text(field.characters_max, CONTROL_OR_BREAK))


def _title(field: Field) -> Rule:
    of_product = _one_text(field.characters_max, CONTROL_OR_BREAK, "error")
    of_variant = _one_text(field.characters_max, CONTROL_OR_BREAK)  # which needs no title

    def rule(value: object, path: str, context: RuleContext, issues: Issues) -> None:
        (of_product if path == "/title" else of_variant)(value, path, context, issues)

    return rule


def long_text(field: Field) -> Rule:
    """Make the rule of a text that may have line breaks and tabs."""
    return _repeated(field, _one_text(field.characters_max, CONTROL))


def _repeated(field: Field, one: Rule) -> Rule:
    return repeated(field, one) if field.repeated else one


def repeated(field: Field, one: Rule) -> Rule:
    """Make a rule for a single value, or for each of a list of at most ``field.repeated``, from that of one value."""
    most = field.repeated

    def rule(value: object, path: str, context: RuleContext, issues: Issues) -> None:
        if not isinstance(value, list):
            one(value, path, context, issues)
            return
        if len(value) > most:
            issues.append(issue("list_too_long", path, value=len(value), expected=f"at most {most} values"))
        for at, entry in enumerate(value):
            one(entry, f"{path}/{at}", context, issues)

    return rule


def _one_text(longest: int, control: re.Pattern[str], severity: Severity = "warning") -> Rule:
    expected = f"at most {longest} characters"

    def rule(value: object, path: str, context: RuleContext, issues: Issues) -> None:
        if not isinstance(value, str):
            wrong_type(value, path, issues, expected="text")
            return
        if len(value) > longest:
            issues.append(issue("text_too_long", path, value=value, expected=expected))
        check_damage(value, path, context, issues, control=control)
        if value in PLACEHOLDERS:
            issues.append(issue("value_placeholder", path, value=value, severity=severity))

    return rule


def check_damage(value: str, path: str, context: RuleContext, issues: Issues, *,
           control: re.Pattern[str] = CONTROL_OR_BREAK) -> None:
    """Add the damage that a text has suffered on its way."""
    stripped = value.strip()
    if stripped != value:
        if not stripped:
            issues.append(issue("text_empty", path, value=value))
            return
        issues.append(issue("text_edge_blanks", path, value=value, suggestion=if_short(stripped)))
    elif not value:
        issues.append(issue("text_empty", path, value=value))
        return
    if not context.ascii_only and SUSPECT.search(value):
        _check_suspect_text(value, path, issues, control=control)


def add_nul_issues(record: Mapping[str, object], known: Container[str], issues: Issues) -> None:
    """Add each known member that holds the character NUL in a name or a text, unless it has an error already.

    Items are found by the values of known members, and not every database can hold NUL in a text.
    """
    for name, value in record.items():
        if name not in known:
            continue
        path = pointer("", name)
        has_error = any(found.severity == "error" and f"{found.path}/".startswith(f"{path}/") for found in issues)
        if not has_error and contains_nul({name: value}):
            issues.append(issue("nul_characters", path))


def _check_suspect_text(value: str, path: str, issues: Issues, *, control: re.Pattern[str]) -> None:
    if "\x00" in value:
        issues.append(issue("nul_bytes", path, value=value, suggestion=if_short(value.replace("\x00", ""))))
    if "\ufffd" in value:
        issues.append(issue("text_lost_characters", path, value=value))
    repaired = repair(value)
    if repaired is not None:
        issues.append(issue("text_mojibake", path, value=value, suggestion=if_short(repaired)))
    elif control.search(value):
        issues.append(issue("text_control_characters", path, value=value,
                            suggestion=if_short(control.sub(" ", value.translate(_CONTROLS)).strip())))
    if MARKUP.search(value):
        plain = " ".join(html.unescape(MARKUP.sub(" ", value)).split())
        issues.append(issue("text_markup", path, value=value, suggestion=if_short(plain)))
    if ENTITY.search(value):
        decoded = html.unescape(value)
        if decoded != value:
            issues.append(issue("text_entities", path, value=value, suggestion=if_short(decoded)))


def repair(value: str) -> str | None:
    """Return the text as it was before UTF-8 was read as Windows-1252; None if that did not happen."""
    certain = MOJIBAKE.search(value) is not None
    if not certain and not MOJIBAKE_PERHAPS.search(value):
        return None
    whole = _decode_again(value)
    if whole is not None or not certain:
        return whole
    pieces = NOT_ASCII.sub(lambda piece: _decode_again(piece.group()) or piece.group(), value)
    return pieces if pieces != value else None


def _decode_again(value: str) -> str | None:
    try:
        return value.translate(_BYTES).encode("latin-1").decode("utf-8").removeprefix("\ufeff")
    except UnicodeError:
        return None
