"""Rows of one product: their roles, and what they take from each other, wherever the file is cut."""

import csv
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.engine.grouped_chunks import GroupedChunk, GroupedChunks
from goodsgate.engine.grouped_row import GroupedRow
from goodsgate.engine.groups import RowGroups, derived_key
from goodsgate.formats import Chunk
from goodsgate.model.issue import issue
from goodsgate.model.roles import BEGINS_PRODUCT
from goodsgate.profiles import load_profile
from goodsgate.profiles.group import Group, RoleRule
from tests import effort

IMAGE = "https://cdn.example.com"
COLUMNS = ["handle", "sku", "title", "color", "price", "image", "position"]
FIELDS = {"id": "sku", "title": "title", "color": "color", "price": "price"}
GROUP = Group(
    key=("handle",), inherit=("title",), images=("image",), image_position="position",
    roles=(RoleRule(role="image", when={"sku": ("",), "price": ("",)}), RoleRule(role="variant")),
)


def groups_of(group: Group = GROUP, columns: Sequence[str] = COLUMNS, **options: bool) -> RowGroups:
    """Return the groups of a file with these columns."""
    def find_columns(field: str) -> list[int]:
        return [at for at, column in enumerate(columns) if column == FIELDS.get(field)]

    return RowGroups(group, columns, find_columns=find_columns, **options)


def chunks_of(rows: Sequence[list[str]], cuts: Sequence[int], unreadable: Sequence[int] = ()) -> Iterator[Chunk]:
    """Yield the rows as chunks that end at the cuts."""
    ends = sorted({*(cut for cut in cuts if cut < len(rows)), len(rows)})
    for begin, end in zip([0, *ends], ends, strict=False):
        yield Chunk(
            lines=[], rows=[[*row] for row in rows[begin:end]], source_rows=[*range(begin + 2, end + 2)],
            unreadable={at - begin: issue("row_ragged") for at in unreadable if begin <= at < end},
            bytes_done=100 if end == len(rows) else end,
        )


def complete(groups: RowGroups, rows: Sequence[list[str]], cuts: Sequence[int] = (), *, rows_max: int = 100,
             skip: int = 0, unreadable: Sequence[int] = ()) -> list[GroupedRow]:
    """Return all rows of a file, completed."""
    done: list[GroupedRow] = []
    source = chunks_of(rows, cuts, unreadable)
    for chunk in GroupedChunks(groups, rows_max=rows_max, bytes_total=100).chunks(source, skip=skip):
        if isinstance(chunk, GroupedChunk):
            done += chunk.grouped
        else:
            roles = chunk.roles or bytes(len(chunk))
            done += [
                GroupedRow("variant", row, begins_product=role >= BEGINS_PRODUCT)
                for row, role in zip(chunk.rows, roles, strict=True)
            ]
    return done


def test_variants_take_what_they_lack_from_the_first_row_that_has_it() -> None:
    """Where it comes from is remembered; what a row says itself stays."""
    rows = [
        ["cap", "C-1", "Cap", "red", "5", "", ""], ["cap", "C-2", "", "blue", "6", "", ""],
        ["cap", "C-3", "Cap, small", "blue", "6", "", ""], ["cup", "D-1", "", "", "6", "", ""],
    ]
    first, second, third, other = complete(groups_of(), rows)
    assert [row.cells[2] for row in (first, second, third, other)] == ["Cap", "Cap", "Cap, small", ""]
    assert second.taken == {2: 2}
    assert [row.taken for row in (first, third, other)] == [{}, {}, {}]


def test_images_of_all_rows_belong_to_the_whole_group() -> None:
    """In the order of their positions; what is no address stays with its row."""
    rows = [
        ["cap", "C-1", "Cap", "", "5", f"{IMAGE}/2.jpg", "2"], ["cap", "C-2", "", "", "6", "", ""],
        ["cap", "", "", "", "", f"{IMAGE}/1.jpg", "1"], ["cap", "", "", "", "", "no image", "3"],
    ]
    first, second, image, broken = complete(groups_of(), rows)
    assert first.cells[5] == second.cells[5] == f"{IMAGE}/1.jpg"
    assert first.members == second.members == {"additional_image_link": [f"{IMAGE}/1.jpg", f"{IMAGE}/2.jpg"]}
    assert (image.role, broken.role, broken.cells[5]) == ("image", "image", "no image")


def test_an_image_row_that_describes_the_product_gives_what_it_says() -> None:
    """The first row of a product may hold its title and an image, and no variant."""
    rows = [["cap", "", "Cap", "", "", f"{IMAGE}/1.jpg", "1"], ["cap", "C-1", "", "red", "5", "", ""]]
    image, variant = complete(groups_of(), rows)
    assert (image.role, variant.cells[2], variant.taken[2]) == ("image", "Cap", 2)


@pytest.mark.parametrize(("profile", "header", "column"), [
    ("shopify", "URL handle,SKU", "URL handle"),
    ("woocommerce", "Typ,Übergeordnetes Produkt", "Übergeordnetes Produkt"),
    ("bigcommerce", "Item,SKU", "Item"), ("magento", "sku,configurable_variations", "configurable_variations"),
    ("amazon_flat_file", "item_sku,item_name", ""),
])
def test_the_column_of_groups_is_one_of_the_file(profile: str, header: str, column: str) -> None:
    """A profile may know several generations of a header."""
    group = load_profile(profile).group
    assert group is not None
    assert groups_of(group, header.split(",")).column == column


def test_a_group_that_begins_again_is_told() -> None:
    """Its rows take nothing from the one further up."""
    rows = [["cap", "C-1", "Cap", "", "5", "", ""], ["cup", "D-1", "Cup", "", "6", "", ""],
            ["cap", "C-2", "", "", "5", "", ""]]
    *_, last = complete(groups_of(), rows, [1, 2])
    assert last.issues == (issue("group_repeated", value="cap", expected="2"),)
    assert last.cells[2] == ""


def test_a_group_is_bounded() -> None:
    """Rows above the limit are rejected, and the next group is whole again."""
    rows = [["cap", f"C-{number}", "", "", "5", "", ""] for number in range(5)]
    rows[0][2] = "Cap"
    rows += [["cup", "D-1", "Cup", "", "6", "", ""], ["cup", "D-2", "", "", "6", "", ""]]
    for cuts in ([], [2], [3, 4], [1, 2, 3, 4, 5, 6]):
        done = complete(groups_of(), rows, cuts, rows_max=3)
        assert [row.issues[0].code if row.issues else row.cells[2] for row in done] == [
            "Cap", "Cap", "Cap", "group_too_large", "group_too_large", "Cup", "Cup",
        ]


def test_a_row_that_cannot_be_read_does_not_split_its_group() -> None:
    """It gives and takes nothing."""
    rows = [["cap", "C-1", "Cap", "", "5", "", ""], ["broken"], ["cap", "C-2", "", "", "5", "", ""]]
    for cuts in ([], [1], [2], [1, 2]):
        first, broken, last = complete(groups_of(), rows, cuts, unreadable=[1])
        assert (first.cells[2], broken.cells, last.cells[2]) == ("Cap", ["broken"], "Cap")


def test_a_row_without_a_title_takes_it_from_its_parent() -> None:
    """A parent is named by its SKU; complete rows are left alone."""
    group = Group(key=("handle",), inherit=("title",), inherit_when={"title": ("",)})
    rows = [["", "TEE", "Tee", "", "5", "", ""], ["TEE", "TEE-R", "", "red", "5", "", ""]]
    parent, variant = complete(groups_of(group), rows, [1])
    assert (parent.is_plain, variant.cells[2], variant.taken) == (True, "Tee", {2: 2})


def test_a_key_is_made_of_the_group_and_its_options() -> None:
    """The same for the same ones, and never longer than a SKU may be."""
    rows = [["gift card", "", "Gift", "Red / S", "5", "", ""]]
    assert complete(groups_of(derives_keys=True), rows)[0].members == {"id": "gift-card-Red-S"}
    long = derived_key("x" * 60, ["a"])
    assert len(long) == 50
    assert long != derived_key("x" * 60, ["b"])


KEYS = st.sampled_from(["", "a", "b", "c"])
ROWS = st.lists(
    st.tuples(KEYS, st.sampled_from(["", "S1", "S2"]), st.sampled_from(["", "T"]), st.sampled_from(["", "5"]),
              st.sampled_from(["", f"{IMAGE}/1.jpg", f"{IMAGE}/2.jpg"])).filter(any), max_size=14,
)
"""Rows without any cell are not read."""


@settings(max_examples=effort.examples(100), deadline=None)
@given(cells=ROWS, cuts=st.lists(st.integers(1, 13), max_size=6), skip=st.integers(0, 14),
       rows_max=st.integers(1, 5), kind=st.sampled_from(["images", "titles", "begins"]),
       broken=st.sets(st.integers(0, 13)))
def test_no_cut_and_no_restart_changes_what_a_row_takes(
    cells: list[tuple[str, ...]], cuts: list[int], skip: int, rows_max: int, kind: str, broken: set[int]
) -> None:
    """Whatever the groups, their bounds, and the rows that cannot be read."""
    group = {
        "images": GROUP, "titles": Group(key=("handle",), inherit=("title",), inherit_when={"title": ("",)}),
        "begins": Group(begins={"title": ("t",)}, inherit=("title",), roles=(
            RoleRule(role="parent", when={"title": ("t",)}, beside_variants=True), RoleRule(role="variant"),
        )),
    }[kind]
    rows = [[key, sku, title, "", price, image, ""] for key, sku, title, price, image in cells]
    unreadable = sorted(broken)
    whole = complete(groups_of(group), rows, rows_max=rows_max, unreadable=unreadable)
    again = complete(groups_of(group), rows, cuts, rows_max=rows_max, skip=skip, unreadable=unreadable)
    assert again == whole[skip:]
    assert len(whole) == len(rows)


def table(name: str, text: str) -> tuple[RowGroups, list[list[str]]]:
    """Return the groups and the rows of a file of a shop system."""
    columns, *rows = csv.reader(text.splitlines())
    profile = load_profile(name)
    assert profile.group is not None

    def find_columns(field: str) -> list[int]:
        matches = [profile.column(column) for column in columns]
        return [at for at, match in enumerate(matches) if match and any(field in each.to for each in match.columns)]

    return RowGroups(profile.group, columns, find_columns=find_columns), rows


@pytest.mark.parametrize(("name", "text", "roles"), [
    ("shopify", """Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src
cap,Cap,Color,Red,C-R,5,https://x.example/1.jpg
cap,,,Blue,C-B,5,
cap,,,,,,https://x.example/2.jpg
gift,Gift,Value,10,,10,
""", "variant variant image variant"),
    ("spree", """slug,sku,name,price,currency,option1_name,option1_value
cup,CUP,Cup,0,USD,,
cup,CUP-R,,5,USD,Color,Red
one,ONE,One,4,USD,,
cup,CUP-R,,4.5,EUR,,
one,ONE,,3.5,EUR,,
""", "parent variant variant price price"),
    ("bigcommerce", """Item Type,Product ID,Product Name,Product Code/SKU,Price
Product,1,Towel,TOW,9
  SKU,1,[S]Color=Red,TOW-R,
  Rule,1,[S]Color=Red,,[ADD]5
Product,2,Soap,SOAP,3
""", "parent variant note variant"),
    ("bigcommerce", """Item,ID,Name,SKU,Options,Price
Product,1,Towel,TOW,,9
Variant,11,,TOW-R,Type=Swatch|Name=Color|Value=Red,
Product,2,Soap,SOAP,,3
""", "parent variant variant"),
])
def test_rows_of_shop_systems_have_their_roles(name: str, text: str, roles: str) -> None:
    """Parents, variants, images, prices and notes."""
    groups, rows = table(name, text)
    assert [row.role for row in complete(groups, rows, [2])] == roles.split()


@pytest.mark.parametrize(("name", "text", "expected"), [
    ("woocommerce", """ID,Type,SKU,Name,Parent,Description,Images
42,variation,LAMP-R,Lamp red,LAMP,,
41,variable,LAMP,Lamp,,Light,https://x.example/1.jpg
51,variable,,Desk,,Wood,
52,variation,DESK-S,Desk small,id:51,,
61,variation,LOST,Lost,NOBODY,,
44,simple,BULB,Bulb,,,
""", {"LAMP-R": "LAMP", "LAMP": None, "DESK-S": "id:51", "LOST": None, "BULB": None}),
    ("magento", """sku,store_view_code,product_type,name,configurable_variations,description
ANO-B,,simple,Anorak blue,,
ANO-B,fi,,Sininen,,
ANO,,configurable,Anorak,"sku=ANO-B,color=Blue|sku=ANO-R,color=Red",Light
ANO,fi,,Anorakki,,
ANO-R,,simple,Anorak red,,
""", {"ANO-B": "ANO", "ANO": None, "ANO-R": "ANO"}),
    ("amazon_flat_file", """item_sku,item_name,parent_child,parent_sku,brand_name
BOW-B,Bowl blue,Child,BOW,
BOW,Bowl,Parent,,Hella
""", {"BOW-B": "BOW", "BOW": None}),
])
def test_a_variant_finds_its_parent_anywhere_in_the_file(name: str, text: str, expected: dict[str, str | None]) -> None:
    """By its SKU, its number, or the list of the parent; what it lacks it takes from there."""
    groups, rows = table(name, text)
    assert all(groups.add_parent(row, number) for number, row in enumerate(rows, 2))
    done = complete(groups, rows, [1, 3])
    sku = groups.field_columns(["id"])[0]
    found = {row.cells[sku] or rows[at][sku]: row.members.get("item_group_id")
             for at, row in enumerate(done) if row.role in ("variant", "parent") and rows[at][sku]}
    assert found == expected
    assert [row.label for row in done if row.role == "translation"] == (["fi"] if name == "magento" else [])
    assert [each.code for row in done for each in row.issues] == {
        "woocommerce": ["group_parent_missing"], "magento": ["group_note"], "amazon_flat_file": [],
    }[name]
    first = done[0]
    assert first.parent is not None
    assert first.taken
