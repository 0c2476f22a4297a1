"""Stripe as its API reference describes it, on `{sandbox}/stripe`."""
