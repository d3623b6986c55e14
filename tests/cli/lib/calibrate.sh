# calibrate.sh - the demo, a text, and quern calibrate on both.  Sourced after tap.sh.
cp -r "$demo" "$in/demo"
head -c 16000 "$root/examples/calibration.txt" >"$in/text"
calibrate() { # OUT ARGUMENT...
    to=$1
    shift
    run calibrate "$in/demo" -f "$in/text" -o "$out/$to" -c 128 "$@"
}
