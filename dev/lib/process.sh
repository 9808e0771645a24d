# shellcheck shell=bash
# Processes, ports and places of the private servers. Only what is recorded here is ever stopped.

say() { printf 'dev/servers: %s\n' "$*" >&2; }

# Where data lives: DIR, unless the servers' unprivileged users cannot get there or its path is too long for a socket.
base() {
  if [ "${#DIR}" -le 70 ] && { [ "$(id -u)" -ne 0 ] || setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$DIR"; }; then
    printf '%s' "$DIR"
  else
    printf '/tmp/dunlin-servers-%s' "$(cksum <<< "$DIR" | cut -d' ' -f1)"
  fi
}

# The folder of one process: its log, its data, its socket.
home() { printf '%s/%s' "$BASE" "$1"; }

# An empty folder for one process.
fresh_home() {
  local home; home=$(home "$1")
  mkdir -p "$BASE"
  [ -O "$BASE" ] || { say "$BASE belongs to somebody else; set DUNLIN_SERVERS_DIR"; return 1; }
  rm -rf "$home"
  mkdir -m 755 "$home"
}

# shellcheck disable=SC2034
# become USER: sets AS to what runs a command as that user where we are root. PostgreSQL and MariaDB refuse to be root.
become() {
  AS=()
  if [ "$(id -u)" -eq 0 ]; then AS=(setpriv --reuid="$1" --regid="$1" --init-groups); fi
}

own() {
  local user=$1; shift
  if [ "$(id -u)" -eq 0 ]; then chown -R "$user:$user" "$@"; fi
}

# spawn NAME COMMAND…: starts a process that outlives this shell, and records it.
spawn() {
  local name=$1; shift
  # Not a process group's leader, so setsid does not fork and the number recorded is the server's own.
  (cd "$(home "$name")" && exec setsid "$@") < /dev/null >> "$(home "$name")/log" 2>&1 9>&- &
  echo "$! $(started "$!")" > "$DIR/$name.pid"
}

# When a process started, in clock ticks since boot: with its number, its identity.
started() {
  local stat
  { read -r stat < "/proc/$1/stat"; } 2> /dev/null || return 1
  # The name in brackets may hold spaces; the start time is the twentieth field after it.
  # shellcheck disable=SC2086
  set -- ${stat##*) }
  [ "$1" != Z ] && echo "${20}"
}

pid_of() { cut -d' ' -f1 "$DIR/$1.pid"; }

is_alive() {
  local pid start
  { read -r pid start < "$DIR/$1.pid"; } 2> /dev/null || return 1
  [ "$(started "$pid")" = "$start" ]
}

# stop NAME: ends a recorded process and deletes its folder. Its data is not wanted any more, so nothing is saved.
stop() {
  local pid tick
  if is_alive "$1"; then
    pid=$(pid_of "$1")
    # SIGQUIT ends PostgreSQL with its children at once; nobody here needs a clean shutdown.
    if [ "$1" = postgres ]; then kill -QUIT "$pid" || true; else kill -KILL "$pid" || true; fi
    for tick in {1..100}; do
      is_alive "$1" || break
      if [ "$tick" = 100 ]; then kill -KILL "$pid" || true; else sleep 0.05; fi
    done
  fi
  rm -rf "$DIR/$1.pid" "$(home "$1")"
}

# await NAME COMMAND…: waits until the command succeeds, for as long as the process lives and half a minute at most.
await() {
  local name=$1 tick; shift
  for tick in {1..600}; do
    "$@" && return 0
    is_alive "$name" || return 1
    sleep 0.05
  done
  echo "not ready after ${tick} looks" >> "$(home "$name")/log"
  return 1
}

logged() { grep -qs -- "$2" "$(home "$1")/log"; }

port() { cat "$DIR/$1.port" 2> /dev/null || echo 0; }

# choose_port NAME ATTEMPT: the port of last time while it is free, so that exported URLs stay true; else another.
# A cluster node's bus listens 10,000 above its port: all of it stays below the range of outgoing connections.
choose_port() {
  local candidate tries
  candidate=$(port "$1")
  if [ "$2" -gt 1 ] || [ "$candidate" = 0 ]; then candidate=$((20000 + RANDOM % 2700)); fi
  for tries in {1..200}; do
    if is_free "$candidate" && is_free $((candidate + 10000)) && ! is_chosen "$candidate" "$1"; then
      echo "$candidate" > "$DIR/$1.port"
      return 0
    fi
    candidate=$((20000 + RANDOM % 2700))
  done
  say "no free port after $tries tries"
  return 1
}

# Whether another process of ours has this port, listening yet or not.
is_chosen() { grep -lsx -- "$1" "$DIR"/*.port | grep -qv "/$2.port\$"; }

is_free() { ! (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }
