"""The providers the sandbox plays: the one list."""

from __future__ import annotations

from sandbox.anyapi.side import AnyApi
from sandbox.github.side import GitHub
from sandbox.hubspot.side import HubSpot
from sandbox.jira.side import Jira
from sandbox.linear.side import Linear
from sandbox.salesforce.side import Salesforce
from sandbox.side import Side
from sandbox.stripe.side import Stripe
from sandbox.zendesk.side import Zendesk

SIDES: tuple[type[Side], ...] = (Salesforce, Stripe, Jira, GitHub, HubSpot, Zendesk, Linear, AnyApi)
