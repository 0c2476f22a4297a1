"""The faults that are one click away on the Faults page."""

from __future__ import annotations

READY_FAULTS: dict[str, tuple[tuple[str, dict[str, str]], ...]] = {
    "salesforce": (
        ("Used-up quota, 3 requests", {"kind": "quota", "times": "3"}),
        ("Slow down (429), 5 requests", {"kind": "rate_limit", "times": "5", "retry_after": "2"}),
        ("Server error, 3 requests", {"kind": "server_error", "times": "3"}),
        ("Maintenance page, 3 requests", {"kind": "unavailable", "times": "3"}),
        ("Expired access token", {"kind": "expired_token", "times": "1"}),
        ("Revoked connection", {"kind": "revoked_grant", "times": "1"}),
        ("Lost page token", {"kind": "lost_page_token", "times": "1"}),
        ("No right to read Contact", {"kind": "no_read_right", "path": "FROM Contact"}),
        ("5 seconds slower", {"kind": "slow", "seconds": "5"}),
        ("Half a body, once", {"kind": "truncated", "times": "1"}),
        ("Dropped connection, once", {"kind": "drop", "times": "1"}),
        ("One in five requests fails", {"kind": "server_error", "share": "0.2"}),
    ),
    "stripe": (
        ("Slow down (429), 5 requests", {"kind": "rate_limit", "times": "5"}),
        ("Object locked, 2 requests", {"kind": "lock_timeout", "times": "2"}),
        ("Server error, 3 requests", {"kind": "server_error", "times": "3"}),
        ("No right to read charges", {"kind": "forbidden", "path": "/v1/charges"}),
        ("Expired key", {"kind": "expired_token", "times": "1"}),
        ("5 seconds slower", {"kind": "slow", "seconds": "5"}),
        ("Half a body, once", {"kind": "truncated", "times": "1"}),
        ("Dropped connection, once", {"kind": "drop", "times": "1"}),
        ("One in five requests fails", {"kind": "server_error", "share": "0.2"}),
    ),
}
