"""Shipments as clients read them; the README of the protocol lists what is not published."""

from datetime import timedelta
from decimal import Decimal

from goodsgate.protocols.konnect.orders.shipment import Parcel, Shipment, ShipmentEvent, ShipmentLine
from goodsgate.protocols.konnect.orders.states import STATE_BY_NAME
from goodsgate.protocols.konnect.orders.timestamps import format_timestamp
from goodsgate.protocols.konnect.responses import JsonObject
from goodsgate.protocols.konnect.unpublished import CURRENCY, SLA_HOURS


def serialize_shipment(shipment: Shipment, *, status: str | None = None) -> JsonObject:
    """Return an element of the list of orders; `status` is the filter, which is repeated if it is an alias."""
    state, courier = STATE_BY_NAME[shipment.state], shipment.courier
    return {
        "id": shipment.id, "forwardId": shipment.forward_id, "marketplaceOrderId": shipment.order,
        "marketplaceReturnId": f"R{shipment.id}" if shipment.forward else None,
        "marketplaceInvoiceNumber": shipment.invoice.number if shipment.invoice is not None else None,
        "shippingAddress": shipment.shipping, "billingAddress": shipment.billing,
        "multiPackShipment": len(shipment.parcels) > 1,
        "packages": [_serialize_parcel(parcel) for parcel in shipment.parcels],
        "fulfillmentType": "sellerFulfilled" if shipment.self_ship else "marketplaceFulfilled",
        "sellerInvoiced": shipment.invoice is not None,
        "courierName": courier.name if courier is not None else "",
        "courierCode": courier.code if courier is not None else "",
        "awbNumber": list(courier.awb) if courier is not None else [],
        "additionalInfo": courier.info if courier is not None else "",
        "orderPrice": _serialize_price(shipment),
        "orderItems": [_serialize_line(shipment, line) for line in shipment.lines],
        "orderStatus": status if status in state.aliases else state.status,
        "orderDate": format_timestamp(shipment.placed_at),
        "orderingChannel": shipment.channel, "is_self_ship": shipment.self_ship, "locationCode": shipment.location,
        "bagStatus": shipment.state,
    }


def serialize_info(shipment: Shipment) -> JsonObject:
    """Return an element of the light view."""
    due = format_timestamp(shipment.placed_at + timedelta(hours=SLA_HOURS))
    return {
        "id": shipment.id, "orderStatus": STATE_BY_NAME[shipment.state].status,
        "orderType": "return" if shipment.forward else "forward", "sla": due, "lockStatus": False,
        "processingDueTime": due, "bagStatus": shipment.state,
    }


def serialize_courier(shipment: Shipment) -> JsonObject:
    """Return an element of the courier details; the shipment must have a courier."""
    courier = shipment.courier
    assert courier is not None
    return {
        "courierName": courier.name, "courierCode": courier.code, "awbNumber": list(courier.awb),
        "additionalInfo": courier.info, "orderId": shipment.id,
    }


def serialize_tracking(shipment: Shipment) -> JsonObject:
    """Return the tracking data, with the newest event first."""
    courier, last = shipment.courier, shipment.history[-1]
    journey = "reverse" if shipment.forward else "forward"
    return {
        "courier": courier.name if courier is not None else "",
        "current_status": STATE_BY_NAME[shipment.state].status, "last_updated": format_timestamp(last.at),
        "eta": last.estimated or last.promised or None, "tracking_url": None, "location": "{}",
        "operational_status": shipment.state, "journey": journey,
        "events": [_serialize_event(shipment, event, journey) for event in reversed(shipment.history)],
    }


def _serialize_event(shipment: Shipment, event: ShipmentEvent, journey: str) -> JsonObject:
    courier = shipment.courier
    return {
        "awb": courier.awb[0] if courier is not None and courier.awb else "", "dp_location": event.courier_location,
        "dp_name": courier.name if courier is not None else "", "dp_status": event.state,
        "dp_status_updated_at": format_timestamp(event.at), "estimated_delivery_date": event.estimated,
        "journey": journey, "operational_status": event.state, "promised_delivery_date": event.promised,
        "remark": event.remark, "shipment_id": shipment.id,
    }


def _serialize_parcel(parcel: Parcel) -> JsonObject:
    return {
        "packageId": parcel.id, "packageLengthCm": parcel.length, "packageWidthCm": parcel.width,
        "packageHeightCm": parcel.height, "packageWeightGms": parcel.weight,
    }


def _serialize_line(shipment: Shipment, line: ShipmentLine) -> JsonObject:
    cancelled = not line.open and not shipment.forward
    return {
        "orderItemId": line.id, "sku": line.sku, "itemName": line.name, "size": line.size, "quantity": line.quantity,
        "cancelledQuantity": line.cancelled,
        "orderItemStatus": "cancelled" if cancelled else shipment.state, "hsnCode": line.hsn,
        "imeiSerialNumber": list(line.serials), "reasonCode": line.reason,
        "price": {
            "mrp": line.mrp, "esp": line.esp, "discount": max(line.mrp - line.esp, Decimal()), "amountPaid": line.esp,
            "taxRate": line.tax_rate, "taxAmount": line.tax,
        },
    }


def _serialize_price(shipment: Shipment) -> JsonObject:
    discount = sum((max(line.mrp - line.esp, Decimal()) * line.open for line in shipment.lines), Decimal())
    return {
        "currency": CURRENCY, "totalPrice": shipment.total, "totalTax": shipment.total_tax,
        "totalDiscount": discount, "shippingCharges": 0, "codCharges": 0, "paymentMode": shipment.payment,
    }
