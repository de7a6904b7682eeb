#!/bin/sh
# A box to train on: a key to log in with, the quote, then the launch. 02-launch.sh [HOURS]
set -eu
. "$(dirname "$0")/curfew.sh"
hours=${1:-4}
key=${CURFEW_KEY:-laptop}

# Made once. EC2 tells the private part in this answer alone, and nobody can read it again: it goes to a file of your own.
keys=$(list /key-pairs name)
if ! echo "$keys" | grep -x "$key" >/dev/null; then
    (umask 077 && ask private_key POST /key-pairs "{\"name\": \"$key\"}" >"$key.pem")
    echo "The key pair $key is new; its private part is in $key.pem"
fi

# One-time: EC2 may take it back, and nothing starts it again and bills on. Two types, because the first may have no capacity.
order="\"instance_types\": [\"g4dn.xlarge\", \"g5.xlarge\"], \"image\": \"deep-learning\", \"hours\": $hours"
order="$order, \"key_name\": \"$key\", \"project\": \"train\""
# Port 22 opens to the address that this call comes from, and to nobody else.
order="$order, \"ssh_from\": \"me\""

# Asked first what it can cost at worst: so much is held on the budget, and what doesn't fit isn't launched.
hold=$(ask hold_usd POST /spot-requests "{$order, \"dry_run\": true}")
echo "It would hold \$$hold"
lease=$(ask id POST /spot-requests "{$order}")

# Its address is known a moment later.
ready=$(call GET "/leases/$lease?wait=25")
echo "$lease runs until $(printf '%s' "$ready" | field expires_at)"
echo "log in: $(printf '%s' "$ready" | field ssh)"
echo "next:   sh examples/03-train-and-keep.sh $lease"
