"""Sites and their data sources over the Platform API."""

from contextlib import closing

import httpx
import pytest

from tests.http_gate import HttpGate
from tests.protocols.productsup.client import ONE_STORE, PLATFORM, Productsup, Site, upload


def _refused(response: httpx.Response) -> tuple[int, str]:
    """Check the status and message of an error of the Platform API."""
    assert response.headers["content-type"] == "application/json"
    assert response.json()["success"] is False
    return response.status_code, response.json()["message"]


def test_a_site_is_created_read_changed_and_deleted(sender: Productsup) -> None:
    """Its id is a text, as published, and its links lead back to the gate."""
    site = Site(sender, title="site 1", schedule="0 6 * * *", project_id=321)
    (read,) = sender.get(site.path).json()["Sites"]
    created, links = read.pop("created_at"), read.pop("links")
    assert read == {
        "id": str(site.id), "title": "site 1", "status": "active", "project_id": "321", "import_schedule": "0 6 * * *",
        "id_column": "id", "processing_status": "Done",
    }
    assert (len(created), links) == (19, [{"self": f"{sender.gate.url}{site.path}"}])
    changed = sender.put(site.path, json={"title": "other", "import_schedule": ""}).json()["Sites"][0]
    assert (changed["title"], changed["import_schedule"], changed["project_id"]) == ("other", "", "321")
    assert [one["id"] for one in sender.get(f"{PLATFORM}/sites").json()["Sites"]] == [str(site.id)]
    assert sender.delete(site.path).json() == {"success": True}
    assert _refused(sender.get(site.path)) == (404, "The requested resource could not be found")
    assert sender.get(f"{PLATFORM}/sites").json()["Sites"] == []


@pytest.mark.parametrize("title", [" ", '"', "\\", "Größe \U0001f600", "x" * 255])
def test_a_title_may_be_anything(sender: Productsup, title: str) -> None:
    """A title is stored unchanged and is unique."""
    site = Site(sender, title=title)
    assert sender.get(site.path).json()["Sites"][0]["title"] == title
    assert sender.post(f"{PLATFORM}/sites", json={"title": title}).status_code == 409


def test_data_sources(sender: Productsup) -> None:
    """Sources are added, listed, changed and removed; a stream can be added only once."""
    stream, site = sender.create_stream(), Site(sender)
    source = site.source(stream, description="stream api")
    response = sender.get(f"{site.path}/streams").json()
    assert response["Sources"] == [{
        "id": source, "site_id": site.id, "description": "stream api", "source": "", "import_type": 1,
        "import_id": source, "status": "active", "settings": [f"stream : {stream}"],
    }]
    assert response["meta"] == {"cursor": {"current": 0, "prev": 0, "next": 1, "count": 1}}
    again = sender.post(f"{site.path}/streams", json={"stream_id": stream, "import_type": 2})
    assert _refused(again)[0] == 409
    own = f"{site.path}/streams/{source}"
    changed = sender.put(own, json={"status": "paused", "import_type": 2}).json()["Sources"][0]
    assert (changed["status"], changed["import_type"], changed["description"]) == ("paused", 2, "stream api")
    assert sender.delete(own).json() == {"success": True}
    assert sender.get(f"{site.path}/streams").json()["Sources"] == []
    assert site.source(stream) == source + 1


@ONE_STORE
@pytest.mark.parametrize("given", [
    {}, {"title": ""}, {"title": 5}, {"title": "x" * 256}, {"title": "x", "id_column": ""}, [], "x",
    {"title": "x", "import_schedule": "every day"}, {"title": "x", "import_schedule": "0 0 31 2 *"},
])
def test_invalid_sites_are_refused(sender: Productsup, given: object) -> None:
    """The answer is 400 with a reason."""
    assert _refused(sender.post(f"{PLATFORM}/sites", json=given))[0] == 400


@ONE_STORE
@pytest.mark.parametrize(("given", "status"), [
    ({}, 400), ({"stream_id": "x"}, 400), ({"stream_id": 99}, 404), ({"stream_id": 1, "import_type": 3}, 400),
    ({"stream_id": 1, "status": "off"}, 400), ({"stream_id": 2**31}, 400),
])
def test_invalid_data_sources_are_refused(sender: Productsup, given: object, status: int) -> None:
    """The answer is 400, or 404 for an unknown stream."""
    sender.create_stream()
    assert _refused(sender.post(f"{Site(sender).path}/streams", json=given))[0] == status


@ONE_STORE
def test_titles_are_unique_and_sites_are_counted(sender: Productsup) -> None:
    """A repeated title and the 101st site get 409."""
    Site(sender, title="Shop")
    assert _refused(sender.post(f"{PLATFORM}/sites", json={"title": "Shop"})) == (409, "Another site has the title.")
    for number in range(99):
        Site(sender, title=f"Shop {number}")
    assert "100 sites" in _refused(sender.post(f"{PLATFORM}/sites", json={"title": "One more"}))[1]


def test_strangers_see_nothing(sender: Productsup, stranger: Productsup) -> None:
    """Sites and streams of another account are unknown."""
    stream, site = sender.create_stream(), Site(sender)
    site.source(stream)
    pid = site.start()
    assert stranger.get(f"{PLATFORM}/sites").json()["Sites"] == []
    for path in ("", "/streams", "/errors", "/importhistory", f"/status/{pid}"):
        assert _refused(stranger.get(f"{site.path}{path}")) == (404, "The requested resource could not be found")
    assert stranger.post(f"{PLATFORM}/process/{site.id}", json={"action": "import"}).status_code == 404
    assert stranger.post(f"{Site(stranger, title='Own').path}/streams", json={"stream_id": stream}).status_code == 404


@ONE_STORE
def test_either_header_authenticates(gate: HttpGate) -> None:
    """Requests without permission get the published messages."""
    merchant = gate.merchant()
    with closing(Productsup(gate, merchant)) as client:
        site = Site(client)
        secret = client.headers["authorization"].removeprefix("Bearer ")
    anonymous, path = gate.anonymous(), f"{PLATFORM}/sites"
    assert anonymous.get(path, headers={"x-auth-token": f"1234:{secret}"}).json()["Sites"][0]["id"] == str(site.id)
    assert anonymous.get("/streams", headers={"x-auth-token": f"1234:{secret}"}).status_code == 200
    for headers in ({}, {"x-auth-token": "1234:simsalabim"}, {"authorization": "Bearer nobody"}):
        assert _refused(anonymous.get(path, headers=headers)) == (401, "Unauthorized")
    with closing(Productsup(gate, merchant, scopes=["read"])) as reader:
        assert reader.get(path).status_code == 200
        problem = _refused(reader.post(path, json={"title": "x"}))
        assert problem == (403, "You don't have the rights to access this resource")


def test_several_streams_merge(sender: Productsup) -> None:
    """The rows of main sources follow each other; additional sources add members and change none."""
    first, second, prices = (sender.create_stream(name) for name in ("First", "Second", "Prices"))
    upload(sender, first, b'{"id":"2","title":"b"}\n{"id":1,"title":"a","tags":["x",{"y":1}],"new":true}')
    upload(sender, second, b'{"id":"1","title":"again"}')
    upload(sender, prices, b'{"id":"1","price":5,"title":"other"}\n{"id":"3","price":6}')
    site = Site(sender)
    for stream, type in ((first, 1), (second, 1), (prices, 2)):
        site.source(stream, import_type=type)
    sender.gate.shop.work()
    rows = [
        {"id": "1", "title": "a", "tags": '["x",{"y":1}]', "new": "true", "price": "5"}, {"id": "2", "title": "b"},
        {"id": "1", "title": "again", "price": "5"},
    ]
    assert site.products() == site.products("intermediate") == rows
    assert [site.products(limit=1, offset=at) for at in range(4)] == [[row] for row in rows] + [[]]
    chosen = {"fields[0]": "id", "fields[1]": "price"}
    assert site.products(**chosen) == [
        {"id": "1", "price": "5"}, {"id": "2", "price": ""}, {"id": "1", "price": "5"},
    ]
    filtered = sender.get(f"/product/v2/site/{site.id}/stage/import/0", params={"filter": "id <> ''"})
    assert _refused(filtered)[0] == 400
    assert sender.get(f"/product/v2/site/{site.id}/stage/channel/0").status_code == 404


@ONE_STORE
def test_rows_are_matched_by_the_column_that_the_site_names(sender: Productsup) -> None:
    """The value of the column is an id of the additional stream."""
    goods, brands = sender.create_stream("Goods"), sender.create_stream("Brands")
    upload(sender, goods, b'{"id":"1","brand":"b1"}\n{"id":"2"}')
    upload(sender, brands, b'{"id":"b1","country":"NO"}')
    site = Site(sender, id_column="brand")
    site.source(goods)
    site.source(brands, import_type=2)
    sender.gate.shop.work()
    assert site.products() == [{"id": "1", "brand": "b1", "country": "NO"}, {"id": "2"}]
