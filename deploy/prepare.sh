#!/usr/bin/env bash
# Makes .venv ready: `prepare.sh demo` for the product with its page, `prepare.sh test` for everything the tests need.
# A second call is instant: the stamp in .venv holds a fingerprint of what was installed. The test set-up extends
# the demo's and serves it too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=deploy/find_python.sh
source deploy/find_python.sh

readonly GOAL="${1:-}"
readonly VENV=.venv
# 3.11 first: every runtime has a wheel for it.
readonly PYTHONS=(python3.11 python3 python3.12 python3.13)
readonly TORCH=2.13.0 # as in setup.cfg
# What single tests drive from outside; such a test skips, loudly, where its program is missing.
readonly TEST_PACKAGES=(
    mosquitto                                   # the broker of the end-to-end tests
    python3-gi gir1.2-gst-rtsp-server-1.0       # the RTSP server of the end-to-end tests
    gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
    chromium                                    # the page, seen by a browser
    libosmesa6                                  # rendering synthetic rooms without a screen
    shellcheck
)

say() { printf 'fallwatch set-up: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Runs apt-get as root; fails with one sentence where that is impossible.
apt_install() {
    local as_root=()
    if ((EUID != 0)); then
        if ! command -v sudo >/dev/null; then say "cannot install $*: not root and no sudo here"; return 1; fi
        as_root=(sudo)
        if [[ ! -t 0 ]]; then as_root+=(-n); fi
    fi
    if ! command -v apt-get >/dev/null; then say "cannot install $*: this is no Debian (no apt-get)"; return 1; fi
    say "installing Debian packages: $*"
    local log
    log=$(mktemp)
    if ! { "${as_root[@]}" apt-get update -qq -o DPkg::Lock::Timeout=120 &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            -o DPkg::Lock::Timeout=120 "$@"; } >"$log" 2>&1 </dev/null; then
        tail -n 5 "$log" >&2
        say "apt-get could not install $*: the lines above say why"
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

ensure_python() {
    PYTHON=$(find_python "${PYTHONS[@]}") && return
    apt_install python3 python3-venv || true
    PYTHON=$(find_python "${PYTHONS[@]}") ||
        die "no Python 3.11 or newer with venv: install python3 and python3-venv (Debian 12 or newer has them)"
}

ensure_test_packages() {
    if ! command -v dpkg-query >/dev/null; then
        say "no Debian here: tests that need ${TEST_PACKAGES[*]} skip where these are missing"
        return
    fi
    local missing=() package
    for package in "${TEST_PACKAGES[@]}"; do
        if [[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" != installed ]]; then
            missing+=("$package")
        fi
    done
    if ((${#missing[@]})); then
        apt_install "${missing[@]}" || say "GOING ON WITHOUT ${missing[*]}: the tests that need them will skip"
    fi
}

# What the environment depends on, the place included: scripts in an environment hold its absolute path.
fingerprint() {
    local inputs=(setup.cfg pyproject.toml deploy/constraints.txt deploy/prepare.sh device/__init__.py)
    { pwd; cat "${inputs[@]}"; } | sha256sum | cut -c 1-64
}

up_to_date() {
    local stamp
    for stamp in "$@"; do
        if [[ -x $VENV/bin/python && -f $stamp && "$(<"$stamp")" == "$(fingerprint)" ]]; then return; fi
    done
    return 1
}

pip_install() {
    # -qq leaves only errors, which must stay visible.
    "$VENV/bin/python" -m pip --disable-pip-version-check install -qq --constraint deploy/constraints.txt "$@" ||
        die "pip could not install $*: the lines above say why; is the package index reachable?"
}

# The tests train on the processor. The plain wheel of torch brings GPU libraries of several GB; where the index of
# this machine also has the processor's own build (+cpu), that one is taken.
install_torch() {
    if [[ "$("$VENV/bin/python" -m pip show torch 2>/dev/null)" == *"Version: $TORCH"* ]]; then return; fi
    say "installing torch $TORCH"
    if "$VENV/bin/python" -m pip --disable-pip-version-check install -qq --constraint deploy/constraints.txt \
        "torch==$TORCH+cpu" 2>/dev/null; then
        return
    fi
    say "no processor-only torch on this machine's package index: taking the build with GPU libraries (several GB)"
    say "to avoid that, stop here and set PIP_EXTRA_INDEX_URL to the index of CPU wheels that the torch site names"
}

install_python_packages() {
    local extra=$1 stamp=$2
    local usable='import pip, sys; sys.exit(sys.version_info < (3, 11))'
    if [[ -e $VENV ]] && ! "$VENV/bin/python" -c "$usable" 2>/dev/null; then
        say "$VENV is broken or too old: making it anew"
        rm -rf "$VENV"
    fi
    if [[ ! -e $VENV ]]; then
        say "making $VENV with $("$PYTHON" --version)"
        "$PYTHON" -m venv "$VENV" || die "$PYTHON could not make $VENV: is the disk full?"
    fi
    if [[ $extra == dev ]]; then install_torch; fi
    say "installing Python packages for '$extra' (only what is missing)"
    pip_install --editable ".[$extra]"
    fingerprint >"$stamp"
    say "ready"
}

main() {
    case $GOAL in
        demo)
            up_to_date $VENV/ready-demo $VENV/ready-test && return
            ensure_python
            install_python_packages console $VENV/ready-demo
            ;;
        test)
            ensure_test_packages
            up_to_date $VENV/ready-test && return
            ensure_python
            install_python_packages dev $VENV/ready-test
            ;;
        *) echo "usage: deploy/prepare.sh demo|test" >&2; exit 2 ;;
    esac
}

main
