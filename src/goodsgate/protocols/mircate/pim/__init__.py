"""Product information management: a merchant's configuration, products that follow it, and images."""
