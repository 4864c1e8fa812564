#!/usr/bin/env bash
# Private, throw-away PostgreSQL and RabbitMQ for tests and experiments: no containers, no system services. Each run has
# servers of its own on free loopback ports, with random passwords; several runs don't meet. For Linux; installs what is
# missing on Debian when run as root.
#
#   services.sh up [postgres|rabbitmq] DIR     start both, or one, in DIR (made if need be) and write DIR/env, to be sourced
#   services.sh down DIR                       stop and remove what `up` made
#   services.sh restart postgres|rabbitmq DIR  stop in good order if running, start again: same port, same data
#   services.sh kill postgres|rabbitmq DIR     end without warning, as in a crash; `restart` brings it back
#   services.sh freeze|thaw postgres|rabbitmq DIR
#                                              stop it where it stands, as on a machine that hangs; let it go on
#   services.sh ctl DIR ARG...                 run rabbitmqctl on the RabbitMQ in DIR
#   services.sh with -- CMD [ARG...]           start both, run CMD, take all down whatever happens, end with CMD's status
#   services.sh install                        only install what is missing, which the others do when they need it; and
#                                              PgBouncer, which some tests put in front of a PostgreSQL
#
# CMD gets DATABASE_URL and AMQP_URL, and, to restart a server under test, FOXDEN_SERVICES (this script) and
# FOXDEN_SERVICES_DIR (the DIR above). Where DATABASE_URL or AMQP_URL is set already, `with` takes that server instead of
# starting its own, which `restart` and `kill` then refuse to touch.
#
# FOXDEN_SERVICES_TLS=server gives RabbitMQ a listener for TLS as well, whose URL is in AMQPS_URL; with `mutual` it wants a
# certificate of its clients. DIR/rabbitmq/tls has the authority (ca.pem), the broker's certificate for 127.0.0.1 (broker.pem),
# one that has expired (expired.pem), and a client's (client.pem, client.key).
#
# FOXDEN_SERVICES_FSYNC=on lets PostgreSQL wait for its disk, as it should where more than tests depend on it.
# FOXDEN_SERVICES_STATEMENTS=on lets it count statements, with pg_stat_statements.
#
# Exit status: 2 wrong usage, 3 a server is not installed and can't be, 1 a server did not start, else CMD's.
set -euo pipefail
# Passwords stand in files below DIR.
umask 077

readonly SELF=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/$(basename "${BASH_SOURCE[0]}")
readonly USAGE='usage: services.sh up [postgres|rabbitmq] DIR | down DIR | restart|kill|freeze|thaw postgres|rabbitmq DIR |
       services.sh ctl DIR ARG... | with -- CMD [ARG...] | install'
readonly START_ATTEMPTS=3

say() { printf 'services: %s\n' "$*" >&2; }
die() { say "${@:2}"; exit "$1"; }

now_ms() { local now=${EPOCHREALTIME/[.,]/}; echo $((now / 1000)); }

random_hex() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Below 32768, where Linux takes its own from: else a test's client socket could sit on the port of a server that is being
# restarted.
free_port() {
  local port
  while port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000)); listening "$port"; do :; done
  echo "$port"
}

is_root() { [ "$(id -u)" = 0 ]; }

show_log() { # FILE
  [ -s "$1" ] || return 0
  say "the end of its log:"
  tail -n 30 "$1" | sed 's/^/    /' >&2
}

# --- finding and installing the servers ----------------------------------------------------------

postgres_bin() { # prints the directory of PostgreSQL's programs, the newest if there are several
  local pg_ctl
  pg_ctl=$(command -v pg_ctl || printf '%s\n' /usr/lib/postgresql/*/bin/pg_ctl | sort -V | tail -n 1)
  [ -x "$pg_ctl" ] && dirname "$(readlink -f "$pg_ctl")"
}

# Prints the path of RabbitMQ's own start script. The one on PATH is Debian's wrapper: it changes to the user `rabbitmq`
# and forgets our environment.
rabbitmq_script() {
  local script
  for script in /usr/lib/rabbitmq/bin/rabbitmq-server /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server \
    $(dpkg -L rabbitmq-server 2>/dev/null | grep '/lib.*bin/rabbitmq-server$'); do
    if [ -x "$script" ]; then readlink -f "$script"; return; fi
  done
  return 1
}

install_packages() { # PACKAGE...
  if ! is_root || ! command -v apt-get >/dev/null; then
    die 3 "not installed: $*. On Debian or Ubuntu: sudo apt-get install --no-install-recommends $*"
  fi
  say "installing $*"
  local status=0 log
  log=$(mktemp)
  (
    # Debian starts what it installs; exit status 101 from this file forbids it. One that exists is not ours to change.
    guard=/usr/sbin/policy-rc.d
    if [ ! -e "$guard" ]; then
      trap 'rm -f "$guard"' EXIT
      printf '#!/bin/sh\nexit 101\n' >"$guard"
      chmod 755 "$guard"
    fi
    # The usual mask, since packages make files that other users are to read.
    umask 022
    apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
  ) >"$log" 2>&1 </dev/null || status=$?
  [ "$status" = 0 ] || show_log "$log"
  rm -f "$log"
  [ "$status" = 0 ] || die 3 "could not install $*"
}

ensure_installed() { # postgres|rabbitmq...
  local name missing=()
  for name in "$@"; do
    case $name in
      postgres) postgres_bin >/dev/null || missing+=(postgresql) ;;
      rabbitmq) rabbitmq_script >/dev/null || missing+=(rabbitmq-server) ;;
      # Beside PostgreSQL's, where not every PATH looks.
      pgbouncer) [ -x /usr/sbin/pgbouncer ] || [ -x /usr/bin/pgbouncer ] || missing+=(pgbouncer) ;;
    esac
  done
  if [ ${#missing[@]} != 0 ]; then install_packages "${missing[@]}"; fi
}

# --- PostgreSQL, in DIR/postgres -----------------------------------------------------------------

# PostgreSQL refuses to run as root.
as_postgres() { if is_root; then runuser -u postgres -- "$@"; else "$@"; fi; }

# From a directory that the user postgres may be in.
postgres_ctl() { (cd "$DIR/postgres" && as_postgres "$(postgres_bin)/pg_ctl" -D "$DIR/postgres/data" "$@"); }

postgres_running() { [ -d "$DIR/postgres/data" ] && postgres_ctl status >/dev/null 2>&1; }

postgres_create() {
  local home=$DIR/postgres
  mkdir "$home"
  random_hex >"$home/password"
  if is_root; then
    chown -R postgres: "$home"
    # Only to pass through: what lies beside stays private.
    chmod a+x "$DIR"
    as_postgres test -x "$home" || die 1 "the user postgres can't reach $DIR; use a directory that others may enter"
  fi
  (cd "$home" && as_postgres "$(postgres_bin)/initdb" -D "$home/data" -U foxden -A scram-sha-256 \
    --pwfile="$home/password" -E UTF8 --locale=C.UTF-8 -N) >"$home/initdb.log" 2>&1 ||
    { say "postgres could not make its files"; show_log "$home/initdb.log"; return 1; }
}

# The data live as long as the run, so nothing has to reach the disk, unless a benchmark asks for it. No Unix socket: its path may have 107 bytes at most,
# which a long temporary directory exceeds.
postgres_start() {
  local home=$DIR/postgres fsync=${FOXDEN_SERVICES_FSYNC:-off} libraries=
  if [ "${FOXDEN_SERVICES_STATEMENTS:-off}" = on ]; then libraries=pg_stat_statements; fi
  postgres_ctl start -w -t 60 -l "$home/log" -o "-p $(cat "$home/port") -c listen_addresses=127.0.0.1 \
    -c unix_socket_directories='' -c max_connections=200 -c fsync=$fsync -c full_page_writes=$fsync \
    -c shared_preload_libraries=$libraries" >/dev/null 2>&1
}

postgres_up() {
  local home=$DIR/postgres started attempt
  started=$(now_ms)
  if postgres_running; then return; fi
  if [ -e "$home/port" ]; then
    postgres_start || { say "postgres did not start"; show_log "$home/log"; return 1; }
  else
    postgres_create
    for ((attempt = 1; ; attempt++)); do
      free_port >"$home/port"
      if postgres_start; then break; fi
      # Somebody else may have taken the port in between.
      if [ "$attempt" = "$START_ATTEMPTS" ]; then say "postgres did not start"; show_log "$home/log"; return 1; fi
    done
  fi
  say "postgres is ready on port $(cat "$home/port") after $(($(now_ms) - started)) ms"
}

postgres_url() { echo "postgres://foxden:$(cat "$DIR/postgres/password")@127.0.0.1:$(cat "$DIR/postgres/port")/postgres"; }

postgres_pids() { # the first before those that it has started
  local pid
  pid=$(head -n 1 "$DIR/postgres/data/postmaster.pid")
  echo "$pid"
  pgrep -P "$pid"
}

postgres_stop() { if postgres_running; then thaw postgres; postgres_ctl stop -w -t 60 -m fast >/dev/null; fi; }

# Not SIGKILL: without their parent its processes would linger and block the restart. `immediate` writes nothing either, so
# that the next start recovers as after a crash.
postgres_kill() { if postgres_running; then thaw postgres; postgres_ctl stop -w -t 60 -m immediate >/dev/null; fi; }

# --- RabbitMQ, in DIR/rabbitmq -------------------------------------------------------------------

# By its working directory, since the recorded pid may by now be somebody else's. A zombie has none.
rabbitmq_running() {
  local pid
  pid=$(cat "$DIR/rabbitmq/pid" 2>/dev/null) && [ "/proc/$pid/cwd" -ef "$DIR/rabbitmq" ]
}

rabbitmq_ports() { # new ports, since the first were free no longer
  printf 'port=%s dist_port=%s epmd_port=%s tls_port=%s\n' "$(free_port)" "$(free_port)" "$(free_port)" "$(free_port)" \
    >"$DIR/rabbitmq/ports"
}

# A private authority, and what it has signed; all of it ends with DIR.
rabbitmq_certificates() {
  local home=$DIR/rabbitmq/tls name
  mkdir "$home"
  (
    cd "$home"
    key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
    openssl req -x509 "${key[@]}" -keyout ca.key -out ca.pem -days 2 -subj '/CN=foxden test authority'
    for name in broker client; do
      openssl req "${key[@]}" -keyout "$name.key" -out "$name.csr" -subj "/CN=foxden test $name"
    done
    sign=(openssl x509 -req -CA ca.pem -CAkey ca.key)
    "${sign[@]}" -in broker.csr -set_serial 2 -days 2 -extfile <(echo subjectAltName=IP:127.0.0.1) -out broker.pem
    "${sign[@]}" -in broker.csr -set_serial 3 -days -1 -extfile <(echo subjectAltName=IP:127.0.0.1) -out expired.pem
    "${sign[@]}" -in client.csr -set_serial 4 -days 2 -extfile <(echo extendedKeyUsage=clientAuth) -out client.pem
  ) >"$home/log" 2>&1 || { say "openssl could not make certificates"; show_log "$home/log"; return 1; }
}

rabbitmq_create() {
  local home=$DIR/rabbitmq plugin
  mkdir "$home" "$home/plugins"
  random_hex >"$home/password"
  echo '[].' >"$home/enabled_plugins"
  case ${FOXDEN_SERVICES_TLS:-} in
    '') ;;
    server) rabbitmq_certificates && echo false >"$home/tls/mutual" ;;
    mutual) rabbitmq_certificates && echo true >"$home/tls/mutual" ;;
    *) die 2 "FOXDEN_SERVICES_TLS is neither server nor mutual" ;;
  esac
  # Only what the broker itself is made of. Looking through all its plugins takes a third of the time to start.
  for plugin in "$(dirname "$(rabbitmq_script)")"/../plugins/*; do
    case ${plugin##*/} in
      rabbitmq_prelaunch*) ln -s "$plugin" "$home/plugins/" ;;
      rabbitmq_*) ;;
      *) ln -s "$plugin" "$home/plugins/" ;;
    esac
  done
}

rabbitmq_spawn() {
  local home=$DIR/rabbitmq port dist_port epmd_port tls_port
  # shellcheck source=/dev/null
  . "$home/ports"
  # Absolute limits, as the defaults are shares of a machine that others use too.
  cat >"$home/rabbitmq.conf" <<CONF
listeners.tcp.1 = 127.0.0.1:$port
default_user = foxden
default_pass = $(cat "$home/password")
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 64MB
log.console = false
log.file = $home/log
log.file.level = warning
CONF
  if [ -d "$home/tls" ]; then
    cat >>"$home/rabbitmq.conf" <<CONF
listeners.ssl.1 = 127.0.0.1:$tls_port
ssl_options.cacertfile = $home/tls/ca.pem
ssl_options.certfile = $home/tls/broker.pem
ssl_options.keyfile = $home/tls/broker.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = $(cat "$home/tls/mutual")
CONF
  fi
  # An empty environment, so that no setting of the machine's own broker slips in. RUNNING_UNDER_SYSTEMD makes the script
  # replace itself by the broker, so that the pid we note is the broker's. Its directory is what `rabbitmq_running` looks
  # for, hence set before there is a process.
  cd "$home" || return 1
  setsid env -i HOME="$home" PATH="$PATH" LANG=C.UTF-8 \
    RABBITMQ_NODENAME="foxden-$port@localhost" RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT="$port" \
    RABBITMQ_DIST_PORT="$dist_port" ERL_EPMD_PORT="$epmd_port" ERL_EPMD_ADDRESS=127.0.0.1 \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}' \
    RABBITMQ_CONF_ENV_FILE=/dev/null RABBITMQ_CONFIG_FILE="$home/rabbitmq" \
    RABBITMQ_ADVANCED_CONFIG_FILE="$home/none" RABBITMQ_ENABLED_PLUGINS_FILE="$home/enabled_plugins" \
    RABBITMQ_PLUGINS_DIR="$home/plugins" RABBITMQ_PLUGINS_EXPAND_DIR="$home/expanded" \
    RABBITMQ_MNESIA_BASE="$home/data" RABBITMQ_LOG_BASE="$home/logs" \
    RABBITMQ_GENERATED_CONFIG_DIR="$home/generated" RABBITMQ_PID_FILE="$home/own-pid" \
    RABBITMQ_ALLOW_INPUT= RUNNING_UNDER_SYSTEMD=true "$(rabbitmq_script)" >"$home/output" 2>&1 </dev/null &
  echo $! >"$home/pid"
  # Else the shell tells of its death in its own words.
  disown
  cd "$OLDPWD" || return 1
}

# An open port is not a broker yet: greet it, and wait for the first byte of its answer, a method frame (AMQP 0-9-1,
# section 4.2.2).
rabbitmq_answers() { # PORT
  local first
  first=$(
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit
    printf 'AMQP\0\0\11\1' >&3
    timeout 2 head -c 1 <&3 | od -An -tx1 | tr -d ' \n'
  )
  [ "$first" = 01 ]
} 2>/dev/null

rabbitmq_start() {
  local port dist_port epmd_port deadline=$((SECONDS + 90))
  # shellcheck source=/dev/null
  . "$DIR/rabbitmq/ports"
  rabbitmq_spawn
  while ((SECONDS < deadline)); do
    rabbitmq_running || return 1
    if rabbitmq_answers "$port"; then return 0; fi
    sleep 0.1
  done
  return 1
}

rabbitmq_up() {
  local home=$DIR/rabbitmq started attempt attempts=1
  started=$(now_ms)
  if rabbitmq_running; then return; fi
  if [ ! -e "$home/ports" ]; then
    rabbitmq_create
    rabbitmq_ports
    attempts=$START_ATTEMPTS
  fi
  for ((attempt = 1; ; attempt++)); do
    if rabbitmq_start; then break; fi
    rabbitmq_kill
    if [ "$attempt" = "$attempts" ]; then
      say "rabbitmq did not start"
      show_log "$home/output"
      show_log "$home/log"
      return 1
    fi
    epmd_kill
    rabbitmq_ports
  done
  say "rabbitmq is ready on port $(rabbitmq_port) after $(($(now_ms) - started)) ms"
}

rabbitmq_port() { (. "$DIR/rabbitmq/ports" && echo "$port"); }

rabbitmq_tls_url() {
  (. "$DIR/rabbitmq/ports" && echo "amqps://foxden:$(cat "$DIR/rabbitmq/password")@127.0.0.1:$tls_port/%2f")
}

# Its own tool, which finds the broker by its name, its port mapper and the cookie in its home.
rabbitmq_ctl() { # ARG...
  local home=$DIR/rabbitmq port dist_port epmd_port tls_port
  # shellcheck source=/dev/null
  . "$home/ports"
  env -i HOME="$home" PATH="$PATH" LANG=C.UTF-8 RABBITMQ_NODENAME="foxden-$port@localhost" ERL_EPMD_PORT="$epmd_port" \
    RABBITMQ_CONF_ENV_FILE=/dev/null "$(dirname "$(rabbitmq_script)")/rabbitmqctl" "$@"
}

rabbitmq_url() { echo "amqp://foxden:$(cat "$DIR/rabbitmq/password")@127.0.0.1:$(rabbitmq_port)/%2f"; }

rabbitmq_pids() { cat "$DIR/rabbitmq/pid"; }

rabbitmq_end() { # SIGNAL
  local pid deadline=$((SECONDS + 30))
  rabbitmq_running || return 0
  thaw rabbitmq
  pid=$(cat "$DIR/rabbitmq/pid")
  kill "-$1" "$pid" 2>/dev/null || true
  while rabbitmq_running; do
    if ((SECONDS >= deadline)); then kill -KILL "$pid" 2>/dev/null || true; fi
    sleep 0.05
  done
}

# Erlang takes SIGTERM for an orderly stop.
rabbitmq_stop() { rabbitmq_end TERM; }

rabbitmq_kill() { rabbitmq_end KILL; }

# Erlang's port mapper, started by the broker and meant to outlive it.
epmd_kill() {
  (
    # shellcheck source=/dev/null
    . "$DIR/rabbitmq/ports" 2>/dev/null || exit 0
    # It refuses for as long as it has not noticed that the broker is gone.
    for _ in {1..20}; do
      listening "$epmd_port" || break
      ERL_EPMD_PORT=$epmd_port epmd -kill || sleep 0.1
    done
  ) >/dev/null 2>&1 || true
}

# --- commands ------------------------------------------------------------------------------------

write_env() {
  {
    if [ -d "$DIR/postgres" ]; then echo "export DATABASE_URL='$(postgres_url)'"; fi
    if [ -d "$DIR/rabbitmq" ]; then echo "export AMQP_URL='$(rabbitmq_url)'"; fi
    if [ -d "$DIR/rabbitmq/tls" ]; then echo "export AMQPS_URL='$(rabbitmq_tls_url)'"; fi
    echo "export FOXDEN_SERVICES='$SELF' FOXDEN_SERVICES_DIR='$DIR'"
  } >"$DIR/env"
}

up() { # postgres|rabbitmq...
  local name
  ensure_installed "$@"
  for name in "$@"; do "${name}_up"; done
  write_env
}

signal_all() { # SIGNAL NAME
  local pids
  mapfile -t pids < <("$2_pids")
  kill "-$1" "${pids[@]}"
}

freeze() { # NAME
  "$1_running" || die 1 "$1 does not run"
  signal_all STOP "$1"
}

# Some may have ended meanwhile.
thaw() { signal_all CONT "$1" 2>/dev/null || true; } # NAME

down() {
  rabbitmq_stop || say "rabbitmq did not stop"
  epmd_kill
  postgres_stop || { say "postgres did not stop in good order"; postgres_kill || true; }
  rm -rf "$DIR/rabbitmq" "$DIR/postgres" "$DIR/env"
}

with() { # CMD [ARG...]
  local status=0 own=()
  [ -n "${DATABASE_URL:-}" ] || own+=(postgres)
  [ -n "${AMQP_URL:-}" ] || own+=(rabbitmq)
  [ ${#own[@]} != 0 ] || exec "$@"
  DIR=$(mktemp -d "${TMPDIR:-/tmp}/foxden-services.XXXXXXXX")
  # CMD is in the foreground: a Ctrl-C reaches it directly, and what remains for us is to clean up after it.
  trap 'trap "" INT TERM HUP; down; rm -rf "$DIR"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  trap 'exit 129' HUP
  up "${own[@]}"
  # shellcheck source=/dev/null
  (. "$DIR/env"; umask 022; exec "$@") || status=$?
  exit "$status"
}

use_dir() { # DIR
  [ -n "${1:-}" ] || die 2 "$USAGE"
  [ -d "$1" ] || die 2 "$1 is not a directory"
  DIR=$(cd "$1" && pwd -P)
}

use_server() { # NAME DIR
  case ${1:-} in postgres | rabbitmq) ;; *) die 2 "$USAGE" ;; esac
  use_dir "${2:-}"
  [ -d "$DIR/$1" ] || die 2 "$DIR holds no $1 of ours"
}

case ${1:-} in
  up)
    case ${2:-} in
      postgres | rabbitmq) wanted=("$2") dir=${3:-} ;;
      *) wanted=(postgres rabbitmq) dir=${2:-} ;;
    esac
    [ -n "$dir" ] || die 2 "$USAGE"
    mkdir -p "$dir"
    use_dir "$dir"
    # All or none.
    trap down EXIT
    up "${wanted[@]}"
    trap - EXIT
    say "now: . $DIR/env"
    ;;
  down)
    use_dir "${2:-}"
    down
    rmdir "$DIR" 2>/dev/null || true
    ;;
  restart)
    use_server "${2:-}" "${3:-}"
    "$2_stop"
    "$2_up"
    ;;
  kill)
    use_server "${2:-}" "${3:-}"
    "$2_kill"
    ;;
  freeze | thaw)
    use_server "${2:-}" "${3:-}"
    "$1" "$2"
    ;;
  ctl)
    use_server rabbitmq "${2:-}"
    rabbitmq_ctl "${@:3}"
    ;;
  with)
    [ "${2:-}" = -- ] && [ $# -ge 3 ] || die 2 "$USAGE"
    with "${@:3}"
    ;;
  install) ensure_installed postgres rabbitmq pgbouncer ;;
  *) die 2 "$USAGE" ;;
esac
