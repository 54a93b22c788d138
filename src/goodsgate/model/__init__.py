"""Values that all other packages share; imports no other package."""
