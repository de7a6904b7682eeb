#!/bin/sh
# Sends a file to Curfew's bucket, however large: in parts, of which those that have arrived are never sent again.
#
#   sh examples/upload.sh FILE [PATH [LEASE]]    FILE goes to PATH (its own name) in your folder, or in a lease's
#   sh examples/upload.sh FILE --resume ID       goes on with an upload that was cut off
#
# It needs curl and dd, and in CURFEW_URL and CURFEW_TOKEN where Curfew is; unset, what `make serve` serves.
set -eu
curfew=${CURFEW_URL:-http://127.0.0.1:8000}
curfew=${curfew%/} # the EndpointURL of a stack ends with a slash
file=${1:?which file? sh examples/upload.sh FILE [PATH [LEASE]]}
path=${2:-${file##*/}}
[ -f "$file" ] || { echo "there is no file $file here" >&2; exit 1; }
size=$(($(wc -c < "$file")))
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# call METHOD PATH [BODY]: the answer, in $scratch/answer.
call() {
    code=$(printf 'header = "Authorization: Bearer %s"\n' "${CURFEW_TOKEN:-local-admin-token}" |
        curl -s -o "$scratch/answer" -w '%{http_code}' -K - -X "$1" ${3:+-d "$3"} "$curfew$2")
    case $code in 2??) ;; *) cat "$scratch/answer" >&2; echo >&2; return 1 ;; esac
}
# member NAME: of the answer.
member() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" "$scratch/answer"; }

if [ "$path" = --resume ]; then
    id=${3:?which upload? The id that was printed}
else
    call POST /transfers "{\"direction\":\"up\",\"path\":\"$path\",\"size_bytes\":$size${3:+,\"lease_id\":\"$3\"}}"
    id=$(member id)
    if [ "$id" = null ]; then
        curl -sf -T "$file" "$(member url)"
        echo "sent: $path"
        exit
    fi
    echo "in parts, as $id"
fi

before=
while call POST "/transfers/$id/parts" '{}' || exit 1; [ "$(member missing)" != 0 ]; do
    left=$(member missing)
    if [ "$left" = "$before" ]; then
        echo "no part has arrived; go on later: sh $0 $file --resume $id" >&2
        exit 1
    fi
    before=$left
    echo "$left parts to send"
    { tr '{' '\n' < "$scratch/answer"; echo; } |
        sed -n 's/.*"offset":\([0-9]*\),"size_bytes":\([0-9]*\),"url":"\([^"]*\)".*/\1 \2 \3/p' |
        while read -r offset bytes url; do
            # Parts begin at whole MiB.
            dd if="$file" of="$scratch/part" bs=1048576 skip=$((offset / 1048576)) \
                count=$(((bytes + 1048575) / 1048576)) 2> /dev/null
            curl -sSf --retry 3 -T "$scratch/part" "$url" || echo "one part did not arrive: it is sent again" >&2
        done
done
call POST "/transfers/$id/complete"
echo "sent: $id"
