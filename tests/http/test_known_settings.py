"""Settings of keys and merchants: what the protocols declare, and what the reference documents."""

from pathlib import Path

import pytest

from goodsgate.engine.refusal import Refusal
from goodsgate.http.known_settings import DeclaredSettings, KnownSettings, Setting
from goodsgate.protocols import load_known_settings

DOCS = Path(__file__).parents[2] / "docs" / "reference" / "merchant-settings.md"
COLOR = Setting(description="A color.", pattern="red|blue", expected="`red` or `blue`")


def test_every_declared_setting_is_documented() -> None:
    """The table of the reference has the value and the description of each setting."""
    known, text = load_known_settings(), DOCS.read_text("utf-8")
    for owner, settings in (("keys", known.keys), ("merchants", known.merchants)):
        assert settings
        for name, setting in settings.items():
            (row,) = [line for line in text.splitlines() if line.startswith(f"| `{name}` | {owner} |")]
            assert row.endswith(f"| {setting.expected} | {setting.description} |")


def test_two_protocols_cannot_declare_one_setting() -> None:
    """A name means one thing."""
    with pytest.raises(AssertionError):
        KnownSettings([DeclaredSettings(keys={"color": COLOR}), DeclaredSettings(keys={"color": COLOR})])


@pytest.mark.parametrize(("settings", "code", "detail"), [
    ({"colour": "red"}, "setting_unknown", "Unknown setting `colour`; did you mean `color`?"),
    ({"size": "1"}, "setting_unknown", "Unknown setting `size`; the settings of keys are color."),
    ({"tint": "red"}, "setting_unknown", "`tint` is a setting of merchants, not of keys."),
    ({"color": "green"}, "setting_invalid", "The setting `color` must be `red` or `blue`."),
    ({"color": "red\n"}, "setting_invalid", "The setting `color` must be `red` or `blue`."),
    ({"color": ""}, "setting_invalid", "The setting `color` must be `red` or `blue`."),
])
def test_a_setting_of_a_key_is_checked(settings: dict[str, str], code: str, detail: str) -> None:
    """The refusal says what would be right."""
    known = KnownSettings([DeclaredSettings(keys={"color": COLOR}, merchants={"tint": COLOR})])
    with pytest.raises(Refusal) as refused:
        known.check_key(settings)
    assert (refused.value.code, refused.value.detail) == (code, detail)
    known.check_key({"color": "blue"})
    known.check_merchant({"tint": ""})
