# README and man pages say what the program does.
. tests/cli/lib/tap.sh
pages=$root/tools/man

sed -n '/^<!-- types: generated/,/^<!-- types: end -->/p' "$root/README.md" | grep '^|' >"$tmp/readme"
"$quern" codecs --markdown >"$tmp/codecs"
ok "the README's table of types is 'quern codecs --markdown'" diff "$tmp/codecs" "$tmp/readme"

# Names only: every option that a text mentions as one that can be given.
options_of_help() {
    "$quern" "$1" --help | sed -nE 's/^  (-[a-zA-Z], |    )--([a-z-]+).*/--\2/p' | sort -u
}
options_of_page() { # the list of options, not the prose
    sed -nE 's/^\.It .*Fl -([a-z-]+).*/--\1/p' "$pages/quern-$1.1" | sort -u
}

commands=$("$quern" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p')
for command in $commands; do
    page=$pages/quern-$command.1
    [ -f "$page" ]
    result $? "quern-$command.1 is there"
    is "quern-$command.1 has the options of --help" "$(options_of_help "$command")" "$(options_of_page "$command")"
    for section in NAME SYNOPSIS DESCRIPTION "EXIT STATUS" EXAMPLES; do
        grep -q "^\.Sh $section\$" "$page" || missing="$missing $section"
    done
    is "quern-$command.1 has its sections" "" "${missing:-}"
    missing=
    grep -q "^\.Xr quern-$command 1" "$pages/quern.1"
    result $? "quern.1 names quern-$command"
    summary=$("$quern" --help | sed -n "s/^  $command  *//p")
    is "quern-$command.1 is what --help calls it" "$summary" "$(sed -n 's/^\.Nd //p' "$page")"
done
# shellcheck disable=SC2086 # words are wanted
is "no page without a command" "$(printf 'quern-%s.1\n' $commands | sort)" \
    "$(cd "$pages" && ls quern-*.1)"
if command -v mandoc >/dev/null 2>&1; then
    for page in "$pages"/*.1; do
        ok "mandoc finds nothing in $(basename "$page")" mandoc -T lint -W warning "$page"
    done
else
    skip "mandoc finds nothing" "no mandoc"
fi
finish
