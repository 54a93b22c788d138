"""Product information: what a merchant has settled, products held to it, images."""
