"""Decisions about product information that the vendor has not published; see the README's table."""

COLLECTION = "mircate"
"""The collection of products; prices and stock have a collection of this name, too."""
RESOURCE_TYPE = "mircate/pim"
"""Type of the resource that holds a merchant's configuration."""
CONFIGURATION_BYTES_MAX = 5 * 1024**2
"""Published for the platform as the size of an instance's state."""

# -- texts that the ancestor does not have, or that are not known -----------------------------------------------------
VALUE = "{} has an invalid value!"
NO_DATE = "{} is not a date!"
NO_EXPRESSION = "{} has a validation regexp that cannot be used!"
NO_PARENT = "Parent product not found!"
TYPE_FIXED = "Data type can not be changed!"

# -- shapes ------------------------------------------------------------------------------------------------------------
PREFIX = "Error: "
"""Prefix of the text of a rejected product: the ancestor converts an exception to a text."""
PIM_PAGE_SIZE_MAX = 500
"""Products of one page; a larger size is cut."""
VALIDATION = "Model validation error!"
TREE_INVALID = "Model validation failed!"
FAMILY_INVALID = "Model validation fail!"
PRODUCTS_MAX = 500
PRODUCT_BYTES_MAX = 2 * 1024**2
PRODUCTS_BYTES_MAX = 16 * 1024**2
"""Limits of one request."""
SORTED_MAX = 50_000
"""Products that can be sorted by several members; more can be sorted only by one."""
IMAGE_SIDE_MAX = 5_000
"""Width and height that Get Image makes."""
IMAGE_CHANGES_MAX, IMAGE_CHANGES_WAITING_MAX = 2, 100
"""Images that one API process changes at once, and such requests that are open at once."""
IMAGE_MEMORY_BYTES_MAX, IMAGE_SECONDS_MAX = 1024**3, 10.0
"""Limits of the process that changes an image."""
DEPTH_MAX = 12
"""Levels of categories."""
DEPTH_KEPT_MAX = 64
"""Nesting of configurations and of a dataset's values."""

# -- global products and datasets, of which the names alone are published ----------------------------------------------
GLOBAL_COLLECTION = "mircate-global"
DATASET_TYPE = "mircate/dataset"
DATASETS_MAX = 1_000
DATASET_BYTES_MAX = 5 * 1024**2
