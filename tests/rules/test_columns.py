"""Many values are looked at together as each of them is alone."""

from decimal import Decimal

from hypothesis import example, given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Kind, Policy, Verb
from goodsgate.rules.columns import TRIMMED, among, doubtful, flat, is_clear, repeated
from goodsgate.rules.context import rule_context
from goodsgate.rules.gtin import are_gtins, check_digit, is_gtin
from goodsgate.rules.spotless_product import ATTRIBUTES, GTIN, ProductLooks
from goodsgate.rules.typed_decoder import Amount, Form
from tests.rules.truth import NOTHING
from tests.rules.values import AMOUNTS, TEXTS

texts = st.text(max_size=6) | st.sampled_from([*TEXTS, " a", "a ", "a\nb"])
digits = st.text("0123456789", min_size=7, max_size=13).map(lambda body: body + check_digit(body))
gtins = digits | st.text("0123456789", max_size=15) | st.text("0123456789٣+-_ ", max_size=14)
prices = (
    st.decimals(Decimal("-1"), Decimal(10) ** 13, places=2).map(str) | st.sampled_from([*map(str, AMOUNTS)])
    | st.integers(0, 10**13).map(str) | st.sampled_from(["0.00", "0.01", "01.00", "1\n2", "1.00 EUR\n2.00 EUR", ""])
)
currencies = st.sampled_from(["", " EUR", " JPY", " XXX", "EUR", " eur"])
written = st.builds(lambda amount, currency: amount + currency, prices, currencies)
numbers = st.integers(-1, 10**12) | st.floats(-1, 1e12) | st.sampled_from([0.1, 9.99, 1.005])
objects = st.builds(
    Amount, value=st.none() | written | numbers, currency=st.sampled_from([None, "EUR", "JPY"]),
    amount=st.none() | numbers, currency_code=st.sampled_from([None, "EUR"]),
)


def _alone(column, look):
    return [at for at, value in enumerate(column) if value is not None and not is_clear(look.one, value)]


@settings(max_examples=500, deadline=None)
@given(st.lists(gtins, max_size=6))
@example(["99999999999997"] * 3)
@example(["96385074", "4006381333931", "036000291452"])
def test_check_digits(some):
    """However many, and however long each is."""
    assert are_gtins(some) is all(map(is_gtin, some))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.none() | texts, max_size=5), st.lists(st.none() | gtins, max_size=5))
def test_places_of_texts(column, others):
    """Texts with blanks at their edges, texts that are no codes, and wrong check digits, are found where they are."""
    assert [*doubtful(column, TRIMMED)] == [
        at for at, text in enumerate(column) if text is not None and text != text.strip()
    ]
    assert [*doubtful(column, among({"a", "b"}))] == [
        at for at, text in enumerate(column) if text is not None and text not in {"a", "b"}
    ]
    assert [*doubtful(others, GTIN)] == [at for at, text in enumerate(others) if text is not None and not is_gtin(text)]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.none() | texts | st.lists(texts, max_size=3) | st.integers(), max_size=5))
def test_places_of_lists(column):
    """Repeated values may come alone or in lists; what is no text is doubtful."""
    look = repeated(TRIMMED)
    assert [*doubtful(column, look)] == _alone(column, look)
    assert flat(["a", ["b", "c"], []]) == ["a", "b", "c"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.none() | st.dictionaries(texts, texts | st.integers() | st.none() | st.lists(texts, max_size=2),
                                            max_size=3), max_size=5))
def test_places_of_attributes(column):
    """Only texts can have blanks at their edges."""
    def clear(value):
        texts = value if isinstance(value, list) else [value] if isinstance(value, str) else []
        return all(text == text.strip() for text in texts)

    assert [*doubtful(column, ATTRIBUTES)] == [
        at for at, held in enumerate(column) if held is not None and not all(map(clear, held.values()))
    ]


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.lists(st.none() | written | numbers | objects, max_size=5), min_size=1, max_size=3),
    st.sampled_from([None, "EUR", "JPY"]), st.sampled_from(["point", "comma"]),
)
def test_places_of_prices(columns, currency, decimal):
    """Whatever was learned of the shapes of amounts before."""
    looks = ProductLooks(rule_context(Policy(decimal=decimal), NOTHING), Verb.UPSERT, Form(Kind.PRODUCT))
    look = looks.prices(currency)
    for column in columns:
        assert [*doubtful(column, look)] == _alone(column, look)
