"""Zendesk Support, as its documentation describes it."""
