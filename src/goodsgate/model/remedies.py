"""What to do about each issue: the second sentence that people read after the message.

One table for API, command line, console and documentation; `codes.md` repeats it, which a test checks.
"""

REMEDIES: dict[str, str] = {
    "encoding_uncertain": (
        "Name the encoding: `--encoding Windows-1250`, or `?encoding=Windows-1250` over HTTP. Or save the file as "
        "UTF-8. Nothing was applied."
    ),
    "encoding_guessed": (
        "Check some titles; if they are wrong, name the encoding with `--encoding`, or save the file as UTF-8."
    ),
    "header_duplicate": "Rename or remove one of the two columns; different values are `field_conflict`.",
    "header_unknown": "Rename the column, map it, or leave it: it is stored with the item.",
    "header_key_ambiguous": (
        "Name the key column: `--map SKU:id`, or `?map=SKU:id` over HTTP. Nothing of the file is applied "
        "until then."
    ),
    "header_field_repeated": "Map the column that is to be used; the other one is stored unchecked.",
    "member_unrecognized": "Rename the member, map it, or leave it: it is stored with the item.",
    "header_title_described": (
        "Nothing, if the column names the products. Else map the right one with `--map COLUMN:title`."
    ),
    "header_key_missing": (
        "Map the column that contains the SKU: `--map YourColumn:id`, or `?map=YourColumn:id` over HTTP."
    ),
    "header_currency_ambiguous": (
        "Name the currency: `--currency EUR`, or `?currency=EUR` over HTTP; the column in that currency is used. Or "
        "map one: `--map COLUMN:price`. Nothing was applied."
    ),
    "header_field_shared": "Nothing, if the two columns never differ; else map the one that is to be used.",
    "map_column_missing": "Correct the name in `map`. Of a table nothing was applied; of JSON and XML, the rest was.",
    "rows_empty": "Nothing; remove the rows if they are not intended.",
    "sheets_ignored": (
        "Nothing, if the right sheet was read. Else name the sheet: `--sheet NAME`, or send one file for each"
        " sheet."
    ),
    "sheet_unknown": "Name a sheet of the workbook, or give its number. Nothing was applied.",
    "header_row_blank": "Give the number of the row that holds the names of the columns. Nothing was applied.",
    "rows_above_header": (
        "Nothing, if they are titles or comments. Else name the row of the header: `--header-row ROW`."
    ),
    "cells_merged": "Nothing, if the other cells need no value. Else separate the cells and fill each one.",
    "cells_without_header": "Nothing, if they are notes. Else give the column a name in the row of the header.",
    "group_column_unknown": "Name a column of the file, or leave `group` out.",
    "group_parents_too_large": (
        "Sort the file so that rows of one product stand next to each other, or split it by product."
    ),
    "records_ambiguous": "Name the list that holds the records: `--records-at NAME`, or `?records_at=NAME` over HTTP.",
    "records_missing": "Name the element of a record (XML) or the list of records (JSON), as it is called in the file.",
    "archive_ambiguous": "Send each file by itself, or a ZIP archive with one of them.",
    "payload_html": (
        "If a spreadsheet program opens it, save it as XLSX or CSV. Else check whether the export answered with an "
        "error page. Nothing was applied."
    ),
    "payload_empty": "Check whether the export failed.",
    "payload_truncated": "Send the whole file again. Records before the end were processed.",
    "payload_corrupt": "Send the file again. Records before the damage were processed.",
    "payload_inflates": (
        "Send it uncompressed, or split it into several submissions. A workbook: delete unused cells, formats "
        "and sheets, or send it as CSV."
    ),
    "parsing_too_slow": "Do as the message says, or ask the operator to raise `parser_seconds_max`.",
    "payload_sparse": (
        "Remove blank lines and rows, or the quotation mark or bracket that is never closed, and send the "
        "file again. Records before the gap were processed."
    ),
    "records_too_many": "Split the feed; records up to the limit were processed.",
    "columns_too_many": "Remove unused columns.",
    "round_fault": "The file is not at fault; report the id to the operator.",
    "trouble_ordered": "Send the records again; `goodsgate trouble list` shows what is still ordered.",
    "worker_died": (
        "Do as the message says, and report the batch to the operator: the log of the workers says why they "
        "ended. Records of earlier chunks were processed."
    ),
    "line_unreadable": "Correct the line; the value shows where the JSON breaks.",
    "line_too_long": "Shorten the record, or ask the operator to raise `line_bytes_max`.",
    "line_too_deep": "Flatten the record.",
    "line_incomplete": "The export stopped early; send the whole record again.",
    "record_not_object": "Send one JSON object for each record.",
    "cell_too_long": "Shorten the cell; an unbalanced quote often merges many rows into one cell.",
    "row_ragged": "Quote cells that contain the delimiter.",
    "cell_error": "Correct the formula that gives the error, or clear the cell, and send the file again.",
    "formula_without_value": (
        "Open the workbook in a spreadsheet program, let it recalculate, and save it. Or replace formulas by "
        "their values."
    ),
    "quotes_broken": "Double the quotes inside quoted cells.",
    "nul_bytes": "Export the file as text again; it is damaged or in another encoding.",
    "nul_characters": "Remove the character from the text or the name that contains it.",
    "encoding_broken": "Save the whole file in one encoding, preferably UTF-8.",
    "verb_unknown": "Use `upsert`, `create`, `update` or `delete` in `_verb`.",
    "not_applied": "Correct what is wrong with the file as a whole, and send it again.",
    "field_conflict": "Remove one of the two, or map the one that is to be used: `--map Name:field`.",
    "field_repeated": "Nothing; or send the field under one name.",
    "list_first_used": "Nothing, if the first value is the right one. Else send it first, or alone.",
    "value_placeholder": "Correct the formula or the export; leave the cell empty if there is no value.",
    "text_mark": "Nothing, if the value is right; or export the column as text.",
    "field_type": "Send the expected type.",
    "sku_missing": "Fill in the column; an item cannot be stored without a SKU.",
    "sku_too_long": "Use a shorter SKU.",
    "sku_characters": "Remove control and invisible characters.",
    "sku_edge_blanks": "Trim it.",
    "sku_lookalike": "Apply the suggestion, so that the key is the same in every file.",
    "sku_rounded": "Export the column as text. The lost digits cannot be recovered.",
    "sku_number_format": (
        "Format the column as text and enter the SKUs as they are. The same number may otherwise stand for "
        "two of them, such as 4711 and 4711.00."
    ),
    "total_row": "Nothing. Leave totals out of the file if it is to end clean.",
    "gtin_rounded": "Export the column as text. The lost digits cannot be recovered.",
    "gtin_zeros_lost": "Apply the suggestion; export the column as text.",
    "gtin_check_digit": (
        "Compare it with the package: usually one digit is mistyped. The suggestion assumes that the other "
        "digits are right."
    ),
    "gtin_characters": "Send digits only.",
    "gtin_length": "Send 8, 12, 13 or 14 digits; put your own article number into `mpn`.",
    "barcode_form": (
        "Send all digits including the check digit, or set the right type; the suggestion adds the check "
        "digit."
    ),
    "variant_repeated": "Give each variant an id of its own.",
    "field_missing": "Fill in the field.",
    "text_empty": "Omit the field.",
    "text_too_long": "Shorten it.",
    "text_too_short": "Send a longer text.",
    "text_form": "Use the expected form.",
    "list_too_short": "Add entries, or omit the list if it is optional.",
    "list_too_long": "Put the most important values first; readers of the catalogue may drop the rest.",
    "text_edge_blanks": "Trim it.",
    "text_markup": "Send plain text.",
    "text_entities": "Decode the entities once before sending (`&amp;` becomes `&`).",
    "text_lost_characters": "Find the conversion that lost them; the characters cannot be recovered here.",
    "text_mojibake": "Apply the suggestion; find the export that decodes UTF-8 as another encoding.",
    "text_control_characters": "Replace them with spaces.",
    "value_not_allowed": "Use a value from the list.",
    "value_spelling": "Apply the suggestion.",
    "price_unreadable": "Send an amount and a currency code: `7.90 EUR`.",
    "price_decimal_mark": "Submit with the right `decimal` option, or apply the suggestion.",
    "price_thousands": "Send the number without separators.",
    "price_ambiguous": "Set the `decimal` option and remove thousands separators.",
    "price_currency_form": "Put the ISO 4217 code after the amount.",
    "price_negative": "Send the price of the goods; discounts belong in `sale_price`.",
    "price_zero": "If the price is unknown, omit it.",
    "price_decimals": "Round it to the decimal places of the currency.",
    "price_too_large": "Check for a lost decimal mark.",
    "currency_conflict": "Correct the one that is wrong: the value, the `currency`, or the name of the column.",
    "currency_missing": "Add the code, or submit with a default `currency`.",
    "sale_price_above_price": "Correct the one that is wrong.",
    "sale_price_currency": "Use one currency for both.",
    "number_unreadable": "Send digits only.",
    "number_not_whole": "Send a whole number.",
    "number_negative": "Send zero or more.",
    "number_out_of_range": "Check whether the column has shifted.",
    "measure_ambiguous": "Set the `decimal` option and remove thousands separators.",
    "measure_unreadable": "Send a number and a unit: `250 g`.",
    "measure_out_of_range": "Check the unit.",
    "unit_missing": "Add the unit.",
    "unit_conflict": "Nothing, if the value is right; else correct its unit.",
    "date_unreadable": "Send RFC 3339: `2026-01-31T08:15:00Z` or `2026-01-31`.",
    "date_zone_missing": "Add the offset or `Z`.",
    "observed_in_future": "Correct the clock of the system that wrote it, or the time zone of the value.",
    "date_range_reversed": "Swap the two dates.",
    "url_not_absolute": "Send the whole URL, with `https://`.",
    "url_blanks": "Encode them as `%20`.",
    "url_several": "Send one URL; further images belong in `additional_image_link`.",
    "url_not_ascii": "Percent-encode them.",
    "currency_unknown": "Use an active ISO 4217 code.",
    "country_unknown": "Use the two-letter ISO 3166 code.",
    "unit_unknown": "Use one of the listed units.",
    "brand_unknown": "Apply the suggestion, or load the brand and retry.",
    "category_unknown": "Apply the suggestion, or load the category and retry.",
    "tax_rule_unknown": "Load the tax rule and retry.",
    "location_unknown": "Load the location and retry.",
    "reference_overdue": "Load what is missing, then retry; or correct the record.",
    "sku_unknown": "Correct the SKU; or load the product, then retry or send the record again.",
    "department_unknown": "Load the department and retry.",
    "template_unknown": "Load the template and retry.",
    "location_foreign": "Use a credential of that location or of the whole company.",
    "hs_code_form": "Send 4, 6 or 8 digits.",
    "hs_code_unknown": "Look it up in the current edition.",
    "attribute_missing": "Fill in the attributes that the category requires.",
    "attribute_type": "Send the type that the category requires.",
    "attribute_not_allowed": "Use a value from the category's list.",
    "attribute_unit": "Use the category's unit.",
    "attribute_out_of_range": "Check the unit first, then the value.",
    "issues_cut": "Correct the listed issues and send the record again.",
    "group_sku_missing": (
        "Fill in the SKU, or send the file with `--derive-keys`, or `?key=derived` over HTTP. Such a SKU changes if "
        "the product or an option is renamed."
    ),
    "group_row_rejected": "Correct the row that is named, and this one is worked again; or give it a value of its own.",
    "group_too_large": "Check the column that groups the rows, or ask the operator to raise `group_rows_max`.",
    "group_repeated": "Sort the file by product.",
    "group_parent_missing": "Add the parent's row to the file, or correct its name.",
    "group_not_kept": "Check that the row is complete, or send all rows of the product in a new submission.",
    "group_note": "Nothing, or set what it says on the variants themselves.",
    "duplicate_in_batch": "Send each key once, or say with the option `duplicates` what becomes of later records.",
    "item_newer": "Check the item: it holds what came later. Submit the record in a new batch if it is still wanted.",
    "changed_since": "Look at the history of the item, and edit it if it should be as it was before.",
    "stock_moved_since": "Submit the stock as it now is; what orders have taken is not undone.",
    "fields_newer": "Check the item: it holds what is newer. Submit these fields with a newer version if need be.",
    "field_kept": "Nothing, if the edit is meant. Otherwise unlock the field, or submit a new value.",
    "edit_replaced": "Nothing, if the new value is right. Otherwise edit the field again.",
    "version_kind_differs": (
        "Send the kind of version that the item has. To change the kind, submit complete records with `--replace`, or "
        "`?replace=true` over HTTP."
    ),
    "key_held": "Use `upsert` or `update`.",
    "key_unknown": "Use `upsert` or `create`, or correct the key.",
    "item_unnamed": "Fill in one of the members that identify an item.",
    "item_ambiguous": "Add another member that identifies the item.",
    "item_missing": "Create the item first, or correct the value.",
    "value_held": "Use a unique value, or update the item that has it.",
    "field_fixed": "Omit it, or send the current value; to change it, delete and create the item.",
    "item_on_planogram": "Take it off the planogram of every store first.",
    "member_unknown": "Check the spelling, or omit the member.",
    "entry_unknown": "Use entries that the item has.",
    "bylaw_broken": "Follow the merchant's attributes, families and categories, or change those first.",
    "rule": "Correct the record as the rule says; or change the rule, if the record is right.",
    "key_not_held": "Nothing, if the item was expected to be gone.",
    "sku_case_twin": "Use one spelling; both are stored as separate items.",
    "row_not_rejected": "Keep `_row` as it was in the report; accepted records need no fix.",
    "platform_rejected": "Correct the value as the platform's text says, and push the file again.",
    "platform_warned": "Nothing; the platform has accepted the record.",
    "internal_fault": "The record is probably not at fault; report the id to the operator.",
}
"""Code → what to do; an entry for each code of `issue.CODES`. Backticks mark what is typed."""
