#!/usr/bin/env bash
# Installs the Debian packages whose commands the tests run, and only what is missing.
# Usage: tests/support/install.sh COMMAND...
#
# Debian starts some of these as a service of their own (prometheus on :9090). The tests never talk to
# that one: they start their own, on free ports, with data of their own.
set -euo pipefail

# The package that has a command; most have its name.
package() {
  case "$1" in
    kubectl) echo kubernetes-client ;;
    *) echo "$1" ;;
  esac
}

missing=()
for command in "$@"; do
  command -v "$command" >/dev/null || missing+=("$(package "$command")")
done
[ "${#missing[@]}" -gt 0 ] || exit 0

become=()
if [ "$(id -u)" -ne 0 ]; then
  become=(sudo -n)
fi
if ! command -v apt-get >/dev/null || { [ "${#become[@]}" -gt 0 ] && ! "${become[@]}" true 2>/dev/null; }; then
  echo "The tests need ${missing[*]}, and this user may not install packages. As root, run:" >&2
  echo "    apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
  echo "(or put the commands of your system's packages on PATH)" >&2
  exit 1
fi

echo "Installing what the tests need: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
install=("${become[@]}" apt-get install --yes --quiet --no-install-recommends "${missing[@]}")
# A fresh machine has no package lists; an old one has lists of versions that are gone.
"${install[@]}" || { "${become[@]}" apt-get update --quiet && "${install[@]}"; }
