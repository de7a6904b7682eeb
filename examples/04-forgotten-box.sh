#!/bin/sh
# Somebody started a box in the console and forgot it. 04-forgotten-box.sh [INSTANCE to end]
set -eu
. "$(dirname "$0")/curfew.sh"
box=${1:-}

# On the simulated AWS we are that somebody: CURFEW_WORLD=http://127.0.0.1:5000/_world. On AWS leave it unset.
if [ -n "${CURFEW_WORLD:-}" ] && [ -z "$box" ]; then
    started=$(curl -sS "$CURFEW_WORLD/instances" -d '{"type": "p3.2xlarge", "market": "persistent"}')
    box=$(printf '%s' "$started" | field id)
fi

# Curfew finds it within a minute by itself, and gives it a lease like any other, which ends. This is that look, now.
call POST /sweeps '{}' >/dev/null
echo "box, type, market, dollars an hour, lease, whose:"
list /instances id instance_type lifecycle hourly_usd lease_id owner

# Or end it at once, by its own name. Terminated alone, its request would start another: that is cancelled first.
if [ -n "$box" ]; then
    lease=$(ask lease_id DELETE "/instances/$box")
    status=$(ask status GET "/leases/$lease?wait=25")
    echo "$box is ended, its lease $lease is $status"
fi
