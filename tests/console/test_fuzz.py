"""The console never answers any query, form or upload with a server error."""

from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.console.conftest import Person, csrf
from tests.effort import LONG

EXAMPLES = 2_000 if LONG else 60
TEXT = st.text(max_size=30) | st.just("a\0b")
GETS = (
    "/console/batches", "{base}/batches/{x}", "{base}/batches/{x}/records", "{base}/batches/{x}/report",
    "{base}/catalogue", "{base}/catalogue/product/{x}", "{base}/catalogue/{x}/products",
    "{base}/catalogue/stock/products/item", "{base}/catalogue/product/products", "{base}/reference/{x}",
    "{base}/reference/brand", "{base}/reference/brand/usage",
    "{base}/webhooks", "{base}/webhooks/{x}", "/console/merchants", "/console/merchants/{x}",
    "{base}/guards", "{base}/guards/{x}", "{base}/sources", "{base}/sources/{x}", "/console/health",
    "/console/traffic", "{base}/submit",
    "/console/merchants/{x}/catalogue", "{batch}/records", "{batch}/report", "{batch}", "{batch}/grid",
    "{batch}/grid/rows",
)
NAMES = st.sampled_from(
    ("q", "merchant", "protocol", "kind", "state", "outcome", "since", "until", "after", "code", "field", "key", "in",
     "only", "format", "next", "show")
)
POSTS = (
    "{batch}/accept-suggestions", "{batch}/confirm", "{batch}/records/1", "{batch}/records/{x}",
    "{batch}/retry", "{batch}/cancel", "{batch}/grid", "{batch}/grid/rows",
    "{base}/catalogue/product/products/item/edit", "{base}/catalogue/{x}/products/item/unlock",
    "{base}/webhooks", "{base}/webhooks/{x}", "{base}/guards", "{base}/sources",
    "/console/merchants", "/console/merchants/{x}/keys", "/console/merchants/{x}/keys/{x}/revoke",
)
FIELDS = st.sampled_from(
    ("code", "field", "deletions", "accept", "record", "cell:sku", "cell:", "id", "name", "label", "scope", "url",
     "event", "kind", "collections", "action", "limit:created", "limit:x", "hold", "records_min")
)
DROPS = (
    "{base}/submit/preview", "{base}/submit/validate", "{base}/submit", "{batch}/fix", "{batch}/fix/preview",
    "{base}/reference/brand",
)
UPLOAD_FIELDS = st.dictionaries(
    st.sampled_from(
        ("filename", "kind", "collection", "verb", "mode", "decimal", "currency", "duplicates", "references", "format",
         "mapping", "mapped_with", "save_as", "label", "whole", "bytes", "replace", "hold_if", "hold",
         "map:a", "map:", "map:sku")
    ), TEXT | st.sampled_from(("product", "stock", "csv", "xlsx", "id", "-", "true")), max_size=6,
)
FILES = st.binary(max_size=200) | st.sampled_from(
    (b"sku,title\nA,x\n", b'{"id":"A"}\n', b"[]", b"PK\x03\x04", b"\x1f\x8b\x08", b"\xff\xfes\x00", b"a,a,\n,,\n")
)


def _settings(examples: int) -> settings:
    return settings(deadline=None, max_examples=examples, suppress_health_check=[HealthCheck.function_scoped_fixture])


@_settings(EXAMPLES)
@given(path=st.sampled_from(GETS), x=TEXT, query=st.lists(st.tuples(NAMES, TEXT), max_size=4), part=st.booleans())
def test_no_query_causes_a_server_error(operator: Person, path: str, x: str, query: list[tuple[str, str]], part: bool,
                                   ) -> None:
    """Any path and any filters are answered, as a page or as a fragment."""


    address = path.format(base=operator.base, x=quote(x, safe=""), batch=_batch(operator))
    answer = operator.get(address, params=query, headers={"hx-request": "true"} if part else {})
    assert answer.status_code < 500, answer.text


@_settings(EXAMPLES // 2)
@given(path=st.sampled_from(POSTS), x=TEXT, fields=st.dictionaries(FIELDS, TEXT, max_size=4))
def test_no_form_causes_a_server_error(operator: Person, path: str, x: str, fields: dict[str, str]) -> None:
    """Any fields are answered, for any batch or merchant."""


    address = path.format(base=operator.base, x=quote(x, safe=""), batch=_batch(operator))
    token = csrf(operator.get("/console/batches").text)
    answer = operator.post(address, data={**fields, "csrf": token}, follow_redirects=False)
    assert answer.status_code < 500, answer.text


@_settings(EXAMPLES)
@given(path=st.sampled_from(DROPS), fields=UPLOAD_FIELDS, content=FILES)
def test_no_upload_causes_a_server_error(operator: Person, path: str, fields: dict[str, str], content: bytes) -> None:
    """Any content and any form fields are answered."""
    address = path.format(base=operator.base, batch=_batch(operator))
    answer = operator.drop(address, content, **fields)
    assert answer.status_code < 500, answer.text
    operator.gate.shop.work()


def _batch(operator: Person) -> str:
    """Return the path of a batch with rejected records, the same for all examples of a test."""
    if not hasattr(operator, "batch"):
        operator.batch = operator.submit(b"sku,title\nA,\nB,x\n")  # type: ignore[attr-defined]
    return str(operator.batch)  # type: ignore[attr-defined]
