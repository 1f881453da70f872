#!/usr/bin/env bash
# Builds what the lab runs (Kubernetes, etcd, CoreDNS, kwok, container runtime, routers, Gateway API CRDs) into a cache that is
# keyed by content, so a second call finds everything and ends in well under a second.
#
#   build.sh [PART ...]      parts: kubernetes etcd coredns kwok gobgp debian routers dissector pause crds   (default: all)
#   build.sh --print         one line PART=FOLDER for each part, nothing is built
#
# KERYX_LAB_CACHE   cache folder (default: $XDG_CACHE_HOME/keryx-lab or ~/.cache/keryx-lab)
# KERYX_LAB_KUBE    folder that already holds the Kubernetes binaries; they are used instead of a build
# GATEWAY_API_VERSION, GATEWAY_API_CHANNEL   CRDs to fetch (v1.7.0, standard)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Under sudo the caller's cache counts: he builds, only the lab runs as root.
home=$(getent passwd "${SUDO_USER:-}" | cut -d: -f6) || true
cache=${KERYX_LAB_CACHE:-${XDG_CACHE_HOME:-${home:-$HOME}/.cache}/keryx-lab}
gateway_api_version=${GATEWAY_API_VERSION:-v1.7.0}
gateway_api_channel=${GATEWAY_API_CHANNEL:-standard}

say() { printf 'lab tools: %s\n' "$*" >&2; }
fail() { say "$1"; say "remedy: $2"; exit 1; }
need() { command -v "$1" >/dev/null || fail "'$1' is missing" "$2"; }
# The key names content: same sources and script, same folder.
key() { cat "$@" | sha256sum | cut -c1-12; }

# Packages whose files the nodes use. They are unpacked, never installed: nothing on the host starts or changes.
debian_packages="containerd runc containernetworking-plugins nftables libnftables1 libnftnl11 libmnl0 libjansson4
libedit2 libbsd0 libmd0 libseccomp2 libtinfo6
iptables libxtables12 libip4tc2 libip6tc2 libnetfilter-conntrack3 libnfnetlink0"

# Routers, and every library of theirs that a small system lacks.
router_packages="bird2 frr libssh-gcrypt-4 libyang2 libjson-c5 libc-ares2 libprotobuf-c1 libpcre2-8-0 libgcrypt20 libgpg-error0
libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0 libcom-err2 libkeyutils1 libcap2 libreadline8 libtinfo6 libelf1 zlib1g
libcrypt1 libpam0g libaudit1 libcap-ng0"

# tshark, and the libraries that it cannot start without.
dissector_packages="tshark libwireshark16 libwiretap13 libwsutil14 libbrotli1 libc-ares2 libcap2 libcom-err2 libdbus-1-3 libffi8
libgcrypt20 libglib2.0-0 libgmp10 libgnutls30 libgpg-error0 libgssapi-krb5-2 libhogweed6 libicu72 libidn2-0 libk5crypto3
libkeyutils1 libkrb5-3 libkrb5support0 liblua5.2-0 liblz4-1 liblzma5 libmaxminddb0 libnettle8 libnghttp2-14 libp11-kit0
libpcap0.8 libpcre2-8-0 libsmi2ldbl libsnappy1v5 libspeexdsp1 libsystemd0 libtasn1-6 libunistring2 libxml2 libzstd1 zlib1g"

packages_folder() { # PART PACKAGES
  echo "$cache/$1-$(. /etc/os-release && echo "$ID-$VERSION_ID-$2" | sha256sum | cut -c1-12)"
}

folder() {
  case $1 in
    kubernetes) [ -n "${KERYX_LAB_KUBE:-}" ] && echo "$KERYX_LAB_KUBE" || echo "$cache/kubernetes-$(key "$here"/kubernetes/go.{mod,sum})" ;;
    etcd | coredns | kwok | gobgp) echo "$cache/$1-$(key "$here/$1"/go.{mod,sum})" ;;
    debian) packages_folder debian "$debian_packages" ;;
    routers) packages_folder routers "$router_packages" ;;
    dissector) packages_folder dissector "$dissector_packages" ;;
    pause) echo "$cache/pause-$(key "$here/pause.c")" ;;
    crds) echo "$cache/gateway-api-$gateway_api_version-$gateway_api_channel" ;;
    *) fail "unknown part '$1'" "one of: kubernetes etcd coredns kwok gobgp debian routers dissector pause crds" ;;
  esac
}

go_build() { # MODULE OUTPUT-FOLDER LDFLAGS
  need go "install Go 1.26 or newer"
  (cd "$here/$1" && CGO_ENABLED=0 go build -mod=readonly -trimpath -ldflags "-s -w $3" -o "$2/" tool) ||
    fail "building $1 failed" "read the compiler's message above; the module proxy must be reachable for a first build"
}

make_kubernetes() {
  local version v=k8s.io/component-base/version
  version=$(cd "$here/kubernetes" && go list -m -f '{{.Version}}' k8s.io/kubernetes)
  [ -n "$version" ] || fail "kubernetes/go.mod names no version of k8s.io/kubernetes" "restore it" # components panic without one
  local minor=${version#v1.}
  go_build kubernetes "$1" "-X $v.gitVersion=$version -X $v.gitMajor=1 -X $v.gitMinor=${minor%%.*} -X $v.gitTreeState=archive"
}
make_etcd() { go_build etcd "$1" ""; mv "$1/v3" "$1/etcd" 2>/dev/null || mv "$1/server" "$1/etcd"; }
make_coredns() { go_build coredns "$1" ""; }
make_kwok() { go_build kwok "$1" ""; }
make_gobgp() { go_build gobgp "$1" ""; }

unpack() { # FOLDER PACKAGES
  need apt-get "the lab takes its container runtime and routers from Debian or Ubuntu packages"
  need dpkg-deb "apt-get install dpkg"
  mkdir -p "$1/deb" "$1/root"
  # shellcheck disable=SC2086 # a list of words
  (cd "$1/deb" && apt-get download -q $2 >/dev/null 2>"$1/apt.log") ||
    fail "apt-get download failed: $(tail -n 1 "$1/apt.log")" "run 'apt-get update' once as root, then again"
  local deb
  for deb in "$1"/deb/*.deb; do dpkg-deb -x "$deb" "$1/root"; done
  rm -rf "$1/deb" "$1/apt.log"
}

make_routers() { unpack "$1" "$router_packages"; }
make_dissector() { unpack "$1" "$dissector_packages"; }

make_debian() {
  unpack "$1" "$debian_packages"
  # What the package's update-alternatives would link.
  local family command
  for family in iptables ip6tables; do
    for command in "" -save -restore; do ln -s xtables-nft-multi "$1/root/usr/sbin/$family$command"; done
  done
}

make_pause() {
  need gcc "apt-get install gcc libc6-dev"
  gcc -static -O2 -s -o "$1/pause" "$here/pause.c"
}

make_crds() {
  need go "install Go 1.26 or newer"
  local module=sigs.k8s.io/gateway-api@$gateway_api_version archive
  # It fails where the module wants a newer Go than this one, but the archive is there and checked all the same.
  archive=$(cd "$1" && go mod download -json "$module" | sed -n 's/^\t"Zip": "\(.*\)",$/\1/p') || true
  [ -f "$archive" ] || fail "$module cannot be fetched" "the module proxy must be reachable; GATEWAY_API_VERSION names a release"
  go run "$here/unzip/main.go" "$archive" "$module/config/crd/$gateway_api_channel" "$1" ||
    fail "Gateway API $gateway_api_version has no channel '$gateway_api_channel'" "GATEWAY_API_CHANNEL is standard or experimental"
  rm -f "$1/kustomization.yaml"
}

if [ "${1:-}" = --print ]; then
  for part in kubernetes etcd coredns kwok gobgp debian routers dissector pause crds; do echo "$part=$(folder $part)"; done
  exit
fi
[ $# -gt 0 ] || set -- kubernetes etcd coredns kwok gobgp debian routers dissector pause crds
for part in "$@"; do
  target=$(folder "$part")
  [ ! -d "$target" ] || continue
  mkdir -p "$cache"
  began=$SECONDS
  say "$part: building, this is done once ..."
  # Built aside and renamed whole, so a stopped build leaves no half-filled folder behind.
  work=$(mktemp -d "$cache/.$part.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  "make_$part" "$work"
  mv -T "$work" "$target" 2>/dev/null || rm -rf "$work" # another call was first
  say "$part: ready after $((SECONDS - began)) s"
done
