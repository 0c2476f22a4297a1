"""Jira Cloud, as the sandbox plays it."""
