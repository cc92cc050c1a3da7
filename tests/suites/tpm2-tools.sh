#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# tpm2-tools.sh: the integration scripts of tpm2-tools 5.4 against one TPM server, with Debian's
# tools of that version behind its resource manager. No package registry has the scripts: --tree=
# names an unpacked source tree.
. "$(dirname "${BASH_SOURCE[0]}")/suite-runner.sh"
SUITE_USAGE='--tree=DIR
  --tree=DIR      a source tree of tpm2-tools 5.4'
TREE=
suite_option() {
    case $1 in
        --tree=*) TREE=${1#--tree=} ;;
        *) return 1 ;;
    esac
}
suite_begin tpm2-tools "$@"
TREE=$(cd "$TREE" 2>/dev/null && pwd) && SCRIPTS=$TREE/test/integration && [ -d "$SCRIPTS" ] ||
    { note "--tree=DIR: no source tree of tpm2-tools"; exit 2; }

need_packages tpm2-tools tpm2-abrmd libtss2-tcti-tabrmd0 dbus-daemon iproute2 util-linux procps \
    xxd expect openssl curl python3 python3-yaml libtss2-tcti-mssim0 libtss2-tcti-swtpm0
[ -z "$PREPARE_ONLY" ] || exit 0
mssim_only
export TREE SCRIPTS

run_test() {
    cd "$RUN" || return 1
    isolated 600 env PATH="$RUN/bin:$SCRIPTS:$PATH" TPM2_SIM=tpm_server TPM2_ABRMD=tpm2-abrmd \
        TPM2_TOOLS_TEST_FIXTURES="$SCRIPTS/fixtures" abs_srcdir="$TREE" srcdir="$TREE" \
        dbus-run-session -- bash "$SCRIPTS/tests/$1"
}

run_tests < <(cd "$SCRIPTS/tests" && ls -- *.sh)
suite_end
