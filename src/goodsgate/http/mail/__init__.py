"""Mail for people: what became of a batch, in plain words, sent to webhooks with a ``mailto:`` address."""
