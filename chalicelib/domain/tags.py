"""The names of the tags that Curfew sets on boxes and what belongs to them, and reads there. A tag tells people and
finds things again; it proves no lease, because consoles and templates copy tags."""

LEASE_TAG = "curfew:lease"
OWNER_TAG = "curfew:owner"
PROJECT_TAG = "curfew:project"
EXPIRES_TAG = "curfew:expires-at"
"""When the box ends itself; it reads that each minute."""
SSH_FROM_TAG = "curfew:ssh-from"
"""On a security group of Curfew's own: the address that it lets in."""
