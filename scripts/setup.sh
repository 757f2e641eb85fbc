# shellcheck shell=bash
# Sourced by the other scripts: makes `.venv` what they need, on Debian, Raspberry Pi OS or Ubuntu.
#
#   root     the project's folder
#   venv     its virtual environment
#   set_up [EXTRA]   installs gatectl with that extra of pyproject.toml; does nothing where that is done
#
# Everything is said on stderr. A stamp in .venv records what it was made from; it is written last, so a
# set-up that was cut short is done again.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/.venv

say() { printf '%s\n' "$*" >&2; }

fail() { # MESSAGE HINT…
    say "$1"
    shift
    if (($#)); then printf 'hint: %s\n' "$@" >&2; fi
    exit 1
}

# --- What the system must have -------------------------------------------------------------------

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 </dev/null; }

can_make_venvs() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1 </dev/null; }

has_headers() {
    "$1" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' 2>/dev/null </dev/null
}

# lgpio has ready wheels up to Python 3.12 for the usual machines; elsewhere it is built, with SWIG.
has_lgpio_wheel() {
    case $(uname -m) in x86_64 | aarch64 | armv7l) ;; *) return 1 ;; esac
    "$1" -c 'import sys; sys.exit(sys.version_info >= (3, 13))' 2>/dev/null </dev/null
}

# The best Python here: one that needs no packages, else one that is new enough; nothing if there is none.
find_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11; do
        # The next .venv must not depend on an activated .venv.
        if [[ $(command -v "$name") == "$venv"/* ]]; then continue; fi
        if is_new_enough "$name" && can_make_venvs "$name" && has_headers "$name"; then
            command -v "$name"
            return
        fi
    done
    # Only Debian's own can be completed by packages.
    for name in /usr/bin/python3 /usr/bin/python3.13 /usr/bin/python3.12 /usr/bin/python3.11; do
        if is_new_enough "$name"; then
            printf '%s\n' "$name"
            return
        fi
    done
}

includes() { printf '#include <%s>\n' "$1" | gcc -E - >/dev/null 2>&1; }

# The packages that are missing for the Python given (or none), one a line.
missing_packages() {
    local python=$1 version=python3
    if [[ $python == /usr/bin/python3.* ]]; then version=${python#/usr/bin/}; fi
    [[ -n $python ]] || printf '%s\n' python3
    { [[ -n $python ]] && can_make_venvs "$python"; } || printf '%s\n' "$version-venv"
    { [[ -n $python ]] && has_headers "$python"; } || printf '%s\n' "$version-dev"
    includes stdlib.h || printf '%s\n' gcc libc6-dev
    includes linux/input.h || printf '%s\n' linux-libc-dev
    [[ -s /etc/ssl/certs/ca-certificates.crt ]] || printf '%s\n' ca-certificates
    { [[ -n $python ]] && has_lgpio_wheel "$python"; } || command -v swig >/dev/null || printf '%s\n' swig
}

# The packages without which some tests are skipped, one a line.
missing_for_tests() {
    local each # COMMAND:PACKAGE, or what both are called
    for each in fish git groff:groff-base ip:iproute2 man:man-db mandoc shellcheck systemctl:systemd zsh; do
        command -v "${each%:*}" >/dev/null || printf '%s\n' "${each#*:}"
    done
    missing_services
    has_browser || has_no_browser_package || printf '%s\n' chromium
}

# The packages of a head office that are missing, one a line. No ordinary user's PATH leads to their programs.
missing_services() {
    local PATH=$PATH:/usr/sbin:/usr/lib/postgresql/17/bin:/usr/lib/postgresql/16/bin:/usr/lib/postgresql/15/bin
    command -v mosquitto >/dev/null || printf '%s\n' mosquitto
    command -v initdb >/dev/null || printf '%s\n' postgresql
}

# Runs it: Ubuntu's package is a script that only asks for a snap.
has_browser() {
    local name
    for name in chromium chromium-browser; do
        if "$name" --version >/dev/null 2>&1 </dev/null; then return; fi
    done
    return 1
}

has_no_browser_package() { grep -qx 'ID=ubuntu' /etc/os-release 2>/dev/null; }

# Never ask for a password: this may run unattended.
can_be_root() { ((EUID == 0)) || { command -v sudo && sudo -n true; } >/dev/null 2>&1 </dev/null; }

install_packages() { # PACKAGE…
    local as_root=() what="sudo apt-get update && sudo apt-get install $*"
    command -v apt-get >/dev/null || fail "these packages are missing: $*" \
        "their names are Debian's; install what this system calls them"
    can_be_root || fail "these packages are missing, and installing them needs root: $*" "$what"
    if ((EUID != 0)); then as_root=(sudo -n); fi
    # On a machine just set up, the daily upgrade often holds the lock for some minutes.
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600)
    say "installing packages: $*"
    "${apt[@]}" update >&2 </dev/null || say "the package lists could not all be fetched; going on with those at hand"
    "${apt[@]}" install --no-install-recommends "$@" >&2 </dev/null ||
        fail "the packages could not be installed" "$what"
}

# Sets `python` to one that can build everything.
require_system() {
    local missing
    python=$(find_python)
    mapfile -t missing < <(missing_packages "$python")
    if ((${#missing[@]})); then
        install_packages "${missing[@]}"
        python=$(find_python)
        [[ -n $python ]] || fail "no Python 3.11 or later was found" \
            "this needs Debian 12, Raspberry Pi OS 12, Ubuntu 24.04, or later"
        mapfile -t missing < <(missing_packages "$python")
        # Python's version was not known before the first round, and so not whether SWIG is wanted.
        if ((${#missing[@]})); then install_packages "${missing[@]}"; fi
    fi
}

# The tests run without them, and say at each that is skipped what it wants.
install_for_tests() {
    local missing
    mapfile -t missing < <(missing_for_tests)
    if ((${#missing[@]} == 0)); then return; fi
    (install_packages "${missing[@]}") || say "the tests that need these packages will be skipped"
}

# --- The virtual environment ---------------------------------------------------------------------

# The sources of .venv; empty if its Python does not run.
fingerprint() {
    "$venv/bin/python" -c 'import sys; print(sys.version)' 2>/dev/null </dev/null &&
        printf '%s\n' "$root" && cat -- "$root/pyproject.toml" "$root/scripts/setup.sh"
}

stamp_now() { fingerprint | sha256sum; }

# Whether this is our own environment (not a moved or copied one) with nothing missing from its packages.
is_sound() {
    is_new_enough "$venv/bin/python" || return 1
    [[ $("$venv/bin/pip" --version 2>/dev/null </dev/null) == *" from $venv/"* ]] || return 1
    "$venv/bin/python" -c '
import importlib.metadata, sys
for package in importlib.metadata.distributions():
    files = [file for file in package.files or () if file.suffix != ".pyc"]
    if not files or not all(file.locate().exists() for file in files):
        sys.exit(1)' 2>/dev/null </dev/null
}

is_set_up() { # EXTRA
    local now stamp
    now=$(stamp_now) || return 1
    for stamp in "$venv/.set-up-test" "$venv/.set-up-$1"; do # what the tests need is all there is
        if [[ -s $stamp && $(<"$stamp") == "$now" ]]; then return; fi
    done
    return 1
}

set_up() { # [EXTRA]
    local extra=${1:-} lock
    if is_set_up "$extra"; then return; fi
    exec {lock}<"$root" && flock "$lock" # two set-ups at once would spoil each other
    if ! is_set_up "$extra"; then make_venv "$extra"; fi
    exec {lock}<&-
}

make_venv() { # EXTRA
    local python
    require_system
    if [[ $1 == test ]]; then install_for_tests; fi
    rm -f -- "$venv"/.set-up-*
    if ! is_sound; then
        say "making $venv with $("$python" --version 2>&1)"
        "$python" -m venv --clear -- "$venv" >&2 </dev/null || fail "the virtual environment could not be made"
    fi
    say "installing gatectl and what it needs (on a Raspberry Pi this takes some minutes)"
    # PYPI=1 is lgpio's own switch: where it is built, its C library is built in.
    PYPI=1 "$venv/bin/pip" install --quiet --disable-pip-version-check \
        --editable "$root${1:+[$1]}" >&2 </dev/null ||
        fail "gatectl could not be installed into $venv" "is this machine online? the error is shown above"
    stamp_now >"$venv/.set-up-$1"
    say "the set-up is done"
}
