"""XML: elements that repeat are records, whatever the document is called, and nothing in it is expanded."""

import json
import re

import pytest

from goodsgate.formats import Limits, ReadOptions, open_reader
from tests.formats.helpers import peak, read

RSS = '<?xml version="1.0"?><rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel>%s</channel></rss>'
ATOM = '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0">%s</feed>'


def records(text: str | bytes, **options: str) -> list[dict[str, object]]:
    """Return the records of a document."""
    data = text.encode() if isinstance(text, str) else text
    reader = open_reader(iter([data]), format="xml", content_encoding="identity", limits=Limits(),
                         options=ReadOptions(**options))
    return [json.loads(line) for chunk in reader.chunks() for line in chunk.lines]


@pytest.mark.parametrize(("text", "record"), [
    ("<id>1</id><title>A</title>", {"id": "1", "title": "A"}),
    ("<id> 1 </id><note/><empty> </empty>", {"id": "1"}),
    ("<t>a &amp; b &#233; <![CDATA[<b>x</b> & y]]></t>", {"t": "a & b é <b>x</b> & y"}),
    ("<image>a</image><id>1</id><image>b</image>", {"image": ["a", "b"], "id": "1"}),
    ("<size><w>1</w><h>2</h></size>", {"size": {"w": "1", "h": "2"}}),
    ("<s><c>DE</c></s><s><c>AT</c></s>", {"s": [{"c": "DE"}, {"c": "AT"}]}),
    ("<text>some <b>bold</b> words</text>", {"text": {"b": "bold", "#text": "some  words"}}),
    ('<price currency="EUR">7.90</price>', {"price@currency": "EUR", "price": "7.90 EUR"}),
    ('<weight unit="kg">1.5</weight>', {"weight@unit": "kg", "weight": "1.5 kg"}),
    ('<param name="color">red</param>', {"param@name": "color", "param": "red"}),
    ("<x:a xmlns:x='urn:x'>1</x:a><a>2</a>", {"x:a": "1", "a": "2"}),
    ("<a xmlns:i='urn:i' i:type='string'>1</a>", {"a": "1"}),
])
def test_an_element_is_an_object(text, record):
    """Texts, lists, objects, attributes, and names of other namespaces."""
    assert records(f"<products><product>{text}</product><product><id>2</id></product></products>") == [
        record, {"id": "2"}
    ]


@pytest.mark.parametrize(("text", "ids", "at"), [
    ("<products><product><id>1</id></product></products>", ["1"], "products/product"),
    ("<a><b><Teil><id>1</id></Teil><Teil><id>2</id></Teil></b></a>", ["1", "2"], "b/Teil"),
    ("<shop><cats><cat n='1'>A</cat><cat n='2'>B</cat></cats><offers><offer><id>1</id></offer></offers></shop>",
     ["1"], "offers/offer"),
    ("<c><cat><n>a</n><product><id>1</id></product></cat><cat><n>b</n><product><id>2</id></product></cat></c>",
     ["1", "2"], "cat/product"),
    ("<r><product><id>1</id><item><x>1</x></item><item><x>2</x></item></product></r>", ["1"], "r/product"),
    ("<product><id>1</id></product>", ["1"], "product"),
    ("<BMECAT><H/><T><GROUP><I>1</I></GROUP><GROUP><I>2</I></GROUP><ARTICLE><id>1</id></ARTICLE></T></BMECAT>",
     ["1"], "T/ARTICLE"),
    (RSS % "<item><g:id>1</g:id></item>", ["1"], "channel/item"),
    (ATOM % "<entry><g:id>1</g:id></entry><entry><g:id>2</g:id></entry>", ["1", "2"], "feed/entry"),
])
def test_the_element_that_repeats_is_found(text, ids, at):
    """By the document's root, by a name that means a product, or because it alone repeats; and it is told."""
    found = read(text.encode(), "xml")
    assert [json.loads(line)["id"] for line in found.records] == ids
    (decision,) = [decision for decision in found.reader.decisions if decision.what == "records_at"]
    assert (decision.value, decision.how) == (at, "detected")


TWO_LISTS = "<c><x><m><n>1</n></m><m><n>2</n></m></x><y><k><n>3</n></k><k><n>4</n></k></y></c>"


def test_of_two_lists_one_must_be_named():
    """By its element, or by the end of its path; until then nothing is read."""
    found = read(TWO_LISTS.encode(), "xml")
    assert (found.records, found.notices) == ([], [("records_ambiguous", "x/m, y/k")])
    assert "records_at=x/m" in found.reader.notices[0].message
    for name in ("m", "x/m", "/c/x/m"):
        assert [record["n"] for record in records(TWO_LISTS, records_at=name)] == ["1", "2"]
    named = open_reader(iter([TWO_LISTS.encode()]), format="xml", content_encoding="identity", limits=Limits(),
                        options=ReadOptions(records_at="z"))
    assert [*named.chunks()] == []
    assert [notice.code for notice in named.notices] == ["records_missing"]


def test_google_names_replace_those_of_rss_and_atom():
    """A link of Atom is its address, and other links of an entry are no data."""
    rss = "<item><title>own</title><g:title>T</g:title><g:id>1</g:id><link>https://x/1</link></item>"
    assert records(RSS % rss) == [{"title": "T", "id": "1", "link": "https://x/1"}]
    atom = (
        '<entry><link rel="self" href="no"/><link href="https://x/1"/><id>tag:x</id><summary type="html">S</summary>'
        "<g:id>1</g:id><g:shipping><g:country>DE</g:country></g:shipping></entry>"
    )
    assert records(ATOM % atom) == [
        {"id": "1", "shipping": [{"country": "DE"}], "link": "https://x/1", "description": "S"}
    ]


def test_root_and_namespaces_are_known():
    """By them a profile is recognized."""
    reader = read((ATOM % "").encode(), "xml").reader
    assert reader.root == "{http://www.w3.org/2005/Atom}feed"
    assert reader.namespaces == ["http://www.w3.org/2005/Atom", "http://base.google.com/ns/1.0"]


@pytest.mark.parametrize(("data", "encoding", "told"), [
    ('<?xml version="1.0" encoding="ISO-8859-1"?><p><item><t>é</t></item></p>'.encode("latin-1"), None, "Windows-1252"),
    ("<p><item><t>é</t></item></p>".encode("cp1250"), "cp1250", "Windows-1250"),
    ('<?xml version="1.0" encoding="utf-16"?><p><item><t>é</t></item></p>'.encode("utf-16"), None, "UTF-16"),
    (b"\xef\xbb\xbf" + "<?xml version='1.0'?><p><item><t>é</t></item></p>".encode(), None, None),
    ("\n <?xml version='1.0' encoding='UTF-8'?><p><item><t>é</t></item></p>".encode(), None, None),
])
def test_the_declared_encoding_is_obeyed(data, encoding, told):
    """That of the option beats it, and a byte-order mark beats both."""
    assert records(data, **({"encoding": encoding} if encoding else {})) == [{"t": "é"}]
    reader = read(data, "xml", encoding=encoding).reader
    assert [each.value for each in reader.decisions if each.what == "encoding"] == ([told] if told else [])


BOMB = '<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><r><item><id>&b;</id></item></r>'


@pytest.mark.parametrize(("text", "code", "words"), [
    (BOMB, "payload_corrupt", "entity"),
    ('<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><r><item><id>1</id></item></r>', "payload_corrupt",
     "entity"),
    ('<!DOCTYPE r [<!ENTITY % p SYSTEM "http://localhost/x"> %p;]><r><item><id>1</id></item></r>', "payload_corrupt",
     "entity"),
    ('<!DOCTYPE r SYSTEM "r.dtd"><r><item><id>&auml;</id></item></r>', "payload_corrupt", "auml"),
    ("<r><item><id>&nbsp;</id></item></r>", "payload_corrupt", "undefined entity"),
    ("<!DOCTYPE html><html><body/></html>", "payload_corrupt", "HTML"),
    ("<html><body><p>1</p><p>2</p></body></html>", "payload_corrupt", "HTML"),
    ('<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>', "payload_corrupt", "Excel 2003"),
    ("<r><item>" + "<a>" * 70, "payload_corrupt", "64 levels"),
    ("<r><item>" + f"<a {' '.join(f'a{n}=''1''' for n in range(300))}/>", "payload_corrupt", "line 1"),
    ("<r><item><id>1</item></r>", "payload_corrupt", "mismatched tag in line 1"),
    ("", "payload_truncated", "no element"),
    ('<?xml version="1.0" encoding="utf-7"?><r/>', "payload_corrupt", "utf-7"),
])
def test_what_is_not_read_is_named(text, code, words):
    """Nothing of it comes out, and nothing is looked up."""
    found = read(text.encode(), "xml")
    assert (found.records, found.stopped) == ([], code)
    assert words in found.reader.stopped.message


def test_many_attributes_end_the_document():
    """Further ones of one element cost memory."""
    attributes = " ".join(f'a{number}="1"' for number in range(300))
    found = read(f"<r><item><a {attributes}/></item></r>".encode(), "xml")
    assert "256 attributes" in found.reader.stopped.message


def test_a_file_that_is_cut_off_gives_its_whole_records():
    """At any byte; and it is an error of the file."""
    text = (RSS % "".join(f"<item>\n<g:id>{n}</g:id><g:title>Ä</g:title></item>\n" for n in range(3))).encode()
    ends = [found.end() for found in re.finditer(b"</item>", text)]
    for size in range(len(text) - 10, 80, -7):
        found = read(text[:size], "xml", sizes=[13])
        assert len(found.records) == sum(end <= size for end in ends)
        assert found.stopped == "payload_truncated"


def test_a_record_has_the_line_of_its_element():
    """So that the issue of a record names the place in the file."""
    text = "<r>\n<item>\n<id>1</id></item>\n\n<item><id>2</id></item></r>"
    assert read(text.encode(), "xml").source_rows == [2, 5]


def test_a_record_that_is_too_long_is_alone_rejected():
    """Its text is dropped while it arrives; a tag without an end stops the file."""
    text = f"<r><item><id>1</id><t>{'x' * 5000}</t></item><item><id>2</id></item></r>"
    found = read(text.encode(), "xml", line_bytes_max=1000, sizes=[100])
    assert (found.unreadable, found.records[1]) == ({0: "line_too_long"}, b'{"id":"2"}')
    endless = read(b"<r><item><id>1</id></item><!--" + b"x" * 5000, "xml", line_bytes_max=1000, sizes=[100])
    assert endless.stopped == "payload_corrupt"


def test_memory_does_not_grow_with_the_file():
    """Elements are freed as they are read."""
    item = b"<item><g:id>1</g:id><g:title>" + b"Linen shirt " * 20 + b"</g:title></item>\n"

    def hold(count: int) -> int:
        def parts():
            head, end = (RSS % "|").encode().split(b"|")
            yield head
            yield from (item * 100 for _ in range(count))
            yield end

        limits = Limits(chunk_bytes=64 * 1024, chunk_records_max=100, line_bytes_max=16 * 1024)
        reader = open_reader(parts(), format="xml", content_encoding="identity", limits=limits)
        assert sum(len(chunk) for chunk in reader.chunks()) == 100 * count
        return count

    hold(1)
    _, small = peak(lambda: hold(8))
    _, large = peak(lambda: hold(24))
    assert large < small * 1.2
