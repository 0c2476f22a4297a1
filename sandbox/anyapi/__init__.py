"""An API nobody knows, in seven ways of paging and five of letting in: what admins describe without code."""
