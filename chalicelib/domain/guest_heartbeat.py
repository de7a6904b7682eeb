"""What a launched box tells of its work: the part of its user data that looks each minute and reports to Curfew.

It reports at once where work begins or ends, else each quarter of an hour, and each minute from the time on that the
last answer named; each report carries the minutes since the last one that was answered, and one that was not answered
is repeated each minute. A minute is busy for any of: a GPU in use, a compute process that has begun (`p`), somebody who
types in a session (`s`). Load (`l`) is told besides. What nvidia-smi does not say is told as unknown, never as idle:
but for GPUs without a figure (`[N/A]`, as with MIG) on which no process computes.

Curfew's time, from the Date of its answers, counts instead of the box's clock: the box adds what /proc/uptime counts.
Whoever is on the box can read the key, and so report as this lease's boxes; what that can do: docs/adr/0024-*.md.
"""

from dataclasses import dataclass, field
from shlex import quote

from chalicelib.domain.guest_sync import GuestSync

SIGNATURE_HEADER = "Curfew-Signature"
"""The HMAC-SHA256 of the body, in hex, by the lease's key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beacon:
    """Where a lease's boxes report, and what they sign with."""

    lease_id: str
    url: str
    key: str = field(repr=False)
    sync: GuestSync | None = None


def script(beacon: Beacon) -> str:
    """The part of the user data; it stands after the one that knows the deadline, if there is one."""
    filled = SCRIPT.replace("__URL__", quote(f"{beacon.url.rstrip('/')}/heartbeats"))
    return filled.replace("__LEASE__", beacon.lease_id).replace("__KEY__", beacon.key)


SCRIPT = """\
cat > /usr/local/sbin/curfew-heartbeat <<'CURFEW'
#!/bin/sh
# Tells Curfew what this box does: at once where work begins or ends, else each quarter of an hour.
[ "$(cat /sys/class/dmi/id/board_asset_tag 2>/dev/null)" = "$(cat /var/lib/curfew/box)" ] || exit 1
umask 077 && mkdir -p /var/lib/curfew/heart && cd /var/lib/curfew/heart || exit 1
clock=/usr/local/sbin/curfew-now
now=$($clock)
smi() { timeout -k 2 15 nvidia-smi "$@" --format=csv,noheader,nounits 2>/dev/null; }

# The highest use of any GPU, in three looks; "-" where it is not known.
use=- says=yes odd=
for look in 1 2 3; do
    [ $look = 1 ] || sleep 15
    told=$(smi --query-gpu=utilization.gpu) || { says=; break; }
    for percent in $told; do
        case $percent in
        *[!0-9]*) odd=yes ;;
        *) [ "$use" != - ] && [ "$use" -ge "$percent" ] || use=$percent ;;
        esac
    done
done
signs='' processes=0
if [ -n "$says" ] && told=$(smi --query-compute-apps=pid); then
    for process in $told; do
        processes=$((processes + 1))
        case " $(cat processes 2>/dev/null) " in *" $process "*) ;; *) signs=p ;; esac
    done
    echo $told > processes
    # No process computes: a GPU that has no figure does nothing.
    [ -z "$odd" ] || [ -n "$told" ] || [ "$use" != - ] || use=0
    [ -z "$odd" ] || [ -z "$told" ] || [ "$use" != 0 ] || use=-
elif [ "$use" = 0 ] && { [ -z "$says" ] || [ -n "$odd" ]; }; then
    use=-
fi
[ -z "$(find /dev/pts -name '[0-9]*' -amin -2 2>/dev/null)" ] || signs=${signs}s
read -r load rest < /proc/loadavg
case $load in 0.*) ;; *) signs=${signs}l ;; esac
case "$use $signs" in *[ps]* | [1-9]*) state=busy ;; 0*) state=idle ;; *) state=unknown ;; esac
{ tail -n 239 minutes; echo "$((now / 60 * 60)) $use $signs"; } > new 2>/dev/null
mv new minutes

read -r last answered 2>/dev/null < told
eager=$(cat eager 2>/dev/null)
[ "$state" != "$last" ] || [ -e owed ] || [ "$now" -ge $((answered + 900)) ] ||
    [ "$now" -ge "${eager:-$((now + 1))}" ] || exit 0

imds=http://169.254.169.254/latest
token=$(curl -sf -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $imds/api/token)
id=$(curl -sf -m 2 -H "X-aws-ec2-metadata-token: $token" $imds/meta-data/instance-id) || exit 1
touch owed
sent=$($clock)
count=$(cat count 2>/dev/null)
[ "$sent" -gt "${count:-0}" ] && count=$sent || count=$((count + 1))
echo $count > count
{
    printf '{"lease":"__LEASE__","instance":"%s","counter":%s,"sent_at":%s,' "$id" $count "$sent"
    printf '"processes":%s,"sessions":%s,"load":"%s","minutes":[' $processes $(($(who | wc -l))) "$load"
    sed -e 's/ - / null /' -e 's/^\\(.*\\) \\(.*\\) \\(.*\\)$/{"at":\\1,"gpu":\\2,"signs":"\\3"}/' minutes |
        paste -sd, -
    printf ']}'
} > post
key=__KEY__
if command -v openssl > /dev/null; then
    signed=$(openssl dgst -sha256 -hmac $key < post)
else
    signed=$(python3 -c 'import hmac, sys
print(hmac.new(sys.argv[1].encode(), sys.stdin.buffer.read(), "sha256").hexdigest())' $key < post)
fi
code=$(curl -s -m 10 -o answer -D heads -w '%{http_code}' -H 'Content-Type: application/json' \\
    -H "Curfew-Signature: ${signed##* }" --data-binary @post __URL__)
case $code in 429) exit 0 ;; 2?? | 4??) ;; *) exit 0 ;; esac

# Curfew's time is the right one. Minutes that were told by another are worth nothing.
date=$(sed -n 's/^[Dd]ate: *//p' heads | tr -d '\\r' | tail -n 1)
if [ -n "$date" ] && right=$(date -ud "$date" +%s 2>/dev/null); then
    off=$((right - $($clock)))
    read -r up rest < /proc/uptime
    echo "$(cat /proc/sys/kernel/random/boot_id) $right ${up%.*}" > ../anchor.new && mv ../anchor.new ../anchor
    [ ${off#-} -le 60 ] || rm -f minutes told eager
fi
case $code in
2??)
    value() { sed -n "s/.*\\"$1\\":\\"\\([^\\"]*\\)\\".*/\\1/p" answer; }
    rm -f eager owed
    : > minutes
    echo "$state $now" > told
    from=$(value each_minute_from)
    [ -z "$from" ] || date -ud "$from" +%s > eager
    [ ! -x /usr/local/sbin/curfew-deadline ] || /usr/local/sbin/curfew-deadline move "$(value deadline)"
    ;;
*)
    # Refused: again in five minutes, or at once where it was the clock's fault.
    grep -q heartbeat-late answer || { rm -f owed; echo "$state $((now - 600))" > told; }
    ;;
esac
exit 0
CURFEW
chmod 700 /usr/local/sbin/curfew-heartbeat
rm -rf /var/lib/curfew/heart /var/lib/curfew/anchor
cat > /etc/systemd/system/curfew-heartbeat.service <<'CURFEW'
[Unit]
Description=What this box does, for Curfew
[Service]
Type=oneshot
SuccessExitStatus=1
TimeoutStartSec=110
TimeoutStopSec=5
ExecStart=/usr/local/sbin/curfew-heartbeat
CURFEW
cat > /etc/systemd/system/curfew-heartbeat.timer <<'CURFEW'
[Unit]
Description=What this box does, for Curfew
[Timer]
OnCalendar=minutely
AccuracySec=1s
[Install]
WantedBy=timers.target
CURFEW
systemctl daemon-reload
systemctl enable curfew-heartbeat.timer
systemctl start curfew-heartbeat.timer
"""
