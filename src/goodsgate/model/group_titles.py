"""The title of a group of issues: how many there are and what is wrong, in words that can be read alone."""

GROUP_TITLES: dict[str, tuple[str, str]] = {
    # the file as a whole
    "encoding_uncertain": ("file has an encoding that is not certain", "files have an encoding that is not certain"),
    "encoding_guessed": ("file is not valid UTF-8", "files are not valid UTF-8"),
    "header_duplicate": ("column appears more than once", "columns appear more than once"),
    "header_unknown": (
        "column is not recognized and stored unchanged", "columns are not recognized and stored unchanged",
    ),
    "header_key_ambiguous": (
        "file has several columns that may be the SKU", "files have several columns that may be the SKU",
    ),
    "header_field_repeated": (
        "column means the same field as another and is not used",
        "columns mean the same field as others and are not used",
    ),
    "member_unrecognized": (
        "member is not recognized and stored unchanged", "members are not recognized and stored unchanged",
    ),
    "header_title_described": ("column is used as the title, too", "columns are used as the title, too"),
    "header_key_missing": ("file has no SKU column", "files have no SKU column"),
    "header_currency_ambiguous": (
        "field has columns in several currencies", "fields have columns in several currencies",
    ),
    "header_field_shared": (
        "column fills in for another of the same field", "columns fill in for others of the same field",
    ),
    "map_column_missing": ("column of the mapping is not in the file", "columns of the mapping are not in the file"),
    "rows_empty": ("stretch of empty rows was skipped", "stretches of empty rows were skipped"),
    "sheets_ignored": ("workbook has sheets that were not read", "workbooks have sheets that were not read"),
    "sheet_unknown": ("sheet is not in the workbook", "sheets are not in the workbook"),
    "header_row_blank": ("row is empty and cannot be the header", "rows are empty and cannot be the header"),
    "rows_above_header": (
        "table has rows above the header that were not read", "tables have rows above the header that were not read",
    ),
    "cells_merged": ("sheet has merged cells", "sheets have merged cells"),
    "cells_without_header": (
        "sheet has cells without a header that were not read", "sheets have cells without a header that were not read",
    ),
    "group_column_unknown": (
        "column to group rows by is not in the file", "columns to group rows by are not in the file",
    ),
    "group_parents_too_large": ("file has parent rows that are too large", "files have parent rows that are too large"),
    "records_ambiguous": (
        "file has several lists that may be the records", "files have several lists that may be the records",
    ),
    "records_missing": (
        "file has no records where they were expected", "files have no records where they were expected",
    ),
    "archive_ambiguous": ("archive contains several data files", "archives contain several data files"),
    "payload_html": ("file is an HTML page", "files are HTML pages"),
    "payload_empty": ("file contains no records", "files contain no records"),
    "payload_truncated": ("file ends unexpectedly", "files end unexpectedly"),
    "payload_corrupt": ("file is corrupt", "files are corrupt"),
    "payload_inflates": ("file expands too much", "files expand too much"),
    "parsing_too_slow": ("file takes too long to read", "files take too long to read"),
    "payload_sparse": ("file has a long part without records", "files have a long part without records"),
    "records_too_many": ("file contains too many records", "files contain too many records"),
    "columns_too_many": ("file has too many columns", "files have too many columns"),
    "round_fault": ("internal error while the file was processed", "internal errors while the file was processed"),
    "trouble_ordered": (
        "record is rejected because trouble was ordered", "records are rejected because trouble was ordered",
    ),
    "worker_died": ("file ended the workers that processed it", "files ended the workers that processed them"),
    # reading one record
    "line_unreadable": ("line is not valid JSON", "lines are not valid JSON"),
    "line_too_long": ("line is too long", "lines are too long"),
    "line_too_deep": ("record is nested too deeply", "records are nested too deeply"),
    "line_incomplete": ("line is incomplete", "lines are incomplete"),
    "record_not_object": ("record is not a JSON object", "records are not JSON objects"),
    "cell_too_long": ("row has a cell that is too long", "rows have cells that are too long"),
    "row_ragged": (
        "row has another number of columns than the header", "rows have another number of columns than the header",
    ),
    "cell_error": ("cell of {field} contains a spreadsheet error", "cells of {field} contain spreadsheet errors"),
    "formula_without_value": ("formula of {field} has no stored value", "formulas of {field} have no stored value"),
    "quotes_broken": ("row has unbalanced quotes", "rows have unbalanced quotes"),
    "nul_bytes": ("record contains NUL bytes", "records contain NUL bytes"),
    "nul_characters": ("value of {field} contains the character NUL", "values of {field} contain the character NUL"),
    "encoding_broken": ("record is in another encoding than the file", "records are in another encoding than the file"),
    "verb_unknown": ("record has an unknown verb", "records have an unknown verb"),
    "not_applied": (
        "record is not applied because of an error of the file",
        "records are not applied because of an error of the file",
    ),
    "field_conflict": ("record has two different values of {field}", "records have two different values of {field}"),
    "field_repeated": ("record has {field} under two names", "records have {field} under two names"),
    "list_first_used": ("record has several values of {field}", "records have several values of {field}"),
    "value_placeholder": ("value of {field} stands for a missing one", "values of {field} stand for missing ones"),
    "text_mark": (
        "value of {field} has a spreadsheet's mark for text", "values of {field} have a spreadsheet's mark for text",
    ),
    "field_type": ("value of {field} has the wrong type", "values of {field} have the wrong type"),
    # identity: SKU, GTIN
    "sku_missing": ("record has no SKU", "records have no SKU"),
    "sku_too_long": ("SKU is too long", "SKUs are too long"),
    "sku_characters": ("SKU contains control or invisible characters", "SKUs contain control or invisible characters"),
    "sku_edge_blanks": ("SKU has leading or trailing whitespace", "SKUs have leading or trailing whitespace"),
    "sku_lookalike": ("SKU has characters that look like others", "SKUs have characters that look like others"),
    "sku_rounded": ("SKU was rounded by a spreadsheet", "SKUs were rounded by a spreadsheet"),
    "sku_number_format": (
        "SKU is a number whose format is not certain", "SKUs are numbers whose format is not certain",
    ),
    "total_row": ("row is a total, not a product", "rows are totals, not products"),
    "gtin_rounded": ("GTIN was rounded by a spreadsheet", "GTINs were rounded by a spreadsheet"),
    "gtin_zeros_lost": ("GTIN has lost its leading zeros", "GTINs have lost their leading zeros"),
    "gtin_check_digit": ("GTIN has a wrong check digit", "GTINs have a wrong check digit"),
    "gtin_characters": ("GTIN contains non-digit characters", "GTINs contain non-digit characters"),
    "gtin_length": ("GTIN has the wrong length", "GTINs have the wrong length"),
    "barcode_form": ("barcode is not valid for its type", "barcodes are not valid for their type"),
    "variant_repeated": ("product has two variants with the same id", "products have two variants with the same id"),
    # wording
    "field_missing": ("record lacks {field}", "records lack {field}"),
    "text_empty": ("value of {field} is empty", "values of {field} are empty"),
    "text_too_long": ("value of {field} is too long", "values of {field} are too long"),
    "text_too_short": ("value of {field} is too short", "values of {field} are too short"),
    "text_form": ("value of {field} is not valid", "values of {field} are not valid"),
    "list_too_short": ("list of {field} has too few entries", "lists of {field} have too few entries"),
    "list_too_long": ("list of {field} has too many entries", "lists of {field} have too many entries"),
    "text_edge_blanks": (
        "value of {field} has leading or trailing whitespace", "values of {field} have leading or trailing whitespace",
    ),
    "text_markup": ("value of {field} contains HTML", "values of {field} contain HTML"),
    "text_entities": ("value of {field} contains HTML entities", "values of {field} contain HTML entities"),
    "text_lost_characters": (
        "value of {field} has lost characters in a conversion",
        "values of {field} have lost characters in a conversion",
    ),
    "text_mojibake": ("value of {field} looks garbled", "values of {field} look garbled"),
    "text_control_characters": (
        "value of {field} contains control characters", "values of {field} contain control characters",
    ),
    "value_not_allowed": ("value of {field} is not allowed", "values of {field} are not allowed"),
    "value_spelling": ("value of {field} is misspelled", "values of {field} are misspelled"),
    # amounts
    "price_unreadable": ("price of {field} is not valid", "prices of {field} are not valid"),
    "price_decimal_mark": (
        "price of {field} uses the wrong decimal mark", "prices of {field} use the wrong decimal mark",
    ),
    "price_thousands": (
        "price of {field} contains a thousands separator", "prices of {field} contain a thousands separator",
    ),
    "price_ambiguous": ("price of {field} is ambiguous", "prices of {field} are ambiguous"),
    "price_currency_form": (
        "price of {field} does not end with a currency code", "prices of {field} do not end with a currency code",
    ),
    "price_negative": ("price of {field} is negative", "prices of {field} are negative"),
    "price_zero": ("price of {field} is zero", "prices of {field} are zero"),
    "price_decimals": (
        "price of {field} has too many decimal places", "prices of {field} have too many decimal places",
    ),
    "price_too_large": ("price of {field} is too large", "prices of {field} are too large"),
    "currency_conflict": (
        "price of {field} contradicts the currency named for it",
        "prices of {field} contradict the currency named for them",
    ),
    "currency_missing": ("price of {field} has no currency", "prices of {field} have no currency"),
    "sale_price_above_price": ("sale price is higher than the price", "sale prices are higher than the price"),
    "sale_price_currency": (
        "sale price has another currency than the price", "sale prices have another currency than the price",
    ),
    "number_unreadable": ("value of {field} is not a whole number", "values of {field} are not whole numbers"),
    "number_not_whole": ("number of {field} is not whole", "numbers of {field} are not whole"),
    "number_negative": ("number of {field} is negative", "numbers of {field} are negative"),
    "number_out_of_range": ("number of {field} is out of range", "numbers of {field} are out of range"),
    "measure_ambiguous": ("measure of {field} is ambiguous", "measures of {field} are ambiguous"),
    "measure_unreadable": ("measure of {field} is not valid", "measures of {field} are not valid"),
    "measure_out_of_range": ("measure of {field} is out of range", "measures of {field} are out of range"),
    "unit_missing": ("measure of {field} has no unit", "measures of {field} have no unit"),
    "unit_conflict": (
        "measure of {field} names another unit than its column",
        "measures of {field} name another unit than their column",
    ),
    "date_unreadable": ("date of {field} is not valid", "dates of {field} are not valid"),
    "date_zone_missing": ("date of {field} has no UTC offset", "dates of {field} have no UTC offset"),
    "observed_in_future": ("date of {field} is too far in the future", "dates of {field} are too far in the future"),
    "date_range_reversed": ("range of {field} ends before it begins", "ranges of {field} end before they begin"),
    "url_not_absolute": ("URL of {field} is not absolute", "URLs of {field} are not absolute"),
    "url_blanks": ("URL of {field} contains spaces", "URLs of {field} contain spaces"),
    "url_several": ("value of {field} holds several URLs", "values of {field} hold several URLs"),
    "url_not_ascii": (
        "URL of {field} has characters that must be percent-encoded",
        "URLs of {field} have characters that must be percent-encoded",
    ),
    # references
    "currency_unknown": ("currency is not an active ISO 4217 code", "currencies are not active ISO 4217 codes"),
    "country_unknown": ("value of {field} is no known country", "values of {field} are no known countries"),
    "unit_unknown": (
        "value of {field} has a unit that is not allowed", "values of {field} have a unit that is not allowed",
    ),
    "brand_unknown": ("record has an unknown brand", "records have an unknown brand"),
    "category_unknown": ("record has an unknown category", "records have an unknown category"),
    "tax_rule_unknown": ("record has an unknown tax rule", "records have an unknown tax rule"),
    "location_unknown": ("record has an unknown location", "records have an unknown location"),
    "reference_overdue": ("record has waited too long for a reference", "records have waited too long for a reference"),
    "sku_unknown": ("record has a SKU that no product has", "records have a SKU that no product has"),
    "department_unknown": ("record has an unknown department", "records have an unknown department"),
    "template_unknown": ("record has an unknown template", "records have an unknown template"),
    "location_foreign": ("record has a location of others", "records have a location of others"),
    "hs_code_form": ("HS code is not valid", "HS codes are not valid"),
    "hs_code_unknown": ("HS code is unknown", "HS codes are unknown"),
    "attribute_missing": (
        "record lacks {field}, which its category requires", "records lack {field}, which their category requires",
    ),
    "attribute_type": (
        "value of {field} has another type than its category requires",
        "values of {field} have another type than their category requires",
    ),
    "attribute_not_allowed": (
        "value of {field} is not allowed in its category", "values of {field} are not allowed in their category",
    ),
    "attribute_unit": (
        "value of {field} has another unit than its category requires",
        "values of {field} have another unit than their category requires",
    ),
    "attribute_out_of_range": (
        "value of {field} is out of range for its category", "values of {field} are out of range for their category",
    ),
    "issues_cut": ("record has more issues than are shown", "records have more issues than are shown"),
    # rows that belong together
    "group_sku_missing": ("row of a product has no SKU", "rows of products have no SKU"),
    "group_row_rejected": ("row takes values from a row that is wrong", "rows take values from a row that is wrong"),
    "group_too_large": ("product has too many rows", "products have too many rows"),
    "group_repeated": (
        "product has rows in several places of the file", "products have rows in several places of the file",
    ),
    "group_parent_missing": ("row names a parent that the file lacks", "rows name a parent that the file lacks"),
    "group_not_kept": (
        "row was checked without the other rows of its product",
        "rows were checked without the other rows of their product",
    ),
    "group_note": ("row describes no product and was left out", "rows describe no product and were left out"),
    # the key and what is held
    "duplicate_in_batch": ("record repeats a key of this batch", "records repeat a key of this batch"),
    "item_newer": (
        "record is older than its item and was not applied", "records are older than their items and were not applied",
    ),
    "changed_since": (
        "item was changed after the batch that is reverted", "items were changed after the batch that is reverted",
    ),
    "stock_moved_since": (
        "item has stock that an order has moved since", "items have stock that orders have moved since",
    ),
    "fields_newer": (
        "record is older than some fields of its item", "records are older than some fields of their items",
    ),
    "field_kept": ("edited value of {field} stays as it is", "edited values of {field} stay as they are"),
    "edit_replaced": (
        "edited value of {field} is replaced by a new one", "edited values of {field} are replaced by new ones",
    ),
    "version_kind_differs": (
        "version of {field} cannot be compared with that of the item",
        "versions of {field} cannot be compared with those of the items",
    ),
    "key_held": ("record would create an item that exists", "records would create items that exist"),
    "key_unknown": ("record would update an item that does not exist", "records would update items that do not exist"),
    "item_unnamed": ("record has no identifier", "records have no identifier"),
    "item_ambiguous": ("value of {field} matches several items", "values of {field} match several items"),
    "item_missing": ("value of {field} matches no item", "values of {field} match no item"),
    "value_held": ("value of {field} belongs to another item", "values of {field} belong to other items"),
    "field_fixed": (
        "value of {field} differs from one that cannot be changed",
        "values of {field} differ from ones that cannot be changed",
    ),
    "item_on_planogram": ("item is still on a planogram", "items are still on a planogram"),
    "member_unknown": (
        "record has a member that the operation does not know",
        "records have a member that the operation does not know",
    ),
    "entry_unknown": ("value of {field} is not in the item", "values of {field} are not in the item"),
    "bylaw_broken": ("record violates a merchant rule", "records violate a merchant rule"),
    "key_not_held": ("record would delete an item that does not exist", "records would delete items that do not exist"),
    "sku_case_twin": ("SKU differs only in case from another", "SKUs differ only in case from others"),
    "row_not_rejected": ("row names a record that is not rejected", "rows name a record that is not rejected"),
    "platform_rejected": (
        "value of {field} was rejected by the platform", "values of {field} were rejected by the platform",
    ),
    "platform_warned": ("warning of the platform about {field}", "warnings of the platform about {field}"),
    "internal_fault": ("internal error while a record was processed", "internal errors while records were processed"),
}
"""Code → the title behind the number 1, and behind any other; an entry for each code of `issue.CODES` but ``rule``.

``{field}`` is the submitter's own name of the column or member.
"""
