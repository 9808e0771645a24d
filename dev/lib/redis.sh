# shellcheck shell=bash
# Redis: one without persistence and with many databases, and a cluster of three.

redis_processes() { echo redis; }
redis_ports() { choose_port redis "$1"; }
redis_url() { echo "redis://127.0.0.1:$(port redis)/0"; }
redis_env() { echo "DUNLIN_TEST_REDIS_SOCKET=$(home redis)/redis.sock"; }

redis_server_path() {
  if [ -n "${DUNLIN_TEST_REDIS_SERVER:-}" ]; then echo "$DUNLIN_TEST_REDIS_SERVER"; return; fi
  command -v redis-server || command -v valkey-server
}

redis_spawn() {
  local name=$1; shift
  fresh_home "$name"
  spawn "$name" "$(redis_server_path)" --bind 127.0.0.1 --port "$(port "$name")" --dir "$(home "$name")" --save '' \
    --appendonly no --maxmemory 512mb --maxmemory-policy noeviction --enable-debug-command local "$@"
}

redis_start() {
  redis_spawn redis --databases 512 --unixsocket "$(home redis)/redis.sock"
  await redis logged redis 'Ready to accept connections'
}

redis_cluster_processes() { echo redis_cluster_1 redis_cluster_2 redis_cluster_3; }
redis_cluster_ports() { local node; for node in $(redis_cluster_processes); do choose_port "$node" "$1"; done; }
redis_cluster_url() { echo "redis+cluster://127.0.0.1:$(port redis_cluster_1)"; }
redis_cluster_env() { :; }

redis_cluster_start() {
  local node nodes=() cli
  for node in $(redis_cluster_processes); do
    redis_spawn "$node" --cluster-enabled yes --cluster-config-file nodes.conf --cluster-node-timeout 5000
    nodes+=("127.0.0.1:$(port "$node")")
  done
  for node in $(redis_cluster_processes); do await "$node" logged "$node" 'Ready to accept connections'; done
  cli=$(redis_server_path)
  "${cli%-server}-cli" --cluster create "${nodes[@]}" --cluster-replicas 0 --cluster-yes >> "$(home redis_cluster_1)/log" 2>&1
  for node in $(redis_cluster_processes); do await "$node" cluster_is_ok "${cli%-server}-cli" "$node"; done
}

cluster_is_ok() { "$1" -p "$(port "$2")" cluster info | grep -q '^cluster_state:ok'; }
