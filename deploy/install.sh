#!/usr/bin/env bash
# Puts `fallwatch run` on a Debian machine as a service that starts with the machine and never gives up.
#
#   sudo deploy/install.sh              install, or upgrade what is installed
#   deploy/install.sh --dry-run         say what would be done, and do nothing
#
# Every release lies in its own folder, /opt/fallwatch/releases/NAME, and /opt/fallwatch/current points to the one in
# force: an upgrade that fails leaves the old one running. Settings in /etc/fallwatch are never overwritten.
set -euo pipefail
# The account of the service must be able to read what root installs.
umask 022

CHECKOUT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly CHECKOUT
# shellcheck source=deploy/find_python.sh
source "$CHECKOUT/deploy/find_python.sh"
# Only the system's own: the service may not look into anybody's home. 3.11 first: every runtime has a wheel for it.
readonly PYTHONS=(/usr/bin/python3.11 /usr/bin/python3 /usr/bin/python3.12 /usr/bin/python3.13 /usr/local/bin/python3)
readonly SERVICE=fallwatch
readonly ACCOUNT=fallwatch
readonly STATE=/var/lib/fallwatch # as StateDirectory= in the service
# One release takes 435 MB (measured on x86_64 with Python 3.11); an upgrade needs a second one beside it.
readonly DISK_NEEDED_MB=1000
readonly RELEASES_KEPT=2

EXTRAS=""
DRY_RUN=false
ROOT=""
START=true
# From the start of the service to its first classified frame: camera and network on a slow board.
WATCHING_WITHIN_S=60

usage() {
    cat <<'END'
usage: deploy/install.sh [--console] [--dry-run] [--no-start | --wait SECONDS] [--root DIR]

Installs Fallwatch from this checkout as a service on this Debian machine; run again, it upgrades.

  --console     also install the page for nurses and reviewers (`fallwatch console`)
  --dry-run     print the steps and do nothing
  --no-start    install the service without starting it
  --wait N      how long the service may take to see its first frame, seconds (default 60)
  --root DIR    put everything below DIR and touch neither accounts nor services (to try it out, or for tests)

Example: sudo deploy/install.sh --console
Exit codes: 0 installed and watching, 1 not finished or not watching yet, 2 wrong use.
END
}

say() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }
wrong_use() { printf 'install.sh: %s; see deploy/install.sh --help\n' "$*" >&2; exit 2; }

# Announces a step and runs it, or only announces it.
step() {
    local words=$1
    shift
    say "- $words"
    if ! $DRY_RUN; then "$@"; fi
}

read_arguments() {
    while (($#)); do
        case $1 in
            --console) EXTRAS="[console]" ;;
            --dry-run) DRY_RUN=true ;;
            --no-start) START=false ;;
            --wait)
                [[ ${2:-} =~ ^[0-9]+$ ]] || wrong_use "--wait needs a number of seconds"
                WATCHING_WITHIN_S=$2
                shift
                ;;
            --root)
                [[ -n ${2:-} ]] || wrong_use "--root needs a folder"
                ROOT=$(realpath -m "$2")
                START=false
                shift
                ;;
            -h | --help) usage; exit 0 ;;
            *) wrong_use "unknown option $1" ;;
        esac
        shift
    done
    readonly EXTRAS DRY_RUN ROOT START WATCHING_WITHIN_S
    readonly HOME_OF_ALL=$ROOT/opt/fallwatch
    readonly SETTINGS=$ROOT/etc/fallwatch/unit.toml
    readonly UNIT_FILE=$ROOT/etc/systemd/system/$SERVICE.service
    readonly COMMAND=$ROOT/usr/local/bin/fallwatch
    # A file that --root makes for a dry look; services only exist on the machine itself.
    REAL=true
    if [[ -n $ROOT ]]; then REAL=false; fi
    readonly REAL
    readonly CHECK_AGAIN="sudo -u $ACCOUNT fallwatch check --config $SETTINGS"
}

# --- what must be true before anything is changed -----------------------------------------------------------------

check_machine() {
    if $REAL && ! $DRY_RUN && ((EUID != 0)); then
        die "must run as root to install a service: run sudo ${BASH_SOURCE[0]}"
    fi
    local id=unknown
    if [[ -r /etc/os-release ]]; then
        id=$(sed -n 's/^ID\(_LIKE\)\?="\?\([^"]*\)"\?$/\2/p' /etc/os-release | tr '\n' ' ')
    fi
    [[ " $id " == *" debian "* ]] ||
        die "this machine runs '$id' and not Debian: install by hand as docs/install.md says"
    local architecture
    architecture=$(uname -m)
    case $architecture in
        x86_64 | aarch64) ;;
        *) die "no network runtime exists for $architecture: use a 64-bit system (x86_64 or aarch64)" ;;
    esac
    if $REAL && $START && [[ ! -d /run/systemd/system ]]; then
        die "systemd does not run this machine: use --no-start and run 'fallwatch run' by other means"
    fi
    check_disk
    compgen -G '/dev/video*' >/dev/null ||
        warn "no camera at /dev/video*: plug one in, or give an rtsp:// address as source in $SETTINGS"
}

check_disk() {
    local folder=$HOME_OF_ALL free_mb
    while [[ ! -d $folder ]]; do folder=$(dirname "$folder"); done
    free_mb=$(df -Pm "$folder" | awk 'NR == 2 { print $4 }')
    ((free_mb >= DISK_NEEDED_MB)) ||
        die "$folder has $free_mb MB free and $DISK_NEEDED_MB MB are needed: free some space or use a larger disk"
}

apt_install_venv() {
    if ! { apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv; }; then
        die "apt-get could not install python3-venv: the lines above say why"
    fi
}

ensure_python() {
    if PYTHON=$(find_python "${PYTHONS[@]}"); then return; fi
    if ! $REAL; then die "no Python 3.11 or newer with venv here: install python3-venv first"; fi
    step "install Debian package python3-venv" apt_install_venv
    PYTHON=$(find_python "${PYTHONS[@]}") || $DRY_RUN ||
        die "no Python 3.11 or newer here: Debian 12 or newer has it, an older one must be upgraded first"
}

# --- the steps ----------------------------------------------------------------------------------------------------

make_account() {
    useradd --system --user-group --home-dir "$STATE" --no-create-home --shell /usr/sbin/nologin "$ACCOUNT" ||
        die "the account $ACCOUNT could not be made: the line above says why"
}

# systemd would make it at the first start; the check before that start must find it too.
# A journal that root made by hand, before, would be closed to the service.
make_state_folder() {
    install -d -m 0700 "$STATE"
    chown -R "$ACCOUNT:$ACCOUNT" "$STATE"
}

# What is installed, in a temporary folder, so that building leaves nothing of root's in the checkout.
copy_sources() {
    local target=$1 item
    for item in device training quantize deploy setup.cfg pyproject.toml README.md LICENSE; do
        if [[ -e $CHECKOUT/$item ]]; then cp -r "$CHECKOUT/$item" "$target/"; fi
    done
    find "$target" -name __pycache__ -type d -prune -exec rm -rf {} +
}

# Version and content of what would be installed: the same checkout is not installed twice.
release_name() {
    local sources=$1 content
    content=$({
        cd "$sources" && find . -type f -print0 | sort -z | xargs -0 sha256sum
        echo "$PYTHON $EXTRAS"
    } | sha256sum | cut -c 1-12)
    echo "$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$CHECKOUT/device/__init__.py")-$content"
}

install_release() {
    local release=$1 sources=$2
    # A release without this mark was interrupted: it is begun again from nothing.
    rm -rf "$release"
    mkdir -p "$(dirname "$release")"
    "$PYTHON" -m venv "$release" || die "$PYTHON could not make an environment in $release: is the disk full?"
    "$release/bin/python" -m pip --disable-pip-version-check install -qq \
        --constraint "$CHECKOUT/deploy/constraints.txt" "$sources$EXTRAS" ||
        die "pip could not install Fallwatch into $release: the lines above say why; is the package index reachable?"
    "$release/bin/fallwatch" --help >/dev/null || die "the installed command $release/bin/fallwatch does not start"
    touch "$release/complete"
}

place_settings() {
    install -D -m 0640 "$CHECKOUT/deploy/unit.example.toml" "$SETTINGS.new"
    # The service and a person at the command line must look at the same journal.
    sed -i 's|^# folder = ""$|folder = "'"$STATE"'"|' "$SETTINGS.new"
    if $REAL; then chown "root:$ACCOUNT" "$SETTINGS.new"; fi
    mv "$SETTINGS.new" "$SETTINGS"
}

point_current_to() {
    ln -sfn "$1" "$HOME_OF_ALL/current.new"
    mv -T "$HOME_OF_ALL/current.new" "$HOME_OF_ALL/current"
}

place_command() {
    mkdir -p "$(dirname "$COMMAND")"
    ln -sfn "$HOME_OF_ALL/current/bin/fallwatch" "$COMMAND"
}

# The newest releases stay, so that one can go back; the one in force stays in any case.
remove_old_releases() {
    local release in_force
    in_force=$(readlink "$HOME_OF_ALL/current")
    find "$HOME_OF_ALL/releases" -mindepth 1 -maxdepth 1 -type d -printf '%T@ %p\n' | sort -rn | cut -d ' ' -f 2- |
        tail -n +$((RELEASES_KEPT + 1)) | while read -r release; do
        if [[ $release != "$in_force" ]]; then rm -rf "$release"; fi
    done
}

# As the service's own account: root would see files and cameras that the service must not see.
run_check() {
    local check=("$HOME_OF_ALL/current/bin/fallwatch" check --config "$SETTINGS")
    if $REAL; then
        (cd / && runuser -u "$ACCOUNT" -G "$ACCOUNT" -G video -- "${check[@]}")
    else
        "${check[@]}" --settings-only
    fi
}

# Not `restart`: for a moment the old service would still count as active.
begin_anew() {
    systemctl stop "$SERVICE"
    systemctl start --no-block "$SERVICE"
}

is_watching() {
    local end=$((SECONDS + WATCHING_WITHIN_S))
    until systemctl is-active --quiet "$SERVICE"; do
        if ((SECONDS >= end)); then return 1; fi
        sleep 1
    done
}

# The service is active only when a frame has gone through the network (Type=notify): active means watching.
start_and_wait() {
    local release=$1 before=$2
    systemctl daemon-reload
    systemctl enable --quiet "$SERVICE"
    begin_anew
    if is_watching; then
        say "The room is watched. What it says: journalctl -u $SERVICE -f"
        return
    fi
    if [[ -n $before && $before != "$release" && -x $before/bin/fallwatch ]]; then
        point_current_to "$before"
        begin_anew
        die "the new release saw no frame within $WATCHING_WITHIN_S s: back to $before; see journalctl -u $SERVICE"
    fi
    warn "no frame within $WATCHING_WITHIN_S s: see journalctl -u $SERVICE and $CHECK_AGAIN"
    die "NOT WATCHING YET; the service is started and keeps trying"
}

main() {
    read_arguments "$@"
    check_machine
    ensure_python
    local sources release before
    sources=$(mktemp -d)
    # shellcheck disable=SC2064  # the folder's name is wanted now, not when the trap runs
    trap "rm -rf '$sources'" EXIT
    copy_sources "$sources"
    release=$HOME_OF_ALL/releases/$(release_name "$sources")
    before=$(readlink "$HOME_OF_ALL/current" 2>/dev/null || true)

    if $REAL && ! id "$ACCOUNT" >/dev/null 2>&1; then
        step "make the account $ACCOUNT, without login" make_account
    fi
    if $REAL; then step "make the folder of journal and clips: $STATE" make_state_folder; fi
    if [[ -e $release/complete ]]; then
        say "- this release is installed already: $release"
    else
        step "install Fallwatch$EXTRAS into $release (some minutes)" install_release "$release" "$sources"
    fi
    if [[ -e $SETTINGS ]]; then
        say "- settings are kept: $SETTINGS"
    else
        step "place settings to edit: $SETTINGS" place_settings
    fi
    step "place the service: $UNIT_FILE" install -D -m 0644 "$CHECKOUT/deploy/$SERVICE.service" "$UNIT_FILE"
    step "put it in force: $HOME_OF_ALL/current" point_current_to "$release"
    step "put the command in the path: $COMMAND" place_command
    finish "$release" "$before"
}

finish() {
    local release=$1 before=$2
    if $DRY_RUN; then
        say "- check settings, camera, model, broker, disk and clock; then start the service, now and with the machine"
        say "Nothing was done: this was a dry run."
        return
    fi
    # While an older release holds the camera a check would only find it busy; then the restart is the check.
    if ! { $REAL && systemctl is-active --quiet "$SERVICE" 2>/dev/null; }; then
        say "- check settings, camera, model, broker, disk and clock"
        run_check || warn "the check has findings; correct them, then: $CHECK_AGAIN"
    fi
    if $START; then
        step "start the service, now and with the machine" start_and_wait "$release" "$before"
    else
        say "Installed and not started. To start: systemctl enable --now $SERVICE"
    fi
    remove_old_releases
}

# Sourced by a test, it only brings its functions.
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; fi
