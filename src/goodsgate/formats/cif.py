"""CIF 3.0, the catalogue interchange format: a CSV between lines of attributes and an end mark.

The lines before ``DATA`` are attributes (``CURRENCY: USD``), of which ``FIELDNAMES`` is the header; ``ENDOFDATA`` is
the last line. Lines keep their numbers: those that hold no row become blank.
"""

SIGNATURE = b"CIF_I_V"
CURRENCY = "Currency"
DEFAULT_FIELDS = (
    "Supplier ID,Supplier Part ID,Manufacturer Part ID,Item Description,SPSC Code,Unit Price,Unit of Measure,"
    "Lead Time,Manufacturer Name,Supplier URL,Manufacturer URL,Market Price"
)
"""The header of a file that has no ``FIELDNAMES``: the fields of the format, in their order."""

_EDGES = " \t\r,"
"""Around a value; a comma is that of a file that was saved by a spreadsheet program."""


class CifLines:
    """The lines of a CIF as those of a CSV; `convert` is called for each, in order."""

    def __init__(self) -> None:
        self.blanked = 0
        """Lines that hold no row."""
        self._fields = DEFAULT_FIELDS
        self._currency = ""
        self._is_data = self._is_over = self._is_quoted = False
        self._adds_currency = False

    def convert(self, line: str) -> str:
        """Return a line of a CSV for a line of the file."""
        if self._is_data and not self._is_over:
            if line.strip(_EDGES) == "ENDOFDATA" and not self._is_quoted:
                self._is_over = True
                return self._blank()
            self._is_quoted ^= line.count('"') % 2 == 1
            is_row = self._adds_currency and line.strip() and not self._is_quoted
            return f"{line.rstrip()},{self._currency}" if is_row else line
        name, _, value = line.partition(":")
        if line.strip(_EDGES) == "DATA" and not self._is_over:
            self._is_data = True
            names = [field.strip().strip('"').lower() for field in self._fields.split(",")]
            self._adds_currency = bool(self._currency) and CURRENCY.lower() not in names
            return f"{self._fields},{CURRENCY}" if self._adds_currency else self._fields
        if name.strip() == "FIELDNAMES":
            self._fields = value.strip(_EDGES) or DEFAULT_FIELDS
        elif name.strip() == "CURRENCY":
            self._currency = value.strip(_EDGES)
        return self._blank()

    def _blank(self) -> str:
        self.blanked += 1
        return ""
