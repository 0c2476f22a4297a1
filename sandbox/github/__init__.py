"""GitHub: repositories and what is in them, over REST, with OAuth, app installations and tokens."""
