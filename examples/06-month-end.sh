#!/bin/sh
# The end of the month: end what still runs of the project, then read what ended and what it cost. 06-month-end.sh [PROJECT]
set -eu
. "$(dirname "$0")/curfew.sh"
project=${1:-train}

leases=$(list "/leases?limit=200" id status project)
echo "$leases" | sed -n "s/  active  $project\$//p" | while read -r lease; do
    call DELETE "/leases/$lease" >/dev/null
    status=$(ask status GET "/leases/$lease?wait=25")
    echo "$lease is $status"
done

# The meter beside the bill: Cost Explorer's days come a day late.
spend=$(call GET /spend)
month=$(printf '%s' "$spend" | field period)

# A receipt an end: who or what ended it, and what it cost. Whoever kept an image has its first month there at once; what
# is spent, below, has it as the bill does, day by day.
echo "Ended since $month-01 (lease, cause, dollars):"
list "/receipts?since=$month-01" lease_id cause cost_usd

printf '%s' "$spend" | python3 -c '
import json, sys
spend = json.load(sys.stdin)
print(spend["period"] + ": $" + spend["spent_usd"] + " spent on everything that is counted")
for one in spend["by_owner"]:
    print("  by", one["owner"] + ": $" + one["usd"])'
