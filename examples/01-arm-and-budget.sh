#!/bin/sh
# The first of the month: see how the guard is, say what the month may cost, and let Curfew act. 01-arm-and-budget.sh [LIMIT]
set -eu
. "$(dirname "$0")/curfew.sh"
limit=${1:-60}

# What is missing comes with the command that mends it.
health=$(call GET /health)
printf '%s' "$health" | python3 -c '
import json, sys
health = json.load(sys.stdin)
print("The guard is", health["status"] + (", it lacks:" if health["missing"] else ""))
for one in health["missing"]:
    print(" ", one["what"] + ":", one["fix"])'

# A budget first: without one nothing but each lease's own hold limits a month. At 80 % no more launches, at 100 % the end.
call PUT /budgets/account "{\"limit_usd\": \"$limit\", \"period\": \"monthly\"}" >/dev/null
echo "The month may cost \$$limit"

# Idle for an hour is the default; who forgets boxes wants less. What is left out of a policy stays as it is.
call PUT /policy '{"idle": {"after": "PT45M"}}' >/dev/null

# A rehearsal shows what would end. Then arm: boxes that ran before Curfew came get a lease, and so an end, too.
ended=$(ask ended POST /sweeps '{"dry_run": true}')
echo "A sweep would end now: $ended"
armed=$(ask armed_at POST /sweeps '{"arm": true}')
echo "Armed since $armed"
