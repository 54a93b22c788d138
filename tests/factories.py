"""Builders of records for tests."""

from datetime import UTC, datetime

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def product(number: int = 1, **fields: object) -> dict[str, object]:
    """A valid product; `fields` replace or, with None, remove."""
    record: dict[str, object] = {
        "id": f"SKU-{number:04d}", "title": f"Linen shirt {number}", "description": "A light shirt for warm days",
        "link": f"https://shop.example/p/{number}", "price": "19.99 EUR", "availability": "in_stock",
        "condition": "new",
    }
    record.update(fields)
    return {name: value for name, value in record.items() if value is not None}


def products(*numbers: int, **fields: object) -> list[dict[str, object]]:
    """Several valid products."""
    return [product(number, **fields) for number in numbers]
