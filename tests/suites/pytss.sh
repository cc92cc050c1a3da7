#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# pytss.sh: the pytest suite of tpm2-pytss 1.2.0 (ESAPI, FAPI, TCTI, policies, encodings) against
# one TPM server. The tests come from PyPI's sdist; the module under them is Debian's
# python3-tpm2-pytss of the same version. Every test starts a server of its own, on a free pair of
# ports, in an empty folder.
. "$(dirname "${BASH_SOURCE[0]}")/suite-runner.sh"
suite_begin pytss "$@"

need_packages swtpm swtpm-tools tpm2-tools iproute2 util-linux procps python3 python3-tpm2-pytss \
    python3-pytest python3-pytest-xdist python3-pytest-timeout python3-yaml libtss2-dev \
    libtss2-tcti-mssim0 libtss2-tcti-swtpm0
sum=3a05964e3723dd0778752682c18f9fb914292d2167e3ef68d7590f47d9fc6b9e
pypi_sdist tpm2-pytss 1.2.0 "$sum"

# A copy of the tests alone: beside src/ Python would look for the module there, where it is not
# built.
mkdir "$RUN/tree" && cp -r "$SOURCE/test" "$RUN/tree/test"
cp "$SUITES_DIR/pytss_conftest.py" "$RUN/tree/test/conftest.py"
[ -z "$PREPARE_ONLY" ] || exit 0

SUITE_BEGIN_S=$SECONDS
mkfifo "$RUN/pipe"
while read -r verdict name seconds; do result "$verdict" "$name" "$seconds"; done <"$RUN/pipe" &
READER=$!
cd "$RUN/tree" || exit 3
# -k takes no regular expression: the names are collected first, and those that --only leaves are
# handed over.
CHOSEN=(test)
if [ -n "$ONLY" ]; then
    RESULTS_PIPE=/dev/null isolated 120 /usr/bin/python3 -m pytest -q --collect-only \
        -p no:cacheprovider test >"$RUN/log/collect.log" 2>&1
    # "printed name, tab, pytest's name", as --only speaks of the printed ones
    mapfile -t CHOSEN < <(grep '::' "$RUN/log/collect.log" |
        while read -r id; do
            name=${id#test/}; name=${name/.py::/.}
            printf '%s\t%s\n' "${name//::/.}" "$id"
        done |
        ONLY=$ONLY awk -F '\t' '$1 ~ ENVIRON["ONLY"] { print $2 }')
fi
if [ ${#CHOSEN[@]} -gt 0 ]; then
    PATH=$RUN/bin:$PATH TSS2_LOG=all+NONE PYTHONDONTWRITEBYTECODE=1 RESULTS_PIPE=$RUN/pipe \
        isolated 3600 /usr/bin/python3 -m pytest -v -n "$JOBS" --timeout 120 \
        -p no:cacheprovider "${CHOSEN[@]}" >"$RUN/log/pytest.log" 2>&1 &
    wait $!; STATUS=$?
else
    STATUS=5
    : >"$RUN/pipe"
fi
# a run that dies before it opens the pipe must not leave the reader waiting
{ exec 8<>"$RUN/pipe"; exec 8>&-; } 2>/dev/null
wait $READER
# pytest: 0 all passed, 1 some failed, 5 none collected; anything else: the run itself broke
[ $STATUS -le 1 ] || [ $STATUS = 5 ] || result FAIL "pytest-run(exit=$STATUS)" 0.0
suite_end
