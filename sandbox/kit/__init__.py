"""What sides are made of: record tables, page tokens, OAuth, keys, limits, webhooks."""
