#!/bin/sh
# Makes a container image of Debian packages: the tar of a root file system that holds them and all they depend on.
#
#   build-debian.sh [--add FOLDER] OUT PACKAGE...       OUT ends in .tar, or in .tar.gz: slower to make, faster to send
#
# Packages come from the archives that this machine's apt knows, signatures checked by it, and are unpacked, not installed: no
# script of theirs runs, nothing of this machine changes, root is not needed. The same packages give the same bytes.
set -eu

fail() { echo "build-debian.sh: $1" >&2; exit 1; }

add=
if [ "${1-}" = --add ]; then add=${2:?}; shift 2; fi
[ $# -ge 2 ] || fail 'usage: build-debian.sh [--add FOLDER] OUT PACKAGE...'
out=$1; shift
for tool in apt-get dpkg-deb tar sha256sum; do
  command -v $tool >/dev/null || fail "needs $tool: run it on Debian, Ubuntu or one of their kin"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/root"
: > "$work/status"

# an apt of our own that believes that nothing is installed: the answer is the same on each machine
our_apt() {
  apt-get -q=2 -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" -o Debug::NoLocking=1 -o APT::Sandbox::User= \
    -o APT::Install-Recommends=false -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= "$@"
}
fetch() { our_apt "$@" -y --download-only install $packages >"$work/apt.log" 2>&1; }
packages=$*
# this machine's lists may be missing, or so old that their packages are gone
if ! fetch; then
  own_lists="-o Dir::State::lists=$work/lists"
  our_apt $own_lists update >"$work/apt.log" 2>&1 && fetch $own_lists || { tail -5 "$work/apt.log" >&2; fail "apt cannot fetch $packages"; }
fi

cd "$work/root"
# Debian's merged /usr: older packages still ship files in /bin and /lib
mkdir -p usr/bin usr/sbin usr/lib usr/lib64 etc tmp run dev proc sys var/tmp root
for dir in bin sbin lib lib64; do ln -s usr/$dir $dir; done
chmod 1777 tmp var/tmp
for deb in "$work"/cache/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink --no-same-owner
  dpkg-deb --show --showformat='${Package} ${Version} ${Architecture}\n' "$deb"
done | LC_ALL=C sort > etc/image-packages
# manuals, translations and icons are for people; the copyright files stay, for whoever gets the image
rm -rf usr/share/man usr/share/info usr/share/locale usr/share/icons usr/share/lintian usr/share/bug
find usr/share/doc ! -type d ! -name copyright -delete
# what a package's script would have chosen: where there are several of one library, Debian keeps each in a folder of its own
for lib in usr/lib/*/blas/lib*.so.* usr/lib/*/lapack/lib*.so.*; do
  if [ -e "$lib" ]; then ln -sf "$(basename "$(dirname "$lib")")/$(basename "$lib")" "$(dirname "$lib")/.."; fi
done
[ -e etc/passwd ] || echo 'root:x:0:0:root:/root:/bin/sh' > etc/passwd
[ -e etc/group ] || echo 'root:x:0:' > etc/group
cd - >/dev/null
if [ -n "$add" ]; then cp -R "$add/." "$work/root/"; fi

# nothing of a root file system needs to be root's alone here, and set-user-id programs gain nothing in a container
chmod -R u+rwX,go+rX,u-s,g-s,go-w "$work/root"
chmod 1777 "$work/root/tmp" "$work/root/var/tmp"
tar -C "$work/root" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=gnu -cf "$work/image.tar" .
case $out in
  *.gz) gzip -n -3 < "$work/image.tar" > "$out.part" ;;
  *) mv "$work/image.tar" "$out.part" ;;
esac
mv "$out.part" "$out"
echo "$out: $(wc -l < "$work/root/etc/image-packages") packages, $(($(wc -c < "$out") / 1048576)) MiB, sha256 $(sha256sum < "$out" | cut -c1-64)"
