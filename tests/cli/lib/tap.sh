# tap.sh - what the tests of the command line share.  Sourced by tests/cli/*.sh, which run as
#     sh tests/cli/NAME.sh BUILD_DIR
# from the project's root and speak TAP.  Each works in a folder of its own: $in holds what is read,
# $out what is written.  A test that runs `refuses` proves that neither has changed.
root=$PWD
case ${1:?usage: sh $0 BUILD_DIR} in
/*) build=$1 ;;
*) build=$root/$1 ;;
esac
quern=$build/quern
golden=$root/tests/golden/models
# shellcheck disable=SC2034 # for those who source this
demo=$root/examples/demo
tmp=$(mktemp -d)
in=$tmp/in
out=$tmp/out
mkdir "$in" "$out"
tests=0
failures=0
unset COLUMNS NO_COLOR QUERN_CPU_WITHOUT

cleanup() {
    rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

alter() {
    python3 "$root/tests/cli/lib/alter.py" "$@"
}

# A model that may be changed: model NAME_IN_GOLDEN NEW_NAME
model() {
    rm -rf "${in:?}/$2"
    cp -r "$golden/$1" "$in/$2"
}

# result STATUS WHAT: one line of TAP.
result() {
    tests=$((tests + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $tests - $2"
    else
        failures=$((failures + 1))
        echo "not ok $tests - $2"
    fi
}

skip() {
    tests=$((tests + 1))
    echo "ok $tests - $1 # SKIP $2"
}

# ok WHAT COMMAND...: the command succeeds.
ok() {
    what=$1
    shift
    "$@" >"$tmp/log" 2>&1
    code=$?
    result $code "$what"
    [ $code -eq 0 ] || { echo "# status $code of: $*"; sed 's/^/#   /' "$tmp/log"; }
}

# is WHAT WANTED SEEN
is() {
    [ "$2" = "$3" ]
    result $? "$1"
    [ "$2" = "$3" ] || printf '# wanted: %s\n# seen:   %s\n' "$2" "$3"
}

# run ARGUMENT...: quern, with $status, $tmp/stdout and $tmp/stderr.
run() {
    "$quern" "$@" >"$tmp/stdout" 2>"$tmp/stderr" </dev/null
    status=$?
}

# says WHAT REGEX: the last run succeeded and said so, on stderr.
says() {
    [ "$status" -eq 0 ] && grep -Eq -e "$2" "$tmp/stderr"
    code=$?
    result $code "$1"
    [ $code -eq 0 ] || { printf '# status %s, wanted: %s\n' "$status" "$2"; sed 's/^/#   /' "$tmp/stderr"; }
}

# prints WHAT REGEX: the same of stdout.
prints() {
    [ "$status" -eq 0 ] && grep -Eq -e "$2" "$tmp/stdout"
    code=$?
    result $code "$1"
    [ $code -eq 0 ] || { printf '# status %s, wanted: %s\n' "$status" "$2"; sed 's/^/#   /' "$tmp/stdout"; }
}

# Names and checksums of all there is to read and of all that was written.
state() {
    find "$in" "$out" ! -type d -exec cksum {} + | sort
    find "$in" "$out" -type d | sort
}

# check_refusal WHAT STATUS REGEX: of the last run, with the state before it in $tmp/before.
check_refusal() {
    wrong=
    state >"$tmp/after"
    [ "$status" -eq "$2" ] || wrong="$wrong; status $status, not $2"
    [ "$(wc -l <"$tmp/stderr")" -eq 1 ] || wrong="$wrong; not one line"
    grep -q '^quern[a-z ]*: [^ ]' "$tmp/stderr" || wrong="$wrong; not quern's sentence"
    grep -Eq -e "$3" "$tmp/stderr" || wrong="$wrong; does not say /$3/"
    [ ! -s "$tmp/stdout" ] || wrong="$wrong; something on stdout"
    cmp -s "$tmp/before" "$tmp/after" || wrong="$wrong; files have changed"
    [ -z "$wrong" ]
    result $? "$1"
    [ -z "$wrong" ] || {
        echo "# ${wrong#; }"
        sed 's/^/#   /' "$tmp/stderr"
        diff "$tmp/before" "$tmp/after" | sed 's/^/#   /'
    }
}

# refuses WHAT STATUS REGEX ARGUMENT...: quern says one sentence and leaves every file as it was.
refuses() {
    what=$1 wanted=$2 regex=$3
    shift 3
    state >"$tmp/before"
    run "$@"
    check_refusal "$what" "$wanted" "$regex"
}

finish() {
    echo "1..$tests"
    [ "$failures" -eq 0 ]
    exit
}
