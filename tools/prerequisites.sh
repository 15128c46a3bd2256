#!/bin/sh
# Names what is missing on this machine, and the command that installs it: for all targets, and for the one named.

python=${PYTHON:-python3}
status=0
missing() {
    echo "missing: $1" >&2
    echo "install: $2" >&2
    status=1
}

debian() {
    echo "sudo apt-get install $1   (or your system's package of the same)"
}

# command, what it is for, package
need() {
    command -v "$1" >/dev/null 2>&1 || missing "$2" "$(debian "$3")"
}

if [ "$(uname -s)" != Linux ]; then
    missing "Linux, which Lambda runs and whose sealed files and process limits this uses; this is $(uname -s)" \
        "a Linux machine or container, on this computer or elsewhere"
fi
if ! command -v cargo >/dev/null 2>&1; then
    missing "cargo, Rust's build tool" "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
else
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    found=$(rustc --version | cut -d' ' -f2)
    oldest=$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)
    if [ "$oldest" != "$wanted" ]; then
        missing "Rust $wanted or newer; this is $found" "rustup update stable"
    fi
fi
need cc "a C compiler, which crates with C parts need" build-essential
if ! command -v "$python" >/dev/null 2>&1; then
    missing "Python 3 ($python)" "$(debian python3-venv)"
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    missing "Python 3.11 or newer; this is $("$python" --version)" \
        "$(debian 'python3.12 python3.12-venv'), then make PYTHON=python3.12 ..."
elif ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    missing "Python's venv module" "$(debian python3-venv)"
fi

case ${1:-} in
lint)
    cargo fmt --version >/dev/null 2>&1 || missing "rustfmt" "rustup component add rustfmt"
    cargo clippy --version >/dev/null 2>&1 || missing "clippy" "rustup component add clippy"
    ;;
fuzz)
    need c++ "a C++ compiler, for libFuzzer" build-essential
    ;;
bench)
    need curl "curl, which is measured against" curl
    ;;
esac
exit $status
