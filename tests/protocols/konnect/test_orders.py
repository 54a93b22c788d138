"""Orders from placement to credit note over HTTP, with every published error code."""

import json

import pytest

from tests.protocols.konnect.client import ONE_STORE, Konnect
from tests.protocols.konnect.order_clients import ADMIN, LOCATION, OMS, Operator, Seller, invoice, set_stock

UNKNOWN = "17328629784861446350"


def test_an_order_goes_from_created_to_delivered(operator: Operator, orders: Seller) -> None:
    """Each operation is acknowledged and changes the status."""
    id = operator.place(2)
    statuses = [orders.get_order(id)["orderStatus"]]
    steps = [("confirm", id), ("invoiceUpdate", invoice(id)), ("pack", id), ("dispatch", id)]
    for operation, entry in steps:
        assert orders.post(operation, entry).json() == {
            "payloadCount": 1, "successCount": 1, "failedCount": 0, "status": "SUCCESS", "errors": [],
        }
        statuses.append(orders.get_order(id)["orderStatus"])
    operator.simulate_all(id, "delivery_done")
    assert [*statuses, orders.get_order(id)["orderStatus"]] == [
        "CREATED", "CONFIRMED", "PROCESSING", "COMPLETED", "TRANSIT", "DELIVERED"
    ]


def test_prices_and_taxes_come_from_the_catalogue(operator: Operator, orders: Seller, seller: Konnect) -> None:
    """The price of the location takes precedence, and it selects the tax slab, whose tax is included."""
    seller.put("/ims/v3/price", json=[
        {"location_id": LOCATION, "sku": "TR-001-42", "esp": 2360, "mrp": 4000, "currency": "INR"}
    ])
    set_stock(seller, ("TR-001-42", 1), location="BOM-01")
    cheap, dear = orders.get_order(operator.place(2)), orders.get_order(operator.place(location="BOM-01"))
    (item,) = cheap["orderItems"]
    assert (item["sku"], item["itemName"], item["size"], item["hsnCode"], item["quantity"]) == (
        "TR-001-42", "Trail Runner 1", "42", "640411", 2
    )
    assert item["price"] == {
        "mrp": 4000, "esp": 2360, "discount": 1640, "amountPaid": 2360, "taxRate": 5, "taxAmount": 112.38,
    }
    assert cheap["orderPrice"] == {
        "currency": "INR", "totalPrice": 4720, "totalTax": 224.76, "totalDiscount": 3280, "shippingCharges": 0,
        "codCharges": 0, "paymentMode": "PREPAID",
    }
    assert dear["orderItems"][0]["price"] == {
        "mrp": 4999, "esp": 3999, "discount": 1000, "amountPaid": 3999, "taxRate": 18, "taxAmount": 610.02,
    }


def test_a_shipment_has_all_published_members(operator: Operator, orders: Seller) -> None:
    """The id is a text of twenty digits."""
    id = operator.place(
        marketplaceOrderId="FY674964020E8E174561", orderingChannel="JIOMART", shippingAddress={"name": "Asha"},
    )
    shipment = orders.get_order(id)
    published = [
        "id", "forwardId", "marketplaceOrderId", "marketplaceReturnId", "marketplaceInvoiceNumber", "shippingAddress",
        "billingAddress", "multiPackShipment", "packages", "fulfillmentType", "sellerInvoiced", "courierName",
        "courierCode", "awbNumber", "additionalInfo", "orderPrice", "orderItems", "orderStatus", "orderDate",
        "orderingChannel", "is_self_ship",
    ]
    assert [name for name in shipment if name in published] == published
    assert len(id) == 20
    assert (shipment["id"], shipment["forwardId"]) == (id, id)
    assert (shipment["marketplaceOrderId"], shipment["marketplaceReturnId"]) == ("FY674964020E8E174561", None)
    assert (shipment["fulfillmentType"], shipment["sellerInvoiced"], shipment["is_self_ship"]) == (
        "marketplaceFulfilled", False, False
    )
    assert shipment["shippingAddress"]["name"] == shipment["billingAddress"]["name"] == "Asha"
    assert (shipment["awbNumber"], shipment["packages"], shipment["orderingChannel"]) == ([], [], "JIOMART")


def test_an_invoice_adds_packages_and_serial_numbers(operator: Operator, orders: Seller) -> None:
    """Reads return them."""
    id = operator.place()
    orders.succeed("confirm", id)
    package = {
        "packageId": "P1", "packageLengthCm": 30, "packageWidthCm": 20.5, "packageHeightCm": 12,
        "packageWeightGms": 900,
    }
    orders.succeed("invoiceUpdate", invoice(
        id, number="INV-1", packages=[package], invoiceQrCode="qr", irnNumber="irn", signedInvoice="signed",
        ackNumber="1", ackDate="2026-01-31",
        orderItems=[{"orderItemId": "0000001", "quantity": 1, "imeiSerialNumber": ["356938035643809"]}],
    ))
    shipment = orders.get_order(id)
    assert (shipment["packages"], shipment["marketplaceInvoiceNumber"]) == ([package], "INV-1")
    assert shipment["orderItems"][0]["imeiSerialNumber"] == ["356938035643809"]
    assert shipment["sellerInvoiced"] is True


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\x1f", "\ud800", "'; --", "%", "é"])
def test_unusual_texts_never_cause_a_server_error(operator: Operator, orders: Seller, text: str) -> None:
    """This covers every member and parameter that is stored or used as a filter."""
    id = operator.place(isSelfShip=True)
    orders.succeed("confirm", id)
    bodies: list[tuple[str, object]] = [
        ("confirm", [{"orderId": text}]), ("courierDetails", [{"orderId": text}]), ("track", {"awb_number": text}),
        ("track", {"shipment_id": text}),
        ("invoiceUpdate", [{"orderId": id, "invoiceNumber": text, "invoiceType": "sale"}]),
    ]
    for operation, body in bodies:
        response = orders.client.post(f"{OMS}/{operation}", content=json.dumps(body))
        assert response.status_code in (200, 400, 404), response.text
    for name in ("orderId", "locationCode", "orderingChannel", "orderDateFrom"):
        query = {"orderStatus": "CREATED", "locationCode": LOCATION, name: text.encode("utf-8", "surrogatepass")}
        assert orders.client.get(OMS, params=query).status_code in (200, 400)
    order = {"items": [{"sku": "TR-001-42"}], **dict.fromkeys(("locationCode", "marketplaceOrderId"), text)}
    placed = operator.post(f"{ADMIN}/orders", content=json.dumps({"orders": [order]}))
    assert placed.status_code in (200, 400), placed.text
    assert operator.post(f"{ADMIN}/webhooks", content=json.dumps({"url": text})).status_code == 400


# -- codes ------------------------------------------------------------------------------------------------------------

FOREIGN = {
    "confirm": "O422", "cancel": "CN422", "pack": "CR422", "dispatch": "D422", "return": "R422",
    "labels": "L400", "invoice": "IN400",
}


@pytest.mark.parametrize("operation", FOREIGN)
def test_an_unknown_order_has_the_code_of_the_operation(operator: Operator, orders: Seller, operation: str) -> None:
    """An order of another merchant counts as unknown."""
    response = orders.post(operation, UNKNOWN, "x").json()
    assert [error["code"] for error in response["errors"]] == [FOREIGN[operation]] * 2
    assert (response["status"], response["payloadCount"], response["failedCount"]) == ("FAILED", 2, 2)
    error = response["errors"][0]
    assert (error["orderId"], error["index"], error["reason"]) == (UNKNOWN, 0, "Invalid orderId")


def test_a_bad_entry_affects_no_other(operator: Operator, orders: Seller) -> None:
    """The status is PARTIAL, and the other entries are done."""
    one, two = operator.place(), operator.place()
    response = orders.post("confirm", one, UNKNOWN, {"orderId": 5}, {}, 7, two).json()
    assert (response["payloadCount"], response["successCount"], response["status"]) == (6, 2, "PARTIAL")
    assert [(error["index"], error["code"]) for error in response["errors"]] == [
        (1, "O422"), (2, "O400"), (3, "O400"), (4, "O400")
    ]
    assert orders.list_ids("CONFIRMED") == [one, two]


def test_codes_of_confirm(operator: Operator, orders: Seller) -> None:
    """O400 covers cancelled and confirmed orders and unknown items."""
    gone, done, left = operator.place(), operator.place(), operator.place(3)
    operator.simulate_all(gone, "cancelled_customer")
    orders.succeed("confirm", done)
    assert orders.errors("confirm", gone, done) == ["O400", "O400"]
    for item in ({"orderItemId": "x"}, *({"orderItemId": "0000001", "quantity": pieces} for pieces in (4, 0))):
        assert orders.errors("confirm", {"orderId": left, "orderItems": [item]}) == ["O400"]
    assert orders.state(left) == "placed"
    orders.succeed("confirm", {"orderId": left, "orderItems": [{"orderItemId": "0000001", "quantity": 3}]})


def test_pieces_that_a_customer_cancelled_cannot_be_confirmed(operator: Operator, orders: Seller) -> None:
    """Once all pieces are cancelled, so is the order."""
    id = operator.place(3)
    item = {"orderItemId": "0000001", "quantity": 2}
    assert operator.simulate(id, "cancelled_customer", items=[item]).status_code == 200
    assert (orders.state(id), orders.get_order(id)["orderItems"][0]["cancelledQuantity"]) == ("placed", 2)
    whole = {"orderId": id, "orderItems": [{"orderItemId": "0000001", "quantity": 3}]}
    assert orders.errors("confirm", whole) == ["O400"]
    assert operator.simulate(id, "cancelled_customer", items=[item]).status_code == 400
    assert operator.simulate(id, "cancelled_customer", items=[{"orderItemId": "0000001"}]).status_code == 200
    assert (orders.state(id), orders.errors("confirm", id)) == ("cancelled_customer", ["O400"])


def test_codes_of_invoices(operator: Operator, orders: Seller) -> None:
    """These are IN400, IN401, IN403, IN422 and IN453."""
    id, gone = operator.place(), operator.place()
    operator.simulate_all(gone, "cancelled_fynd")
    assert orders.errors("invoiceUpdate", invoice(UNKNOWN), invoice(gone), invoice(id)) == ["IN400", "IN401", "IN403"]
    orders.succeed("confirm", id)
    wrong = [
        invoice(id, orderItems=[{"orderItemId": "x", "quantity": 1}]), invoice(id, type="sales"),
        {"orderId": id, "invoiceNumber": " ", "invoiceType": "sale"}, invoice(id, number="x" * 101),
        {"orderId": id, "invoiceType": "sale"},
    ]
    assert orders.errors("invoiceUpdate", *wrong) == ["IN400", "IN422", "IN422", "IN422", "IN400"]
    orders.invoice(id)
    assert orders.errors("invoiceUpdate", invoice(id), invoice(id, number="other")) == ["IN453", "IN453"]


def test_an_invoice_number_is_used_once(operator: Operator, orders: Seller) -> None:
    """The second use is IN422; a number of a refused invoice is free again."""
    one, two, three = operator.place(), operator.place(), operator.place()
    orders.succeed("confirm", one, two)
    assert orders.errors("invoiceUpdate", invoice(three, number="A-1"), invoice(one, number="A-1")) == ["IN403"]
    assert orders.errors("invoiceUpdate", invoice(two, number="A-1"), invoice(two, number="A-2")) == ["IN422"]


def test_codes_of_pack_and_dispatch(operator: Operator, orders: Seller) -> None:
    """CR400 and D400 mean too early or too late, CR401 and D401 cancelled."""
    id, gone = operator.place(), operator.place()
    orders.succeed("cancel", gone)
    assert orders.errors("pack", id, gone) == ["CR400", "CR401"]
    assert orders.errors("dispatch", id, gone) == ["D400", "D401"]
    orders.pack(id)
    assert orders.errors("pack", id) == ["CR400"]
    assert orders.errors("dispatch", {"orderId": id, "orderItems": [{"orderItemId": "x"}]}) == ["D400"]
    orders.succeed("dispatch", id)
    assert orders.errors("dispatch", id) == ["D400"]


def test_codes_of_cancel(operator: Operator, orders: Seller) -> None:
    """An order can be cancelled until it is picked up, pieces with a reason until the invoice."""
    id = operator.place(3)

    def piece(**more: object) -> dict[str, object]:
        return {"orderId": id, "orderItems": [{"orderItemId": "0000001", "quantity": 1, "reasonCode": "6", **more}]}

    assert orders.errors(
        "cancel", piece(reasonCode="5"), piece(reasonCode=""), piece(orderItemId="x"), piece(quantity=4)
    ) == ["CN400"] * 4
    orders.succeed("cancel", piece(), piece(reasonCode="NA"))
    assert orders.get_order(id)["orderItems"][0]["cancelledQuantity"] == 2
    orders.pack(id)
    assert orders.get_order(id)["orderPrice"]["totalPrice"] == 3999
    other = operator.place(2)
    orders.pack(other)
    assert orders.errors("cancel", {"orderId": other, "orderItems": [
        {"orderItemId": "0000001", "quantity": 1, "reasonCode": 6}
    ]}) == ["CN403"]
    orders.succeed("cancel", other)
    orders.succeed("dispatch", id)
    assert orders.errors("cancel", id, other) == ["CN403", "CN403"]


@ONE_STORE
@pytest.mark.parametrize(("body", "operation"), [
    ([], "confirm"), ({}, "confirm"), ([{"orderId": UNKNOWN}] * 21, "confirm"), ("x", "pack"), ([], "invoice"),
    ([{}] * 21, "invoiceUpdate"), ([{}] * 21, "labels"), ([{}] * 21, "courierDetails"), ([{}] * 21, "return"),
])
def test_a_body_is_an_array_of_one_to_twenty_entries(seller: Konnect, body: object, operation: str) -> None:
    """Other bodies are refused as a whole, with the members of the family."""
    response = seller.post(f"{OMS}/{operation}", json=body)
    assert (response.status_code, response.json()["status"], response.json()["payloadCount"]) == (400, "FAILED", 0)
    assert response.json()["errors"][0]["code"] == "400"


@ONE_STORE
@pytest.mark.parametrize("operation", ["awb", "status"])
def test_self_ship_operations_have_the_envelope_of_stock(seller: Konnect, operation: str) -> None:
    """Refusals have it, too."""
    response = seller.put(f"{OMS}/{operation}", json=[{}] * 21)
    assert (response.status_code, response.json()["meta"]["status"]) == (400, "FAILED")
    response = seller.put(f"{OMS}/{operation}", json=[{}] * 20)
    assert (response.status_code, response.json()["meta"]["status"]) == (200, "FAILED")
    assert response.json()["data"]["failed_count"] == 20
