#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# tpm2-tss.sh: the ESYS and SYS integration tests of tpm2-tss 4.1.3 (trixie's source package)
# against one TPM server. Library and tests are built by the package's own configure; its own log-
# compiler scripts start the server for each test, on a random port.
. "$(dirname "${BASH_SOURCE[0]}")/suite-runner.sh"
suite_begin tpm2-tss "$@"

need_packages swtpm swtpm-tools iproute2 util-linux openssl build-essential acl autoconf \
    autoconf-archive automake libtool pkg-config libcmocka-dev libltdl-dev libssl-dev procps
debian_source tpm2-tss 4.1.3-1.2 trixie
if [ ! -f "$SOURCE/.built" ]; then
    # configure wants the simulator of its --with-integrationtcti on PATH; which one each run uses
    # is chosen below
    (cd "$SOURCE" && { [ -x configure ] || ./bootstrap; } &&
        ./configure --enable-integration --with-integrationtcti=swtpm --disable-fapi \
            --disable-policy --disable-doxygen-doc --disable-static CFLAGS=-O1 &&
        make -j"$(nproc)" && make -j"$(nproc)" check TESTS=) >"$RUN/log/build.log" 2>&1 9>&- ||
        cannot "the build failed, see $RUN/log/build.log"
    # the fixed waits of 1 s for the server become 0.3 s; the script tries again when that is too
    # short
    sed -i 's/sleep 1\b/sleep 0.3/' "$SOURCE/script/int-log-compiler-common.sh"
    touch "$SOURCE/.built"
fi
[ -z "$PREPARE_ONLY" ] || exit 0

TCTI=mssim; [ "$TARGET" = server ] || TCTI=swtpm
export SOURCE TCTI

run_test() {
    cd "$SOURCE" || return 1
    isolated 300 env srcdir=. INTEGRATION_TCTI="$TCTI" PATH="$RUN/bin:$PATH" \
        bash script/int-log-compiler.sh "$TCTI" "./test/integration/$1"
}

run_tests < <(cd "$SOURCE/test/integration" && ls -- *.int)
suite_end
