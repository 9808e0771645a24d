# shellcheck shell=bash
# PostgreSQL: passwords are asked for on every way in, TLS is on, durability is the default.

postgres_processes() { echo postgres; }
postgres_ports() { choose_port postgres "$1"; }
postgres_url() { echo "postgres://postgres:$PASSWORD@127.0.0.1:$(port postgres)/dunlin"; }
postgres_env() { echo "DUNLIN_TEST_POSTGRES_SOCKET=$(home postgres)"; }

# The folder of the newest PostgreSQL's programs. Debian keeps them out of PATH.
postgres_bin() {
  local found
  if [ -n "${DUNLIN_TEST_PG_BIN:-}" ]; then echo "$DUNLIN_TEST_PG_BIN"; return; fi
  found=$(printf '%s\n' /usr/lib/postgresql/*/bin/postgres | sort -V | tail -n 1)
  [ -x "$found" ] || found=$(command -v postgres) || return 1
  dirname "$(readlink -f "$found")"
}

postgres_start() {
  local bin home
  bin=$(postgres_bin)
  fresh_home postgres
  home=$(home postgres)
  become postgres
  printf '%s' "$PASSWORD" > "$home/password"
  cp "$DIR"/tls/server.{crt,key} "$home"
  own postgres "$home"
  (cd "$home" && "${AS[@]}" "$bin/initdb" --pgdata=data --username=postgres --pwfile=password --auth=scram-sha-256 \
    --encoding=UTF8 --locale=C.UTF-8 --no-sync) >> "$home/log" 2>&1
  cat >> "$home/data/postgresql.conf" <<END
listen_addresses = '127.0.0.1'
port = $(port postgres)
unix_socket_directories = '$home'
ssl = on
ssl_cert_file = '$home/server.crt'
ssl_key_file = '$home/server.key'
shared_buffers = 64MB
max_connections = 200
max_prepared_transactions = 8
END
  spawn postgres "${AS[@]}" "$bin/postgres" -D "$home/data"
  await postgres "$bin/pg_isready" --quiet --host=127.0.0.1 --port="$(port postgres)"
  PGPASSWORD=$PASSWORD "$bin/psql" --quiet --no-psqlrc --host=127.0.0.1 --port="$(port postgres)" --username=postgres \
    --command='create database dunlin' >> "$home/log" 2>&1
}
