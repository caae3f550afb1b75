#!/usr/bin/env bash
# The unit on the runtime that older boards name, tflite-runtime 2.14 with numpy 1, in an environment of its own that is
# thrown away afterwards: the golden answers within what was measured for its kernels, then a clip down the whole road.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=deploy/find_python.sh
source deploy/find_python.sh

say() { printf 'fallwatch tflite-runtime: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# What a unit installs, with this runtime in the place of ai-edge-litert, one a line.
requirements() {
    "$1" - <<'EOF'
import configparser
setup = configparser.ConfigParser()
setup.read("setup.cfg")
unit, old = setup["options"]["install_requires"], setup["options.extras_require"]["tflite-runtime"]
lines = [line for line in f"{unit}\n{old}".splitlines() if line.strip() and not line.lstrip().startswith("#")]
print("\n".join(line for line in lines if not line.startswith("ai-edge-litert")))
EOF
}

main() {
    local python folder wanted clip
    # The last Python it has a wheel for.
    python=$(find_python python3.11) || die "no Python 3.11 with venv here and no wheel for a later one: install python3.11-venv"
    folder=$(mktemp -d)
    # shellcheck disable=SC2064 # the folder of now
    trap "rm -rf '$folder'" EXIT
    say "making an environment below $folder"
    "$python" -m venv "$folder/venv"
    mapfile -t wanted < <(requirements "$python")
    "$folder/venv/bin/python" -m pip --disable-pip-version-check install -qq "${wanted[@]}" ||
        die "pip could not install ${wanted[*]}: the lines above say why; is the package index reachable?"
    "$folder/venv/bin/python" -c 'import numpy, cv2, sys
print(f"Python {sys.version.split()[0]}, numpy {numpy.__version__}, OpenCV {cv2.__version__}")'
    "$folder/venv/bin/python" -m quantize.golden --check tflite-runtime
    clip=$(find device/footage -name '*.mp4' | sort | head -n 1)
    [[ -n $clip ]] || die "device/footage holds no clip; copy the checkout again"
    # "auto": the only runtime there must be found and taken.
    "$folder/venv/bin/python" -m device.cli replay --jsonl "$clip" | tail -n 1
}

main
