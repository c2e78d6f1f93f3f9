# To be sourced, under `set -euo pipefail`. Finds a Python, makes .venv in the
# checkout where it is missing or stale, and puts it first on PATH.
# With MITMPROXY=12.2.3 the environment is .venv-12.2.3, with the versions of
# constraints-12.2.3.txt in place of those of constraints.txt.
# Sets `root` (the checkout), `venv`, `python` (that of the environment), and `atheris`
# (what pip is to be asked for, by those who want it).

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv${MITMPROXY:+-$MITMPROXY}
python=$venv/bin/python
constraints=("$root/scripts/constraints.txt")
if [[ -n ${MITMPROXY:-} ]]; then
  constraints=("$root/scripts/constraints-$MITMPROXY.txt" "${constraints[@]}")
  if [[ ! -f ${constraints[0]} ]]; then
    echo "mitmproxy $MITMPROXY has no $(basename "${constraints[0]}") in scripts" >&2
    exit 2
  fi
fi
# Not among the packages of .venv: there are wheels for some machines alone.
# shellcheck disable=SC2034
atheris=atheris==3.1.0

_fits() {
  "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1
}

_find_python() {
  local candidate found
  if [[ -n ${PYTHON:-} ]]; then
    _fits "$PYTHON" && command -v "$PYTHON" && return
    echo "PYTHON=$PYTHON is not a Python 3.12 or newer with venv" >&2
    return 1
  fi
  # A name may be a shim with nothing behind it, so each one is tried.
  for candidate in python3.14 python3.13 python3.12 python3; do
    found=$(command -v "$candidate") && _fits "$found" && echo "$found" && return
  done
  while IFS= read -r candidate; do
    _fits "$candidate" && echo "$candidate" && return
  done < <(printf '%s\n' "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python | sort -rV)
  if command -v uv >/dev/null; then
    uv python install --quiet 3.12 >&2
    found=$(uv python find 3.12) && _fits "$found" && echo "$found" && return
  fi
  echo "no Python 3.12 or newer found; install one, or set PYTHON to its path" >&2
  return 1
}

_wanted_stamp() {
  "$1" - "$root" "$root/pyproject.toml" "${constraints[@]}" <<'PY'
import hashlib, pathlib, sys

parts = [sys.version, sys.argv[1]]
parts += [pathlib.Path(name).read_text("utf-8") for name in sys.argv[2:]]
print(hashlib.sha256("\0".join(parts).encode()).hexdigest())
PY
}

# A package's first line counts: pip refuses two versions of one.
_merged_constraints() {
  awk -F == '{ name = tolower($1); gsub(/[-_.]+/, "-", name) } !seen[name]++' "${constraints[@]}"
}

# Whether the environment is whole and up to date; asked of its own Python, so that a
# good one needs no search.
_is_fresh() {
  [[ -x $python && -f $venv/stamp ]] && _fits "$python" &&
    [[ $(_wanted_stamp "$python") == "$(<"$venv/stamp")" ]] &&
    { [[ -z ${PYTHON:-} ]] || _same_version "$PYTHON"; }
}

_same_version() {
  [[ $("$1" -c 'import sys; print(sys.version)' 2>/dev/null) == \
    "$("$python" -c 'import sys; print(sys.version)')" ]]
}

_make_venv() {
  local base log
  base=$(_find_python) || return 1
  log=$(mktemp)
  echo "making $(basename "$venv") with $("$base" --version) ..." >&2
  if "$base" -m venv --clear "$venv" >"$log" 2>&1 &&
    _merged_constraints >"$venv/constraints.txt" &&
    "$python" -m pip --disable-pip-version-check install --quiet \
      -c "$venv/constraints.txt" -e "$root[test]" >>"$log" 2>&1; then
    _wanted_stamp "$python" >"$venv/stamp"
    rm -f "$log"
  else
    cat "$log" >&2
    rm -f "$log"
    echo "making $(basename "$venv") failed" >&2
    return 1
  fi
}

# Every run holds a shared lock on the checkout until it ends, and who makes
# an environment an exclusive one, so that none is rebuilt while another run uses it.
# Start children with `9<&-`, so that none keeps the lock, and do not `exec` them.
_lock() {
  command -v flock >/dev/null || return 0
  flock --nonblock "$1" 9 && return
  echo "waiting for another run in this checkout ..." >&2
  flock "$1" 9
}

exec 9<"$root"
_lock --shared
if ! _is_fresh; then
  _lock --unlock
  _lock --exclusive
  _is_fresh || _make_venv || exit 1
  _lock --shared
fi
PATH=$venv/bin:$PATH
export PATH
