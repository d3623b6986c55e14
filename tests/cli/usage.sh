# Asked wrongly: status 2, one sentence, the nearest name.
. tests/cli/lib/tap.sh
model llama llama
"$quern" convert "$in/llama" -o "$in/a.gguf" -q
commands=$("$quern" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p')

run
is "no command: usage on stderr, status 2" "2 usage:" "$status $(cut -d ' ' -f 1 "$tmp/stderr" | head -n 1)"
for flag in --help -h help; do
    run $flag
    is "$flag: usage on stdout" "0 usage:" "$status $(cut -d ' ' -f 1 "$tmp/stdout" | head -n 1)"
done
run --version
prints "--version" '^quern [0-9]+\.[0-9]+\.[0-9]+$'
[ "$(echo "$commands" | wc -w)" -ge 8 ]
result $? "there are commands"
is "--help: lines of 80 columns" "" "$("$quern" --help | awk 'length > 80')"
for command in $commands; do
    run "$command" --help
    prints "$command --help" "^usage: quern $command "
    cp "$tmp/stdout" "$tmp/help"
    is "$command --help: lines of 80 columns" "" "$(awk 'length > 80' "$tmp/help")"
    run help "$command"
    ok "help $command is the same" cmp "$tmp/help" "$tmp/stdout"
    refuses "$command: an unknown option, and the nearest" 2 "quern $command: unknown option --hepl; did you mean --help" "$command" --hepl
    refuses "$command: an unknown letter" 2 "quern $command: unknown option -Z" "$command" -Z
    [ "$command" = codecs ] ||
        refuses "$command: no file" 2 "quern $command: no file is named; usage: quern $command" "$command"
done

# What a person types who comes from llama.cpp.
theirs() { # OPTION REGEX COMMAND ARGUMENT...
    option=$1 regex=$2
    shift 2
    refuses "$1 $option" 2 "quern $1: unknown option $option; $regex\$" "$@"
}
theirs -m "the model's file is named without one" run -m "$in/a.gguf" -p x
theirs -ngl 'quern computes on the processor' run "$in/a.gguf" -ngl 99 -p x
theirs --n-gpu-layers 'quern computes on the processor' bench "$in/a.gguf" --n-gpu-layers=99
theirs --ctx-size 'here it is --context' eval "$in/a.gguf" --ctx-size 512
theirs -cnv 'without a prompt lines are answered one after the other' run "$in/a.gguf" -cnv
theirs -ctk 'here it is --cache-type' run "$in/a.gguf" -ctk q8_0
theirs --kl-divergence-base '--save-base FILE writes .*' eval "$in/a.gguf" --kl-divergence-base x
theirs --outtype 'here it is --type' convert "$in/llama" --outtype f16
refuses "theirs, where the command has nothing like it" 2 'unknown option --ctx-size$' inspect "$in/a.gguf" --ctx-size 1

refuses "an unknown command, and the nearest" 2 "'quantise' is no command; did you mean 'quantize'" quantise
refuses "one that is like none" 2 "'frobnicate' is no command; .quern --help. lists them" frobnicate
refuses "help for what is no command" 2 "'frobnicate' is no command" help frobnicate
refuses "an option before the command" 2 "'--json' is no command" --json inspect
refuses "an option without its value" 2 "--type needs a value: --type TYPE" quantize "$in/llama" --type
refuses "an option in place of a value" 2 "--type needs a value" quantize "$in/llama" --type --force
refuses "a value for a flag" 2 "--force takes no value" quantize "$in/llama" --force=yes
refuses "no count of threads" 2 "--threads: 'two' is not a count" quantize "$in/llama" --threads two
refuses "too many threads" 2 "--threads: 4096 are too many; up to 1024" quantize "$in/llama" --dry-run --threads 4096
refuses "no size" 2 "--max-size: 'big' is not a size such as" split "$in/a.gguf" -o "$out/a" --max-size big
refuses "an argument too many" 2 "'three' is one argument too many; usage: quern convert" convert "$in/llama" three -o "$out/a.gguf"
refuses "an argument too few" 2 "an argument is missing; usage: quern verify" verify "$in/a.gguf"
refuses "no output to convert to" 2 "-o OUT.gguf is needed" convert "$in/llama"
refuses "no output to merge to" 2 "-o OUT.gguf is needed" merge "$in/a.gguf"
refuses "no output to split to" 2 "-o PREFIX is needed" split "$in/a.gguf" --max-size 1M
refuses "a tensor that is not there" 2 "a.gguf: has no tensor 'blk.9.ffn_up.weight'" inspect "$in/a.gguf" --tensor blk.9.ffn_up.weight
run inspect -- "$in/a.gguf"
is "-- ends the options" 0 $status
finish
