#!/bin/sh
# The training takes longer, and its result is to be kept. 03-train-and-keep.sh LEASE
set -eu
. "$(dirname "$0")/curfew.sh"
lease=${1:?which lease? GET /leases lists them}

# Six hours in all instead of four, if the budget has room. Hold, timers and the box's own deadline move with it.
until=$(ask expires_at PATCH "/leases/$lease" '{"hours": 6}')
echo "$lease runs until $until"

# A warning in Slack has links that keep an idle box for an hour or four. One click, or: SNOOZE_URL=<link>.
if [ -n "${SNOOZE_URL:-}" ]; then
    curl -sS -X POST "$SNOOZE_URL"
fi

# The model goes home through Curfew's bucket; neither the box nor this computer needs AWS credentials for it.
push=$(ask command POST /transfers '{"direction": "up", "path": "model.pt"}')
echo "on the box, within a quarter of an hour: $push"
if [ -n "${CURFEW_WORLD:-}" ]; then # nothing trains on the simulated AWS: here we are the box, and then at home
    echo weights >model.pt
    sh -c "$push"
    rm model.pt
    pull=$(ask command POST /transfers '{"direction": "down", "path": "model.pt"}')
    echo "at home: $pull"
    sh -c "$pull"
fi

# Saved while it lives. EC2 takes some minutes for it; until then the box must not end.
box=$(ask instance_ids.0 GET "/leases/$lease")
image=$(ask id POST "/instances/$box/image" '{"name": "train"}')
until list /images id state | grep "$image  available" >/dev/null; do
    if [ "$(ask status GET "/leases/$lease")" != active ]; then
        echo "$lease ended before $image was there: look at GET /images before you count on it" >&2
        exit 1
    fi
    sleep 2
done
echo "$image is saved: \"image\": \"mine:train\" is the newest of that name"

# The box has done its work.
call DELETE "/leases/$lease" >/dev/null
cost=$(ask accrued_usd GET "/leases/$lease?wait=25")
echo "$lease is over, it has cost \$$cost, a month of what was saved included"

# Another day goes on from there.
order='"instance_types": ["g4dn.xlarge"], "image": "mine:train", "hours": 2, "project": "train"'
next=$(ask id POST /spot-requests "{$order}")
echo "$next goes on from mine:train"
