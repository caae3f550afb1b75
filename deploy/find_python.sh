# shellcheck shell=bash
# Sourced by prepare.sh and install.sh.

# Prints the first of the named interpreters that is new enough and can make an environment; fails if none is.
find_python() {
    local name
    for name in "$@"; do
        if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}
