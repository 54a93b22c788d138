"""What is shipped of the Unicode CLDR."""

from tests.rules.cldr import DATA, LICENSE, LICENSE_OF_BABEL, text


def test_the_data_are_those_of_babel() -> None:
    """With their licence. If this fails after an update of babel, run `python -m tests.rules.cldr`."""
    assert DATA.read_text("utf-8") == text()
    assert LICENSE.read_bytes() == LICENSE_OF_BABEL.read_bytes()
