"""What moves a launched box's data: the part of its user data that fetches at the start and pushes before the end.

It looks each 20 seconds. It fetches until all is there; a file of the right size is not fetched again. It pushes what
is new or has changed, last changed first, once the end is near: `lead` before the deadline, after a warning of idleness
(the answer to a heartbeat says so), or when EC2 announces an interruption. The box has no rights of its own: it asks
Curfew for URLs, signed with its lease's key like a heartbeat. Nobody waits for it: the box ends at its time.
"""

import base64
import zlib
from dataclasses import dataclass
from datetime import timedelta
from shlex import quote

from chalicelib.domain.sync import SyncFrom, SyncTo, is_remote
from chalicelib.domain.transfers import MOST_NAME, PATH, SINGLE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestSync:
    """What the script is to do; `lead`: how long before the deadline it begins to push."""

    sync_from: SyncFrom | None
    sync_to: SyncTo | None
    lead: timedelta


def script(sync: GuestSync, *, lease_id: str, url: str, key: str) -> str:
    """The part of the user data; it stands after the one that tells of the box's work."""
    filled = {
        "__IN__": quote(sync.sync_from.folder) if sync.sync_from else "",
        "__OUT__": quote(sync.sync_to.folder) if sync.sync_to else "",
        "__IN_REMOTE__": "yes" if sync.sync_from and is_remote(sync.sync_from.path) else "",
        "__OUT_REMOTE__": "yes" if sync.sync_to and is_remote(sync.sync_to.path) else "",
        "__LEAD__": str(int(sync.lead.total_seconds())),
        "__WHOLE__": str(SINGLE_BYTES),
        "__PATH__": PATH,
        "__LONGEST__": str(MOST_NAME),
        "__URL__": quote(f"{url.rstrip('/')}/sync"),
        "__LEASE__": lease_id,
        "__KEY__": key,
    }
    text = SCRIPT
    for name, value in filled.items():
        text = text.replace(name, value)
    return INSTALL.replace("__PACKED__", _packed(text))


def _packed(text: str) -> str:
    """Compressed, in lines of letters: as it is it would take half of the room that EC2 gives user data."""
    press = zlib.compressobj(9, zlib.DEFLATED, GZIP)
    return base64.encodebytes(press.compress(text.encode()) + press.flush()).decode()


GZIP = 16 + zlib.MAX_WBITS
"""The container that gunzip reads, in zlib's words."""
SCRIPT = """\
#!/bin/sh
# Brings this box its data, and takes its output away before the end.
[ "$(cat /sys/class/dmi/id/board_asset_tag 2>/dev/null)" = "$(cat /var/lib/curfew/box)" ] || exit 1
export LC_ALL=C
umask 077 && mkdir -p /var/lib/curfew/sync && cd /var/lib/curfew/sync || exit 1
move='curl -gsf --retry 2 --connect-timeout 10 --speed-limit 1000 --speed-time 60'
in=__IN__ out=__OUT__ key=__KEY__
clock=/usr/local/sbin/curfew-now
imds=http://169.254.169.254/latest
token=$(curl -sf -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $imds/api/token)
imd() { curl -sf -m 2 -H "X-aws-ec2-metadata-token: $token" $imds/meta-data/$1; }
id=$(imd instance-id) || exit 1

# ask MEMBERS: what Curfew says to that, in the file answer.
ask() {
    printf '{"lease":"__LEASE__","instance":"%s","sent_at":%s,%s}' "$id" "$($clock)" "$1" > post
    if command -v openssl > /dev/null; then
        signed=$(openssl dgst -sha256 -hmac $key < post)
    else
        signed=$(python3 -c 'import hmac, sys
print(hmac.new(sys.argv[1].encode(), sys.stdin.buffer.read(), "sha256").hexdigest())' $key < post)
    fi
    curl -sf -m 30 -o answer -H 'Content-Type: application/json' -H "Curfew-Signature: ${signed##* }" \\
        --data-binary @post __URL__
}
value() { sed -n "s/.*\\"$1\\":\\"\\([^\\"]*\\)\\".*/\\1/p" answer; }
# The URLs of the answer, a line each: URL, bytes, path.
urls() {
    { tr '{' '\\n' < answer; echo; } |
        sed -n 's/.*"url":"\\([^"]*\\)","bytes":\\([0-9]*\\),"path":"\\([^"]*\\)".*/\\1 \\2 \\3/p'
}
# tell WAY DONE LEFT PROBLEM: once, until there is something else to tell.
tell() {
    [ "$*" = "$(cat told-$1 2>/dev/null)" ] && return
    ask "\\"do\\":\\"tell\\",\\"way\\":\\"$1\\",\\"done\\":$2,\\"left\\":$3,\\"problem\\":\\"$4\\"" &&
        echo "$*" > told-$1
}
# copy WAY: by rclone, with a configuration that stays no longer than it takes.
copy() {
    ask "\\"do\\":\\"remote\\",\\"way\\":\\"$1\\"" || return 1
    command -v rclone > /dev/null ||
        { apt-get -qq update; apt-get -qqy -o DPkg::Lock::Timeout=300 install rclone ||
            dnf -qy install rclone; } > log 2>&1
    value config | base64 -d > rclone.conf
    remote=$(value remote)
    if [ $1 = fetch ]; then
        (umask 022 && mkdir -p "$in" && rclone --config rclone.conf copy "$remote" "$in") > log 2>&1
    else
        rclone --config rclone.conf copy "$out" "$remote" > log 2>&1
    fi
    code=$?
    rm -f rclone.conf answer
    problem=
    [ $code = 0 ] || problem="rclone ended with $code"
    [ $code != 127 ] || problem='rclone is not on this box and could not be installed'
    return $code
}

fetch() {
    [ -z "$(find failed -mmin -2 2>/dev/null)" ] || return
    if [ -n "__IN_REMOTE__" ]; then
        if copy fetch; then
            touch fetched
            tell fetch $(find "$in" -type f -printf . | wc -c) 0
        else
            touch failed
            tell fetch 0 1 "$problem"
        fi
        return
    fi
    after='' got=0 left=0 odd=0
    while :; do
        ask "\\"do\\":\\"fetch\\",\\"after\\":\\"$after\\"" || return
        after=$(value next)
        odd=$((odd + $(sed -n 's/.*"left_out":\\([0-9]*\\).*/\\1/p' answer)))
        urls > page
        while read -r url bytes path; do
            if [ "$(stat -c %s "$in/$path" 2>/dev/null)" != "$bytes" ]; then
                file=$in/$path
                (umask 022 && mkdir -p "${file%/*}" && $move -o "$file.curfew" "$url" &&
                    mv "$file.curfew" "$file")
            fi
            if [ "$(stat -c %s "$in/$path" 2>/dev/null)" = "$bytes" ]; then
                got=$((got + 1))
            else
                left=$((left + 1))
            fi
        done < page
        [ -n "$after" ] || break
    done
    if [ $left = 0 ]; then touch fetched; else touch failed; fi
    problem=
    [ $odd = 0 ] || problem="$odd with names that are not taken"
    tell fetch $got $((left + odd)) "$problem"
}

ends_soon() {
    grep -q '"push":"now"' ../heart/answer 2>/dev/null && return
    at=$(cat ../deadline 2>/dev/null) && [ "$($clock)" -ge $((at - __LEAD__)) ] && return
    imd spot/instance-action > /dev/null
}

# In pieces of whole MiB, of which those that have arrived are not sent again while the file stays as it is.
push_parts() {
    anew=true
    [ "$(cat begun 2>/dev/null)" != "$1 $2 $3" ] || anew=false
    before=
    while [ "$(stat -c '%s %Y' "$out/$3")" = "$1 $2" ]; do
        ask "\\"do\\":\\"part\\",\\"path\\":\\"$3\\",\\"size\\":$1,\\"anew\\":$anew" || return
        anew=false
        echo "$1 $2 $3" > begun
        urls > page
        [ -s page ] || { echo "$1 $2 $3" >> pushed; return; }
        [ "$(head -n 1 page | sed 's/.* //')" != "$before" ] || return
        before=$(head -n 1 page | sed 's/.* //')
        while read -r url bytes skip; do
            dd if="$out/$3" of=part bs=1048576 skip=$skip count=$(((bytes + 1048575) / 1048576)) 2>/dev/null
            $move -T part "$url"
        done < page
        rm -f part
    done
}

push() {
    (cd "$out" && find . -type f -printf '%s %Ts %P\\n') | sort -k2,2nr > all
    grep -E '^[0-9]+ [0-9]+ __PATH__$' all | awk 'length($0) <= length($1 $2) + 2 + __LONGEST__' > seen
    touch pushed
    grep -vxFf pushed seen > todo
    if [ -n "__OUT_REMOTE__" ]; then
        cmp -s all copied && return
        cp all copying
        count=$(($(wc -l < all)))
        if copy push; then mv copying copied; tell push $count 0; else tell push 0 $count "$problem"; fi
        return
    fi
    awk '$1 <= __WHOLE__' todo > small
    awk '$1 > __WHOLE__' todo > big
    while [ -s small ]; do
        head -n 50 small > batch
        tail -n +51 small > rest
        mv rest small
        files=$(sed 's/^\\([0-9]*\\) [0-9]* \\(.*\\)$/{"path":"\\2","size":\\1}/' batch | paste -sd, -)
        ask "\\"do\\":\\"push\\",\\"files\\":[$files]" || break
        urls > page
        while read -r size at path <&3 && read -r url bytes same <&4; do
            [ "$path" = "$same" ] && $move -T "$out/$path" "$url" && echo "$size $at $path" >> pushed
        done 3< batch 4< page
    done
    while read -r size at path; do push_parts "$size" "$at" "$path"; done < big
    done=$(grep -cxFf pushed seen)
    odd=$(($(wc -l < all) - $(wc -l < seen))) problem=
    [ $odd = 0 ] || problem="$odd with names that are not taken"
    tell push $done $(($(wc -l < all) - done)) "$problem"
}

[ -z "$out" ] || [ -d "$out" ] || { (umask 022 && mkdir -p "$out") && chmod 1777 "$out"; }
[ -z "$in" ] || [ -e fetched ] || fetch
[ -z "$out" ] || ! ends_soon || push
exit 0
"""
INSTALL = """\
base64 -d <<'CURFEW' | gunzip > /usr/local/sbin/curfew-sync
__PACKED__CURFEW
chmod 700 /usr/local/sbin/curfew-sync
rm -rf /var/lib/curfew/sync
cat > /etc/systemd/system/curfew-sync.service <<'CURFEW'
[Unit]
Description=This box's data, for Curfew
[Service]
Type=oneshot
SuccessExitStatus=1
TimeoutStartSec=infinity
ExecStart=/usr/local/sbin/curfew-sync
CURFEW
cat > /etc/systemd/system/curfew-sync.timer <<'CURFEW'
[Unit]
Description=This box's data, for Curfew
[Timer]
OnCalendar=*:*:0/20
AccuracySec=1s
[Install]
WantedBy=timers.target
CURFEW
systemctl daemon-reload
systemctl enable curfew-sync.timer
systemctl start curfew-sync.timer
"""
