"""Everything about product information that nobody has published and that had to be decided; see the README's table."""

COLLECTION = "mircate"
"""Where products are held; prices and stock of this protocol are in a collection of this name, too."""
SORT = "mircate/pim"
"""Of the resource that holds what a merchant has settled."""
SETTLED_BYTES_MAX = 5 * 1024**2
"""Published for the platform: the state of an instance."""

# -- texts that the ancestor does not have, or that nobody has read ----------------------------------------------------
VALUE = "{} has an invalid value!"
NO_DATE = "{} is not a date!"
NO_EXPRESSION = "{} has a validation regexp that cannot be used!"
NO_PARENT = "Parent product not found!"
TYPE_FIXED = "Data type can not be changed!"

# -- shapes ------------------------------------------------------------------------------------------------------------
PREFIX = "Error: "
"""Before the text of a product that is refused: there, an exception was turned into a text."""
VALIDATION = "Model validation error!"
TREE_INVALID = "Model validation failed!"
FAMILY_INVALID = "Model validation fail!"
SYNCHRONOUS_SECONDS_MAX = 10.0
"""How long an upsert or a deletion waits for its turn before it is answered with 202."""
PRODUCTS_MAX = 500
PRODUCT_BYTES_MAX = 2 * 1024**2
PRODUCTS_BYTES_MAX = 16 * 1024**2
"""Of one request."""
SORTED_MAX = 50_000
"""Products that are sorted by several members; more of them only by the first."""
DEPTH_MAX = 12
"""Levels of categories."""
DEPTH_KEPT_MAX = 64
"""Nesting of what is settled, and of a dataset's values."""

# -- global products and datasets, of which the names alone are published ----------------------------------------------
GLOBAL_COLLECTION = "mircate-global"
DATASET_SORT = "mircate/dataset"
DATASETS_MAX = 1_000
DATASET_BYTES_MAX = 5 * 1024**2
