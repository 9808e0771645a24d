# shellcheck shell=bash
# MariaDB, for `mysql://` and `mariadb://`.

mysql_processes() { echo mysql; }
mysql_ports() { choose_port mysql "$1"; }
mysql_url() { echo "mysql://root:$PASSWORD@127.0.0.1:$(port mysql)/dunlin"; }
mysql_env() { echo "DUNLIN_TEST_MYSQL_SOCKET=$(home mysql)/mysql.sock"; }

mariadbd_path() {
  if [ -n "${DUNLIN_TEST_MARIADBD:-}" ]; then echo "$DUNLIN_TEST_MARIADBD"; return; fi
  PATH=$PATH:/usr/sbin:/usr/local/sbin command -v mariadbd
}

mysql_start() {
  local home
  fresh_home mysql
  home=$(home mysql)
  become mysql
  cp "$DIR"/tls/server.{crt,key} "$home"
  # Read by the server before it listens: root needs its password from the first connection on.
  cat > "$home/init.sql" <<END
create or replace user root@localhost identified by '$PASSWORD';
grant all on *.* to root@localhost with grant option;
create or replace user root@127.0.0.1 identified by '$PASSWORD';
grant all on *.* to root@127.0.0.1 with grant option;
create database if not exists dunlin;
END
  own mysql "$home"
  (cd "$home" && "${AS[@]}" mariadb-install-db --no-defaults --datadir="$home/data" --skip-test-db \
    --auth-root-authentication-method=normal --innodb-log-file-size=32M) >> "$home/log" 2>&1
  spawn mysql "${AS[@]}" "$(mariadbd_path)" --no-defaults --datadir="$home/data" --bind-address=127.0.0.1 \
    --port="$(port mysql)" --socket="$home/mysql.sock" --pid-file="$home/mysql.pid" --init-file="$home/init.sql" \
    --ssl-cert="$home/server.crt" --ssl-key="$home/server.key" --character-set-server=utf8mb4 --skip-name-resolve \
    --innodb-buffer-pool-size=128M --innodb-log-file-size=32M --max-connections=300 --skip-log-bin
  await mysql logged mysql 'ready for connections'
}
