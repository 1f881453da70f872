#!/usr/bin/env bash
# Makes sure that the host has what builds and the lab need. As root on Debian or Ubuntu, missing packages are
# installed; nothing is started, upgraded or removed. Otherwise it says what is missing.
set -euo pipefail

say() { printf 'host tools: %s\n' "$*" >&2; }
fail() { say "$1"; say "remedy: $2"; exit 1; }

command -v cargo >/dev/null || fail "cargo is missing" "install Rust by rustup; rust-toolchain.toml names the version"

# What is looked for, and the package that brings it.
missing=()
# A plain user's PATH lacks the folders of system programs.
need() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null || missing+=("$2"); }
need gcc gcc
need git git
need ip iproute2
need mount mount
need nsenter util-linux
# Static programs need the C library as an archive.
[ -e "$(gcc -print-file-name=libc.a 2>/dev/null || true)" ] || missing+=(libc6-dev)
# The lab unpacks Debian packages; without package lists they cannot be found.
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null; then
  say "reading the package lists ..."
  apt-get update -q >/dev/null || fail "apt-get update failed" "see its message above"
fi
[ ${#missing[@]} -gt 0 ] || exit 0

command -v apt-get >/dev/null ||
  fail "missing: ${missing[*]} (names of Debian packages)" "install what this system calls them"
[ "$(id -u)" = 0 ] ||
  fail "missing packages: ${missing[*]}" "as root: apt-get install --no-install-recommends ${missing[*]}"
say "installing ${missing[*]} ..."
# Services of new packages are denied their start.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null || fail "apt-get update failed" "see its message above"
apt-get install -q -y --no-install-recommends --no-upgrade "${missing[@]}" >/dev/null ||
  fail "apt-get install failed" "see its message above"
