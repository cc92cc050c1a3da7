# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash disable=SC2034
# suite-runner.sh: sourced by the suite scripts beside it, never run itself.
#
# It reads the options, installs Debian packages, gets sources from the package registries, runs
# each test in namespaces of its own, prints one line a test, and judges the run against
# expected-<suite>.txt.
#
# Exit codes of every suite:
#   0  every test had the outcome that the list expects
#   1  a test had another outcome, is not in the list, or is in the list and did not run
#   2  wrong usage, or no test ran
#   3  the suite could not be prepared (a source or package cannot be had, or its build failed)

set -u
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
SUITES_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

note() { printf '%s: %s\n' "$SUITE" "$*" >&2; }
cannot() { note "BLOCKED: $*"; exit 3; }

usage() {
    cat >&2 <<USAGE
usage: $SUITE.sh (--server PATH | --swtpm) [--jobs N] [--only PATTERN] [--work DIR] [--prepare]
       ${SUITE_USAGE:-}
  --server PATH   test this program, which speaks mssim and is started as: tpm_server -port N
  --swtpm         test Debian's swtpm, the reference
  --jobs N        tests run at the same time (default: two for each processor)
  --only PATTERN  only the tests whose name matches this extended regular expression
  --work DIR      where sources and logs go (default: \${XDG_CACHE_HOME:-\$HOME/.cache}/tpm-suites)
  --prepare       get and build everything, run no test
USAGE
    exit 2
}

# suite_begin SUITE "$@": reads the options. Those that it does not know go to suite_option, if the
# suite has one.
suite_begin() {
    SUITE=$1; shift
    WORK=${XDG_CACHE_HOME:-$HOME/.cache}/tpm-suites
    JOBS=$(($(nproc) * 2)); ONLY=; TARGET=; SERVER=; PREPARE_ONLY=
    while [ $# -gt 0 ]; do
        case $1 in
            --server) [ $# -ge 2 ] || usage; TARGET=server; SERVER=$2; shift ;;
            --swtpm) TARGET=swtpm ;;
            --jobs) [ $# -ge 2 ] || usage; JOBS=$2; shift ;;
            --only) [ $# -ge 2 ] || usage; ONLY=$2; shift ;;
            --work) [ $# -ge 2 ] || usage; WORK=$2; shift ;;
            --prepare) PREPARE_ONLY=1 ;;
            *) declare -F suite_option >/dev/null && suite_option "$1" || usage ;;
        esac
        shift
    done
    [ -n "$TARGET$PREPARE_ONLY" ] || usage
    [[ $JOBS =~ ^[1-9][0-9]*$ ]] || usage
    if [ "$TARGET" = server ]; then
        SERVER=$(readlink -f "$SERVER") && [ -f "$SERVER" ] && [ -x "$SERVER" ] ||
            { note "--server: no such program"; exit 2; }
    fi
    mkdir -p "$WORK" && WORK=$(cd "$WORK" && pwd) || exit 2
    exec 9>"$WORK/lock"
    flock -n 9 || { note "waiting: another suite uses $WORK"; flock 9; }
    RUN=$WORK/run/$SUITE
    rm -rf "$RUN"; mkdir -p "$RUN/bin" "$RUN/log"
    RESULTS=$RUN/results; : >"$RESULTS"
    # short, as the paths of Unix sockets are limited; it takes what killed servers leave behind
    export TMPDIR; TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/tpm-suites.XXXXXX") || exit 2
    trap 'rm -rf "$TMPDIR"' EXIT
    [ -z "$SERVER" ] || ln -s "$SERVER" "$RUN/bin/tpm_server"
    export SUITE WORK RUN RESULTS TARGET
}

# A signal ends what this script started, by process id; ending an unshare ends all in its
# namespace.
descendants() {
    local child
    for child in $(ps -o pid= --ppid "$1"); do
        descendants "$child"
        echo "$child"
    done
}
trap 'note interrupted; kill -KILL $(descendants $$) 2>/dev/null; exit 130' INT TERM HUP

# need_packages NAME...: installs those Debian packages that are missing.
need_packages() {
    local name missing=()
    for name; do
        [ "$(dpkg-query -W -f "\${db:Status-Status}" "$name" 2>/dev/null)" = installed ] ||
            missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    note "installing ${missing[*]}"
    local options=(-q -y -o DPkg::Lock::Timeout=300)
    { apt-get "${options[@]}" update &&
        apt-get "${options[@]}" install --no-install-recommends "${missing[@]}"; } \
        >"$RUN/log/apt-install.log" 2>&1 9>&- ||
        cannot "apt-get install failed, see $RUN/log/apt-install.log"
}

# debian_source PACKAGE VERSION [RELEASE]: sets SOURCE to the unpacked source package. The source
# lines stand in an apt configuration of our own, so the machine's is left as it is.
debian_source() {
    local package=$1 version=$2 release=${3:-bookworm} apt=$WORK/apt mirror
    SOURCE=$WORK/source/$package-$version
    [ -f "$SOURCE/.complete" ] && return 0
    need_packages dpkg-dev
    rm -rf "$SOURCE"
    mkdir -p "$SOURCE.part" "$apt/parts" "$apt/lists/partial" "$apt/cache/archives/partial"
    # the mirror that the machine's own packages of this release come from
    mirror=$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' \
        'Created-By: Packages' | awk '$1 == "bookworm" && $2 == "main" { print $3; exit }')
    [ -n "$mirror" ] || cannot "this machine's apt has no bookworm main"
    cat >"$apt/parts/source.sources" <<SOURCES
Types: deb-src
URIs: $mirror
Suites: $release
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
    local options=(-q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$apt/parts"
        -o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root)
    (cd "$SOURCE.part" && apt-get "${options[@]}" update &&
        apt-get "${options[@]}" source "$package=$version") >"$RUN/log/apt-source.log" 2>&1 9>&- ||
        cannot "apt-get source $package=$version: $(grep -m1 '^E:' "$RUN/log/apt-source.log" |
            sed 's|http[^ ]*/||; s| *\[IP.*||')"
    mv "$(find "$SOURCE.part" -mindepth 1 -maxdepth 1 -type d | head -n1)" "$SOURCE" ||
        cannot "no source tree"
    rm -rf "$SOURCE.part"
    touch "$SOURCE/.complete"
}

# pypi_sdist NAME VERSION SHA256: sets SOURCE to the unpacked source distribution.
pypi_sdist() {
    local name=$1 version=$2 sum=$3 download=$WORK/pypi
    SOURCE=$WORK/source/$name-$version
    [ -f "$SOURCE/.complete" ] && return 0
    python3 -m pip --version >/dev/null 2>&1 || need_packages python3-pip
    rm -rf "$SOURCE"; mkdir -p "$download" "$SOURCE"
    local archive=$download/$name-$version.tar.gz
    echo "$sum  $archive" | sha256sum -c --status 2>/dev/null ||
        python3 -m pip download -q --no-deps --no-binary "$name" -d "$download" \
            "$name==$version" >"$RUN/log/pip.log" 2>&1 9>&- ||
        cannot "pip download $name==$version, see $RUN/log/pip.log"
    echo "$sum  $archive" | sha256sum -c --status || cannot "$archive has another SHA-256"
    tar -xzf "$archive" -C "$SOURCE" --strip-components=1 || cannot "$archive does not unpack"
    touch "$SOURCE/.complete"
}

# isolated SECONDS COMMAND...: runs the command with a loopback of its own (so no port collides, and
# whatever a server binds is loopback) and processes of its own (the kernel ends what is left when
# the command ends). Where namespaces are not allowed (or ISOLATION=session asks for it), the
# command shares our loopback and runs in a session of its own, whose process group is then ended.
if [ "${ISOLATION:-}" != session ] &&
    unshare --net --pid --mount --fork --kill-child --mount-proc ip link set lo up 2>/dev/null
then
    ISOLATION=namespaces
else
    ISOLATION=session
    FIXED_PORT_JOBS=1 # suites with a fixed port then run one test at a time
fi
export ISOLATION
isolated() {
    local limit_s=$1 status session; shift
    if [ "$ISOLATION" = namespaces ]; then
        unshare --net --pid --mount --fork --kill-child --mount-proc \
            bash -c 'ip link set lo up && exec timeout -k 5 "$@"' isolated "$limit_s" "$@" 9>&-
    else
        session=$(mktemp "$RUN/session.XXXXXX")
        setsid bash -c 'echo $$ >"$0"; exec timeout -k 5 "$@"' "$session" "$limit_s" "$@" 9>&- &
        wait $!; status=$?
        [ ! -s "$session" ] || kill -TERM -- "-$(cat "$session")" 2>/dev/null
        rm -f "$session"
        return $status
    fi
}

# mssim_only: for suites that speak mssim only: --swtpm then means swtpm behind
# swtpm-as-tpm_server.py.
mssim_only() {
    need_packages python3
    [ "$TARGET" != swtpm ] || ln -s "$SUITES_DIR/swtpm-as-tpm_server.py" "$RUN/bin/tpm_server"
}

# with_server PORT COMMAND...: inside isolated: starts tpm_server in an empty folder, waits for its
# two ports, runs the command, ends the server. A server that does not come up is a failure of the
# test.
with_server() {
    local port=$1 folder server status=1 tries; shift
    folder=$(mktemp -d "$RUN/server.XXXXXX")
    (cd "$folder" && exec "$RUN/bin/tpm_server" -port "$port" >"$folder/output" 2>&1 </dev/null) &
    server=$!
    for ((tries = 0; tries < 200; tries++)); do
        if ss -lnt | grep -q ":$port " && ss -lnt | grep -q ":$((port + 1)) "; then
            "$@"; status=$?
            break
        fi
        kill -0 $server 2>/dev/null || break
        sleep 0.1
    done
    if [ $tries = 200 ] || ! kill -0 $server 2>/dev/null; then
        echo "tpm_server never listened, or ended by itself:"
        tail -n 20 "$folder/output"
        status=1
    fi
    kill $server 2>/dev/null
    wait $server 2>/dev/null
    rm -rf "$folder"
    return $status
}

# result STATUS NAME SECONDS: prints and keeps one line.
result() {
    local line="$1 $2 $3"
    printf '%s\n' "$line" >>"$RESULTS"
    printf '%s\n' "$line"
}

# one_test NAME: calls run_test NAME, which the suite defines, and turns its exit status into a
# line.
one_test() {
    local name=$1 begin end status verdict=FAIL
    begin=$EPOCHREALTIME
    run_test "$name" >"$RUN/log/${name//\//_}.log" 2>&1 </dev/null; status=$?
    end=$EPOCHREALTIME
    [ $status = 0 ] && verdict=PASS
    [ $status = 77 ] && verdict=SKIP
    result $verdict "$name" "$(awk -v a="$begin" -v b="$end" 'BEGIN { printf "%.1f", b - a }')"
}
export -f isolated with_server result one_test

# run_tests: reads test names from standard input and runs those that --only leaves, JOBS at a time.
run_tests() {
    SUITE_BEGIN_S=$SECONDS
    export -f run_test
    # in the background, as bash acts on a signal only while it waits
    grep -E -- "${ONLY:-.}" <&0 | xargs -r -d '\n' -n1 -P"$JOBS" bash -c 'one_test "$1"' one_test &
    wait $!
}

# suite_end: compares with the list of expected outcomes, prints the last line, and exits. A line of
# expected-<suite>.txt is: OUTCOME NAME [REASON]. Before the outcome, "swtpm:" or "server:" says for
# which of the two the line holds.
suite_end() {
    local expected=$SUITES_DIR/expected-$SUITE.txt differences total
    awk -v target="$TARGET:" '!/^#/ && NF {
            if (index($1, ":") && index($1, target) != 1) next
            sub(/^.*:/, "", $1)
            print $1, $2
        }' "$expected" | { grep -E -- "^[A-Z]+ .*(${ONLY:-.})" || true; } | sort >"$RUN/expected"
    awk '{ print $1, $2 }' "$RESULTS" | sort >"$RUN/outcomes"
    differences=$(diff "$RUN/expected" "$RUN/outcomes" |
        sed -n 's/^</expected:/p; s/^>/happened:/p')
    [ -z "$differences" ] || note "differences, logs in $RUN/log:"$'\n'"$differences"
    total=$(wc -l <"$RESULTS")
    printf 'SUITE %s passed=%d failed=%d skipped=%d wall=%ds\n' "$SUITE" \
        "$(grep -c '^PASS ' "$RESULTS")" "$(grep -c '^FAIL ' "$RESULTS")" \
        "$(grep -c '^SKIP ' "$RESULTS")" $((SECONDS - SUITE_BEGIN_S))
    [ "$total" -gt 0 ] || { note "no test ran"; exit 2; }
    [ -z "$differences" ] || exit 1
    exit 0
}
