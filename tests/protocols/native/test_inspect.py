"""A file is inspected over HTTP before it is submitted."""

from tests.http_gate import HttpGate


def test_an_inspection_says_how_a_file_is_read_and_stores_nothing(gate: HttpGate) -> None:
    """Decisions, columns, missing fields, records as they would be held; with the options of a submission."""
    client = gate.client()
    body = "Artikelnummer;Preis;Farbe des Artikels\nA;7,90;rot\nB;auf Anfrage;\n".encode("cp1252")
    params = {"currency": "EUR", "decimal": "comma", "map": "Farbe des Artikels:color", "verb": "update"}
    answer = client.post("/v1/inspect", params=params, content=body, headers={"Content-Type": "text/csv"})
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert {"what": "delimiter", "value": "semicolon", "how": "detected"}.items() <= document["reading"][1].items()
    columns = {column["name"]: column for column in document["columns"]}
    assert columns["Artikelnummer"]["fields"] == ["id"]
    assert (columns["Farbe des Artikels"]["fields"], columns["Farbe des Artikels"]["filled"]) == (["color"], 0.5)
    assert document["fields_missing"] == ["title"]
    assert "price_unreadable" in {group["code"] for group in document["issues"]}
    assert client.get("/v1/batches").json()["batches"] == []
    assert client.get("/v1/collections").json()["collections"] == []


def test_only_the_beginning_of_a_long_file_is_inspected(gate: HttpGate) -> None:
    """The rest is received and dropped; a record that is cut off is no issue."""
    body = b"sku,title,price\n" + b"A,Mug,7.90 EUR\n" * 150_000
    document = gate.client().post("/v1/inspect?format=csv", content=body).json()
    assert (document["is_whole"], sum(document["counts"].values())) == (False, 1_000)
    assert {group["code"] for group in document["issues"]} <= {"duplicate_in_batch"}
