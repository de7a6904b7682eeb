# What the examples share; each sources it. Where Curfew is: CURFEW_URL and CURFEW_TOKEN; unset, what `make serve` serves.
CURFEW_URL=${CURFEW_URL:-http://127.0.0.1:8000}
CURFEW_URL=${CURFEW_URL%/} # the EndpointURL of a stack ends with a slash
CURFEW_TOKEN=${CURFEW_TOKEN:-local-admin-token}

# call METHOD PATH [BODY]: print the answer. A refusal is told in Curfew's own words, with status 1.
# The token goes in by curl's standard input: what stands in arguments, everybody on the machine can read.
call() {
    answer=$(printf 'header = "Authorization: Bearer %s"\n' "$CURFEW_TOKEN" |
        curl -sS -K - -X "$1" ${3:+-d "$3"} -w '\n%{http_code}' "$CURFEW_URL$2") || return 1
    status=$(printf '%s\n' "$answer" | tail -n 1)
    answer=$(printf '%s\n' "$answer" | sed '$d')
    if [ "$status" -ge 400 ]; then
        echo "$1 $2 was answered $status: $(printf '%s' "$answer" | why)" >&2
        return 1
    fi
    printf '%s\n' "$answer"
}

# ask NAME METHOD PATH [BODY]: the same, and print one member of the answer; `instance_ids.0` is the first of a list.
ask() {
    name=$1
    shift
    answer=$(call "$@") || return 1
    printf '%s' "$answer" | field "$name"
}

# list PATH NAME...: of each item of a list these members, one line an item.
list() {
    answer=$(call GET "$1") || return 1
    shift
    printf '%s' "$answer" | python3 -c '
import json, sys
for item in json.load(sys.stdin)["items"]:
    print(*(item[name] if item[name] not in (None, "") else "-" for name in sys.argv[1:]), sep="  ")' "$@"
}

# ... | why: what a refusal says, and of each field that can't be accepted what would be.
why() {
    python3 -c '
import json, sys
problem = json.load(sys.stdin)
print(problem.get("detail"))
for one in problem.get("errors", ()):
    print(" ", one["field"] + ":", one["detail"])'
}

# ... | field NAME: nothing where there is none.
field() {
    python3 -c '
import json, sys
value = json.load(sys.stdin)
for name in sys.argv[1].split("."):
    value = (value[int(name)] if name.isdigit() else value.get(name)) if value else None
print("" if value is None else value)' "$1"
}
