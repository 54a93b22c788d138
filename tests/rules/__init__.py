"""Rules: values and the issues they make."""
