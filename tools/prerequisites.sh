#!/bin/sh
# Names what is missing on this machine, and the command that installs it.

status=0
missing() {
    echo "missing: $1" >&2
    echo "install: $2" >&2
    status=1
}

debian() {
    echo "sudo apt-get install $1   (or your system's package of the same)"
}

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
command -v cc >/dev/null 2>&1 || missing "a C compiler, which crates with C parts need" "$(debian build-essential)"
if ! command -v python3 >/dev/null 2>&1; then
    missing "Python 3" "$(debian python3-venv)"
elif ! python3 -c 'import ensurepip, venv' >/dev/null 2>&1; then
    missing "Python's venv module" "$(debian python3-venv)"
elif ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    missing "Python 3.11 or newer; this is $(python3 --version)" "$(debian python3)"
fi
exit $status
