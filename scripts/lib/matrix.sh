# shellcheck shell=bash disable=SC2154
# The other versions of PostgreSQL that the code has branches for, each in a root file system of its own that Debian's
# packages are unpacked into: no maintainer script is run, nothing is installed on this machine but mmdebstrap.
# Sourced after common.sh; needs root.  Suites that talk to a server run in a chroot with its own mounts.

# Version and the Debian suite that has it.
matrix_versions=("17 trixie" "18 forky")

# Makes the root file system of PostgreSQL $1 from suite $2 in folder $3.
matrix_root() {
	local version=$1 suite=$2 folder=$3 mirror packages
	mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p' /etc/apt/sources.list.d/*.sources \
		/etc/apt/sources.list 2>/dev/null | head -1)
	[ -n "$mirror" ] || die "apt's sources name no mirror"
	packages=base-files,bash,binutils,coreutils,dash,diffutils,findutils,g++,gawk,grep,gzip,hostname,libc-bin
	packages+=,libboost-dev,libipc-run-perl,make,perl,procps,sed,tar,tzdata,util-linux
	packages+=,postgresql-$version,postgresql-client-$version,postgresql-$version-cron
	# The server's headers come without what their package depends on, which is a whole LLVM.  A suite that is not released
	# may be a copy whose index is out of date.
	# shellcheck disable=SC2016 # $1 and the like are the hook's
	mmdebstrap --quiet --variant=extract --aptopt='Acquire::Check-Valid-Until "false"' \
		--aptopt='APT::Sandbox::User "root"' --dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' --include="$packages" \
		--extract-hook='cd "$1" && APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get download -qq postgresql-server-dev-'"$version"' &&
			dpkg -x postgresql-server-dev-*.deb . && rm postgresql-server-dev-*.deb' \
		"$suite" "$folder" "$mirror" || return 1
	# What maintainer scripts would have made.
	printf '%s\n' root:x:0:0:root:/root:/bin/bash postgres:x:990:990:postgres:/tmp:/bin/bash >"$folder/etc/passwd"
	printf '%s\n' root:x:0: postgres:x:990: >"$folder/etc/group"
	echo 'hosts: files' >"$folder/etc/nsswitch.conf"
	echo '127.0.0.1 localhost' >"$folder/etc/hosts"
	ln -sf gawk "$folder/usr/bin/awk"
	ln -sf g++ "$folder/usr/bin/c++"
	mkdir -p "$folder/proc" "$folder/dev/shm" "$folder/stride"
	chmod 1777 "$folder/tmp"
}

# Runs a command in the root file system $1, with /proc, /dev and shared memory of its own.
in_root() {
	local folder=$1
	shift
	# shellcheck disable=SC2016 # $0 and $@ are the inner shell's
	unshare --mount sh -c 'mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" &&
		mount -t tmpfs -o mode=1777 shm "$0/dev/shm" && exec chroot "$0" "$@"' "$folder" \
		/usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C LC_ALL=C "$@"
}

# One version: everything but the checks of ci/, which do not depend on it.
matrix_version() {
	local version=$1 suite=$2 folder=$work/matrix-$1 log=$work/log/matrix-$1 last
	say "PostgreSQL $version of $suite"
	if ! matrix_root "$version" "$suite" "$folder" >"$log" 2>&1; then
		tail -20 "$log"
		count "$version" 0 1
		return
	fi
	copy_tree "$root" "$folder/stride"
	in_root "$folder" /stride/scripts/test --only unit --only bridge --only regress --only isolation --only tap >"$log" 2>&1
	grep -E '^(==|[a-z]+: |not ok)' "$log"
	last=$(tail -1 "$log")
	[[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]] || last="0 passed, 1 failed"
	[[ $last != *" 0 failed" ]] && tail -150 "$log"
	count "$version" "${last%% *}" "$(awk '{ print $3 }' <<<"$last")"
	rm -rf "$folder"
}

suite_matrix() {
	if [ "$(id -u)" -ne 0 ]; then
		echo "matrix: only root can make the other versions' root file systems"
		count matrix 0 1
		return
	fi
	command -v mmdebstrap >/dev/null || as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
		--no-install-recommends mmdebstrap >/dev/null || die "mmdebstrap could not be installed"
	local entry
	for entry in "${matrix_versions[@]}"; do
		# shellcheck disable=SC2086 # two words
		matrix_version $entry
	done
}
