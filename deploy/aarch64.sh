#!/usr/bin/env bash
# The unit's network on a board's processor, without a board: Debian's arm64 Python under qemu-user, the aarch64 wheels
# that a Raspberry Pi installs, and the golden answers, which must come out bit for bit. What it tells is function and
# bits, never speed. Needs apt-get and dpkg-deb, no root: everything lies under .aarch64/ and a second call fetches nothing.
#
#   deploy/aarch64.sh            emulate a Raspberry Pi 5 and a Raspberry Pi 4
#   deploy/aarch64.sh wheels     only ask which dependency has an aarch64 wheel for which Python
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=deploy/find_python.sh
source deploy/find_python.sh

readonly HERE="$PWD/.aarch64"
readonly ROOT="$HERE/root" QEMU="$HERE/qemu/usr/bin/qemu-aarch64-static" SITE="$HERE/site" OLD_SITE="$HERE/site-tflite-runtime"
# Debian's Python, what the wheels link to, nothing to boot.
readonly DEBS=(python3 libstdc++6)
# pip takes a wheel only by a tag it was given, and no older one by itself: these are all that glibc 2.36 (Debian 12) runs.
readonly TAGS=(manylinux2014 manylinux_2_17 manylinux_2_24 manylinux_2_26 manylinux_2_27 manylinux_2_28 manylinux_2_31
    manylinux_2_34 manylinux_2_35 manylinux_2_36)
readonly PYTHONS=(3.11 3.12 3.13)
# qemu's name of a processor, the board that has it, what Linux says of its features.
readonly BOARDS=(
    "cortex-a76|Raspberry Pi 5|fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp|0xd0b"
    "cortex-a72|Raspberry Pi 4|fp asimd evtstrm crc32 cpuid|0xd08"
)

say() { printf 'fallwatch aarch64: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Runs once for what it depends on: a stamp that names it is left behind.
once() {
    local stamp="$HERE/$1.done" wanted=$2
    shift 2
    if [[ -f $stamp && "$(<"$stamp")" == "$wanted" ]]; then return; fi
    "$@"
    printf '%s' "$wanted" >"$stamp"
}

# apt-get with lists, cache and installed packages of its own, so that this machine's stay as they are. $1: architecture.
apt_of() {
    local architecture=$1 state="$HERE/apt-$1"
    shift
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
    : >"$state/status"
    cat >"$state/apt.conf" <<EOF
APT::Architecture "$architecture";
APT::Architectures { "$architecture"; };
APT::Install-Recommends "false";
Dir::State "$state";
Dir::State::Lists "$state/lists";
Dir::State::status "$state/status";
Dir::Cache "$state/cache";
Acquire::Languages "none";
Acquire::Retries "3";
Debug::NoLocking "true";
EOF
    APT_CONFIG="$state/apt.conf" apt-get -qq "$@" </dev/null
}

# Downloads the named packages of an architecture ($1) and what they need, and unpacks them below a folder ($2).
fetch_debs() {
    local architecture=$1 target=$2 log deb
    shift 2
    say "fetching $* for $architecture from this machine's Debian sources"
    log=$(mktemp)
    # A source that has nothing for this architecture (Node's, Google's) is a warning only.
    apt_of "$architecture" update >"$log" 2>&1 || true
    if ! apt_of "$architecture" install --yes --download-only "$@" >>"$log" 2>&1; then
        grep -E '^(E|W|Err)' "$log" | tail -n 5 >&2 || tail -n 5 "$log" >&2
        rm -f "$log"
        die "apt-get has no $* for $architecture: the lines above say why; do this machine's sources carry $architecture?"
    fi
    rm -f "$log"
    rm -rf "$target"
    mkdir -p "$target"
    for deb in "$HERE/apt-$architecture/cache/archives"/*.deb; do
        dpkg-deb --extract "$deb" "$target" || die "$deb: cannot be unpacked; remove .aarch64 and start again"
    done
    rm -rf "$HERE/apt-$architecture"
}

fetch_root() {
    fetch_debs arm64 "$ROOT" "${DEBS[@]}"
}

# The package emulates every processor there is, 370 MB of them; one is kept.
fetch_qemu() {
    fetch_debs "$(dpkg --print-architecture)" "$HERE/unpacked" qemu-user-static
    install -D "$HERE/unpacked/usr/bin/qemu-aarch64-static" "$QEMU"
    rm -rf "$HERE/unpacked"
}

# The arm64 Python's version, such as 3.11.
root_python() {
    local found
    found=$(find "$ROOT/usr/bin" -regex '.*/python3\.[0-9]+' -printf '%f\n' | sort -V | tail -n 1)
    [[ -n $found ]] || die "no Python in $ROOT; remove .aarch64 and start again"
    printf '%s' "${found#python}"
}

platforms() {
    local tag
    for tag in "${TAGS[@]}"; do printf -- '--platform\n%s_aarch64\n' "$tag"; done
}

# The unit's requirements in setup.cfg ($1: "unit" or an extra), one a line.
requirements() {
    "$PYTHON" - "$1" <<'EOF'
import configparser, sys
setup = configparser.ConfigParser()
setup.read("setup.cfg")
part = sys.argv[1]
lines = setup["options"]["install_requires"] if part == "unit" else setup["options.extras_require"][part]
print("\n".join(line for line in lines.splitlines() if line.strip() and not line.lstrip().startswith("#")))
EOF
}

# A folder ($2) to import from with the packages of the rest, for Python $1 on the board. What was downloaded stays until
# all is there, so that a broken-off call goes on where it stopped. A wheel is a zip file; nothing of it is run here.
packages_for_arm() {
    local version=$1 target=$2 platform wheel
    shift 2
    mapfile -t platform < <(platforms)
    "$PYTHON" -m pip --disable-pip-version-check download -qq --dest "$target.wheels" --only-binary=:all: \
        --implementation cp --python-version "$version" "${platform[@]}" "$@" ||
        die "pip could not download $* for aarch64 and Python $version: the lines above say why"
    rm -rf "$target"
    for wheel in "$target.wheels"/*.whl; do
        "$PYTHON" -m zipfile -e "$wheel" "$target"
    done
    rm -rf "$target.wheels"
}

fetch_wheels() {
    local wanted
    say "fetching the unit's aarch64 wheels for Python $1"
    mapfile -t wanted < <(requirements unit)
    packages_for_arm "$1" "$SITE" --constraint deploy/constraints.txt "${wanted[@]}" onnxruntime
}

# The older runtime with its older numpy.
fetch_old_wheels() {
    local wanted
    say "fetching tflite-runtime and numpy 1 for Python $1"
    mapfile -t wanted < <(requirements unit | grep -v '^ai-edge-litert')
    packages_for_arm "$1" "$OLD_SITE" "${wanted[@]}" 'tflite-runtime==2.14.0' 'numpy<2'
}

# qemu hands the program this machine's /proc/cpuinfo unless the root has its own; ai-edge-litert then crashes in the
# search for the processor's features (MODEL.md I.2), which no board does.
write_cpuinfo() {
    local features=$1 part=$2 core
    mkdir -p "$ROOT/proc"
    for core in 0 1 2 3; do
        printf 'processor\t: %s\nBogoMIPS\t: 108.00\nFeatures\t: %s\nCPU implementer\t: 0x41\n' "$core" "$features"
        printf 'CPU architecture: 8\nCPU variant\t: 0x4\nCPU part\t: %s\nCPU revision\t: 1\n\n' "$part"
    done >"$ROOT/proc/cpuinfo"
}

# Runs the arm64 Python as processor $1 with the packages in $2.
emulate() {
    local processor=$1 site=$2
    shift 2
    env -i PATH="$PATH" HOME="$HERE" LC_ALL=C.UTF-8 OMP_NUM_THREADS=1 PYTHONPATH="$site:$PWD" PYTHONDONTWRITEBYTECODE=1 \
        "$QEMU" -L "$ROOT" -cpu "$processor" "$ROOT/usr/bin/python$VERSION" "$@"
}

check_boards() {
    local board processor name features part failed=0 began
    for board in "${BOARDS[@]}"; do
        IFS='|' read -r processor name features part <<<"$board"
        write_cpuinfo "$features" "$part"
        began=$SECONDS
        printf '%s (%s, %s, Python %s)\n' "$name" "$processor" "$(emulate "$processor" "$SITE" -c \
            'import platform; print(platform.machine())')" "$VERSION"
        emulate "$processor" "$SITE" -m quantize.golden --check litert onnx-cpu || failed=1
        # Python 3.11 is the last that it has a wheel for.
        if [[ $VERSION == 3.11 ]]; then
            emulate "$processor" "$OLD_SITE" -m quantize.golden --check tflite-runtime || failed=1
        fi
        printf '      (%s s)\n' "$((SECONDS - began))"
    done
    return $failed
}

# Has pip choose wheels for a board with Python $1, of all that $2 needs ("unit", an extra) and of what that needs, and
# writes its report to $3. Only descriptions are fetched. The rest: further words for pip.
choose_wheels() {
    local version=$1 part=$2 report=$3 wanted platform
    shift 3
    mapfile -t wanted < <(requirements "$part" | sed 's/;.*//')
    if [[ $part == tflite-runtime ]]; then mapfile -t -O "${#wanted[@]}" wanted < <(requirements unit | grep -v '^ai-edge-litert'); fi
    mapfile -t platform < <(platforms)
    "$PYTHON" -m pip --disable-pip-version-check install -qq --dry-run --ignore-installed --report "$report" \
        --target "$HERE/nowhere" --only-binary=:all: --implementation cp --python-version "$version" "${platform[@]}" \
        "$@" "${wanted[@]}"
}

# The table of docs/runtimes.md: each package with compiled code and its tag for each Python; the others run anywhere.
print_wheels() {
    local part version constraint
    for part in unit console tflite-runtime; do
        # The older runtime wants an older numpy than the rest of the project.
        if [[ $part == tflite-runtime ]]; then constraint=(); else constraint=(--constraint deploy/constraints.txt); fi
        for version in "${PYTHONS[@]}"; do
            mkdir -p "$HERE/wheels/$part"
            if ! choose_wheels "$version" "$part" "$HERE/wheels/$part/$version" "${constraint[@]}" 2>"$HERE/wheels/reason"; then
                printf '{"install": []}' >"$HERE/wheels/$part/$version"
                say "$part, Python $version: $(grep -m 1 '^ERROR' "$HERE/wheels/reason" || tail -n 1 "$HERE/wheels/reason")"
            fi
        done
    done
    "$PYTHON" - "$HERE/wheels" "${PYTHONS[@]}" <<'EOF'
import json, pathlib, sys
folder, pythons = pathlib.Path(sys.argv[1]), sys.argv[2:]
print("| part | package |", " | ".join(f"Python {version}" for version in pythons), "|")
print("| --- | --- |", " | ".join("---" for _ in pythons), "|")
for part in ("unit", "console", "tflite-runtime"):
    tags, anywhere = {}, set()
    for version in pythons:
        for one in json.loads((folder / part / version).read_text())["install"]:
            name, number, *_, tag = one["download_info"]["url"].rsplit("/", 1)[-1].removesuffix(".whl").split("-")
            if tag == "any":
                anywhere.add(name)
            else:
                tags.setdefault(name, {})[version] = f"{number} {tag.split('.')[0]}"
    for name, found in sorted(tags.items()):
        print(f"| {part} | {name} |", " | ".join(found.get(version, "**none**") for version in pythons), "|")
    chosen = {v for v in pythons if json.loads((folder / part / v).read_text())["install"]}
    print(f"| {part} | {len(anywhere)} of Python alone |", " | ".join("any" if v in chosen else "**none**" for v in pythons), "|")
EOF
}

main() {
    PYTHON=$(find_python "$PWD/.venv/bin/python" python3.11 python3) || die "no Python 3.11 or newer with pip here"
    mkdir -p "$HERE"
    if [[ ${1:-} == wheels ]]; then
        print_wheels
        return
    fi
    if [[ $(uname -m) == aarch64 ]]; then
        say "this machine is aarch64 itself: nothing is emulated"
        "$PYTHON" -m quantize.golden --check litert
        return
    fi
    local tool
    for tool in apt-get dpkg dpkg-deb; do
        command -v "$tool" >/dev/null || die "no $tool here: this check needs a Debian (12 or newer) or a board to run on"
    done
    once qemu "1" fetch_qemu
    once root "${DEBS[*]}" fetch_root
    VERSION=$(root_python)
    once site "$VERSION $(cat setup.cfg deploy/constraints.txt | sha256sum)" fetch_wheels "$VERSION"
    if [[ $VERSION == 3.11 ]]; then
        once site-tflite-runtime "$VERSION $(sha256sum <setup.cfg)" fetch_old_wheels "$VERSION"
    fi
    check_boards
}

main "$@"
