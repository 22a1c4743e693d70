#!/bin/sh
# What systemd does with a service that ends: it starts the service again with the
# same sockets, until it is itself told to stop.
#   supervisor.sh PIDFILE PROGRAM [ARGUMENT...]
pidfile=$1
shift
last=
trap 'last=1; kill "$service"' TERM
while [ -z "$last" ]; do
    sh -c 'exec env LISTEN_PID=$$ "$@"' sh "$@" &
    service=$!
    echo "$service" >"$pidfile.new"
    mv "$pidfile.new" "$pidfile"
    wait "$service"
done
wait
