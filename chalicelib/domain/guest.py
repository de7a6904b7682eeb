"""What a launched box knows of its end: a part of its user data that shuts it down at `expires_at`, by itself. What it
tells of its work stands beside it (domain/guest_heartbeat.py).

It installs a systemd timer on the disk, which is still there after a reboot and after a stop and a start, and fires at
once where its time passed meanwhile. Each minute the box reads `curfew:expires-at` among its own tags, from the
instance metadata service, so that an end that has moved reaches it without a word from Curfew; where that does not
answer, what is on the disk stands. In a box that is started from an image of this one it ends nothing: on Nitro, as all
present types are, the board's asset tag is the instance's id (EC2 guide, "Identify EC2 instances").
Why so: docs/adr/0018-the-box-reads-its-end-from-its-own-tag.md.
"""

from datetime import UTC, datetime
from email.errors import MessageError
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.parser import Parser
from itertools import count

from chalicelib.domain import guest_heartbeat, guest_sync
from chalicelib.domain.guest_heartbeat import Beacon

LIMIT_BYTES = 16 * 1024
"""EC2's, before base64 (EC2 guide, "Run commands when you launch an EC2 instance with user data input")."""
KINDS = {
    "#!": "x-shellscript",
    "#cloud-config-archive": "cloud-config-archive",
    "#cloud-config": "cloud-config",
    "#cloud-boothook": "cloud-boothook",
    "#include": "x-include-url",
    "## template: jinja": "jinja2",
}
"""How user data begins, and cloud-init's name for it (cloud-init, "User data formats")."""
MULTIPART = ("content-type:", "mime-version:")
MOST_PARTS = 32
"""Of a caller's MIME message: each within the one before, they take a part of Python's stack each."""
START = """\
#!/bin/sh
# Curfew: when this box is to end, whether Curfew runs or not, and what it tells of its work.
mkdir -p /var/lib/curfew
cat /sys/class/dmi/id/board_asset_tag > /var/lib/curfew/box 2>/dev/null
cat > /usr/local/sbin/curfew-now <<'CURFEW'
#!/bin/sh
# The time: Curfew's, and what has passed since then, where it was told in this boot; else the clock's.
read -r boot right at 2>/dev/null < /var/lib/curfew/anchor
if [ -n "$boot" ] && [ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ]; then
    read -r up rest < /proc/uptime
    echo $((right + ${up%.*} - at))
else
    date +%s
fi
CURFEW
chmod 755 /usr/local/sbin/curfew-now
"""
DEADLINE = """\
echo __SECONDS__ > /var/lib/curfew/deadline
rm -f /var/lib/curfew/deadline.tag
cat > /usr/local/sbin/curfew-deadline <<'CURFEW'
#!/bin/sh
# Takes a moved end from the box's own tag, or from Curfew's answer to a heartbeat; says whether the end has come.
# The disk of another box, whose image this one was started from, has an end that is not this one's.
[ "$(cat /sys/class/dmi/id/board_asset_tag 2>/dev/null)" = "$(cat /var/lib/curfew/box)" ] || exit 1
file=/var/lib/curfew/deadline
timer=/etc/systemd/system/curfew-deadline.timer
imds=http://169.254.169.254/latest
move() {
    [ -n "$1" ] && at=$(date -ud "$1" +%s 2>/dev/null) && [ "$at" != "$(cat $file)" ] || return
    echo "$at" > $file.new && mv $file.new $file
    sed -i "s/^OnCalendar=.*/OnCalendar=$(date -ud "@$at" '+%Y-%m-%d %H:%M:%S UTC')/" $timer
    systemctl daemon-reload
    systemctl restart curfew-deadline.timer
}
refresh() {
    token=$(curl -sf -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $imds/api/token) || return
    told=$(curl -sf -m 2 -H "X-aws-ec2-metadata-token: $token" \\
        $imds/meta-data/tags/instance/curfew:expires-at) || return
    # A tag that was seen before says nothing new: an answer since may.
    [ "$told" != "$(cat $file.tag 2>/dev/null)" ] || return
    move "$told"
    echo "$told" > $file.tag
}
if [ "$1" = move ]; then move "$2"; else refresh; fi
[ "$(/usr/local/sbin/curfew-now)" -ge "$(cat $file)" ] || exit 1
[ "$1" != end ] || systemctl start --no-block curfew-deadline.service
CURFEW
chmod 755 /usr/local/sbin/curfew-deadline
cat > /etc/systemd/system/curfew-deadline.service <<'CURFEW'
[Unit]
Description=The end of this box's lease
[Service]
Type=oneshot
ExecCondition=/usr/local/sbin/curfew-deadline
ExecStart=/sbin/shutdown -P now
CURFEW
cat > /etc/systemd/system/curfew-deadline.timer <<'CURFEW'
[Unit]
Description=The end of this box's lease
[Timer]
OnCalendar=__CALENDAR__
Persistent=true
AccuracySec=1s
[Install]
WantedBy=timers.target
CURFEW
cat > /etc/systemd/system/curfew-refresh.service <<'CURFEW'
[Unit]
Description=Whether the end of this box's lease has moved
[Service]
Type=oneshot
SuccessExitStatus=1
ExecStart=/usr/local/sbin/curfew-deadline end
CURFEW
cat > /etc/systemd/system/curfew-refresh.timer <<'CURFEW'
[Unit]
Description=Whether the end of this box's lease has moved
[Timer]
OnCalendar=minutely
AccuracySec=1s
[Install]
WantedBy=timers.target
CURFEW
systemctl daemon-reload
systemctl enable curfew-deadline.timer curfew-refresh.timer
systemctl start curfew-deadline.timer curfew-refresh.timer
"""


def takes_deadline(own: str | None) -> bool:
    """Whether a deadline can be put beside a caller's user data: what cloud-init does not know is left as it is."""
    return not own or _kind(own) is not None or _is_multipart(own)


def is_readable(own: str | None) -> bool:
    """Whether what begins as a MIME message can be read as one, and written anew as a part of ours."""
    if not own or not _is_multipart(own):
        return True
    if own.lower().count(MULTIPART[0]) > MOST_PARTS:
        return False
    try:
        _theirs(own).as_string()
    except (MessageError, ValueError, LookupError):
        return False
    return True


def user_data(own: str | None, deadline: datetime | None, beacon: Beacon | None = None) -> str | None:
    """The user data of a box that is to shut itself down at `deadline` (None: never) and to report by `beacon`: our
    part comes first, so that nothing of the caller's keeps it from being run."""
    if not takes_deadline(own) or (deadline is None and beacon is None):
        return own
    script = _script(deadline, beacon)
    if not own:
        return script
    whole = MIMEMultipart(boundary=next(f"==curfew-{n}==" for n in count() if f"==curfew-{n}==" not in own))
    whole.attach(_part(script, "x-shellscript", "curfew-deadline.sh"))
    whole.attach(_theirs(own))
    return whole.as_string()


def is_too_long(own: str | None, deadline: datetime | None, beacon: Beacon | None = None) -> bool:
    """Whether EC2 would refuse all of it together."""
    return len((user_data(own, deadline, beacon) or "").encode()) > LIMIT_BYTES


def _script(deadline: datetime | None, beacon: Beacon | None) -> str:
    parts = [START]
    if deadline is not None:
        told = deadline.astimezone(UTC)
        script = DEADLINE.replace("__SECONDS__", str(int(told.timestamp())))
        parts.append(script.replace("__CALENDAR__", f"{told:%Y-%m-%d %H:%M:%S} UTC"))
    if beacon is not None:
        parts.append(guest_heartbeat.script(beacon))
        if beacon.sync is not None:
            of = {"lease_id": beacon.lease_id, "url": beacon.url, "key": beacon.key}
            parts.append(guest_sync.script(beacon.sync, **of))
    return "".join(parts)


def _theirs(own: str) -> Message:
    if _is_multipart(own):
        return Parser().parsestr(own.lstrip())
    return _part(own, _kind(own) or "plain", "user-data")


def _part(text: str, kind: str, name: str) -> MIMEText:
    part = MIMEText(text, kind, "us-ascii" if text.isascii() else "utf-8")
    part.add_header("Content-Disposition", "attachment", filename=name)
    return part


def _kind(own: str) -> str | None:
    begin = own.lstrip().lower()
    return next((kind for start, kind in KINDS.items() if begin.startswith(start)), None)


def _is_multipart(own: str) -> bool:
    return own.lstrip().lower().startswith(MULTIPART)
