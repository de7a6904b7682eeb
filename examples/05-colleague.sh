#!/bin/sh
# A colleague wants to train too: a token of their own, with a limit of their own. 05-colleague.sh [NAME]
set -eu
. "$(dirname "$0")/curfew.sh"
name=${1:-grace}

# A launcher sees, changes and ends what is their own, and nothing else. The table keeps the token's hash alone.
made=$(call POST /tokens "{\"owner\": \"$name\", \"role\": \"launcher\", \"expires_in\": \"P30D\",
    \"budget\": {\"limit_usd\": \"20\", \"period\": \"monthly\"}}")
token=$(printf '%s' "$made" | field token)
id=$(printf '%s' "$made" | field id)
echo "For $name, shown this once: $token"

# What they see: none of our leases, their own limit, and what is left of the account's.
ours=$CURFEW_TOKEN
CURFEW_TOKEN=$token
theirs=$(list /leases id)
echo "$name's leases: ${theirs:-none}; budgets (name, limit, left):"
list /budgets name limit_usd left_usd
hold=$(ask hold_usd POST /spot-requests '{"instance_types": ["g4dn.xlarge"], "image": "deep-learning", "dry_run": true}')
echo "a launch of theirs would hold \$$hold"

# They have left: the token is over with the next call.
CURFEW_TOKEN=$ours
call DELETE "/tokens/$id" >/dev/null
echo "Who changed what (when, who, how, which, status):"
list "/audit?since=PT1H&limit=5" at owner method path subject status
