#!/bin/bash
# scripts/run.sh: starts the built server with the chat example published, says how to use it, and
# stays until Ctrl-C. LIGHTCONE_LISTEN and LIGHTCONE_DATA choose another address and data folder.
set -u
cd "$(dirname "$0")/.."

listen=${LIGHTCONE_LISTEN:-127.0.0.1:3000}
data=${LIGHTCONE_DATA:-./data}
url=http://$listen
lightcone=build/release/lightcone
example=examples/chat
start=("$lightcone" start --listen-addr "$listen" --data-dir "$data" --serve "/chat/=$example/web")

# Answers with the status line of GET /v1/ping; fails when nobody listens.
ping() {
    local status
    { exec 3<>"/dev/tcp/${listen%:*}/${listen##*:}"; } 2>/dev/null || return 1
    printf 'GET /v1/ping HTTP/1.0\r\nHost: %s\r\n\r\n' "$listen" >&3
    IFS= read -r -t 2 status <&3
    exec 3>&-
    [[ ${status:-} == *" 200 "* ]]
}

# Somebody is there already: the server says so itself, in its one line, and its exit code is ours.
if (exec 3<>"/dev/tcp/${listen%:*}/${listen##*:}") 2>/dev/null; then
    exec "${start[@]}"
fi

# In a session of its own, so that Ctrl-C reaches it once, through us.
setsid "${start[@]}" &
server=$!
stopping=
stop() {
    stopping=yes
    kill -TERM "$server" 2>/dev/null
}
trap stop INT TERM HUP

# Waits for the server's end, however many signals interrupt the waiting; its exit code is ours.
finish() {
    local code
    while :; do
        wait "$server"
        code=$?
        kill -0 "$server" 2>/dev/null || break
    done
    [[ $code -lt 128 || -z $stopping ]] || code=0
    exit "$code"
}

until ping; do
    kill -0 "$server" 2>/dev/null || finish
    [[ -z $stopping ]] || finish
    sleep 0.05
done

# Published when the server does not have it or its sources changed since; data is kept.
stamp=build/chat-published
sum=$(find "$example" include/lightcone sdk/module -type f \( -name '*.c' -o -name '*.h' \) 2>/dev/null |
    LC_ALL=C sort | xargs cat "$lightcone" | sha256sum)
known=$("$lightcone" describe chat --json -s "$url" 2>/dev/null)
if [[ -z $known || "$sum $(realpath "$data")" != "$(cat "$stamp" 2>/dev/null)" ]]; then
    if ! "$lightcone" publish chat --module-path "$example" -s "$url" --yes; then
        stop
        finish
    fi
    echo "$sum $(realpath "$data")" >"$stamp"
fi

if [[ -z $stopping ]]; then
    cat <<END

Lightcone is at $url, its data in $data. The database "chat" is live:
  say something   $lightcone call chat send_message hello -s $url
  watch it        $lightcone subscribe chat 'SELECT * FROM message' -s $url
  in the browser  $url/chat/  (two tabs see each other)
  stop            Ctrl-C
END
fi
finish
