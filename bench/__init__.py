"""What is measured and how; every figure in the docs has its command here."""
