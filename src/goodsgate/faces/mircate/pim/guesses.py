"""Everything about product information that nobody has published and that had to be decided; see the README's table."""

COLLECTION = "mircate"
"""Where products are held; prices and stock of this face are in a collection of this name, too."""
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
