"""What both stores share: whole concerns over a small interface for statements, and the rules of single values."""
