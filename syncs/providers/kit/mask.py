"""Text from upstream made fit for a log: short, and without anything that looks like a secret."""

import re
from collections.abc import Iterable

LIMIT = 500

_SECRETS = re.compile(
    r"(?i)(?:"
    r"\b(?:sk|rk|pk|rkcs|whsec|rt|ac)_(?:live_|test_)?[A-Za-z0-9_*]{6,}"  # Stripe, also as it masks them itself
    r"|\b00D[A-Za-z0-9]{9,15}(?:!|%21)[A-Za-z0-9._%]+"  # Salesforce session
    r"|\b5Aep[A-Za-z0-9._]{8,}"  # Salesforce refresh token
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)*"  # JWT: assertions, Atlassian's and GitHub's tokens
    r"|\b(?:gh[opusr]_|github_pat_|ATATT|ATSTT|pat-[a-z]{2}\d-)[A-Za-z0-9_.=-]{8,}"  # GitHub, Atlassian, HubSpot
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*"
    r"|(?<=bearer )[^\s\"',]+|(?<=basic )[A-Za-z0-9+/=]{8,}"
    r"|(?<=token\":\")[^\"]+|(?<=token\": \")[^\"]+|(?<=secret\":\")[^\"]+|(?<=assertion\":\")[^\"]+"
    r"|(?<=assertion=)[^&\s\"]+|(?<=token=)[^&\s\"]+|(?<=secret=)[^&\s\"]+|(?<=code=)[^&\s\"]+|(?<=verifier=)[^&\s\"]+"
    r")"
)


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with the given secrets, and everything that looks like one, written as `***`."""
    for secret in secrets:
        if len(secret) >= 6:
            text = text.replace(secret, "***")
    return _SECRETS.sub("***", text)


def excerpt(body: bytes, secrets: Iterable[str] = ()) -> str:
    """The beginning of an answer's body for the log: at most 500 characters, secrets masked, on one line."""
    text = body[: LIMIT * 8].decode(errors="replace")
    return " ".join(masked(text, secrets).split())[:LIMIT]
