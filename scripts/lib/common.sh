# shellcheck shell=bash disable=SC2154
# What the scripts share: messages, packages, pg_config, the unprivileged user, copies, installation and clusters.
# Sourced by bash with `set -u`; needs $root, the top of the tree.  Nothing here leaves files outside $work.

say() { printf '== %s\n' "$*"; }
die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# Runs a command as root, by sudo where we are not; it asks for a password only where somebody can type one.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif [ -t 0 ]; then
		sudo "$@"
	else
		sudo -n "$@"
	fi
}

# The pg_config to build with: PG_CONFIG, else the newest installed one from 15 on with server headers, else nothing.
find_pg_config() {
	local found candidate
	if [ -n "${PG_CONFIG:-}" ]; then
		command -v "$PG_CONFIG" && return
		die "PG_CONFIG=$PG_CONFIG is not there"
	fi
	for candidate in $(ls -d /usr/lib/postgresql/*/bin/pg_config 2>/dev/null | sort -t/ -k5,5nr) "$(command -v pg_config)"; do
		[ -n "$candidate" ] && [ -f "$("$candidate" --includedir-server)/postgres.h" ] || continue
		found=$("$candidate" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')
		[ "$found" -ge 15 ] && echo "$candidate" && return
	done
	return 0
}

# Installs what is missing, by apt-get: what building and running a server needs, and with $1 = test or bench what the suites
# or the benchmark need besides.  The server is named as well as its headers, so that both are of one release.
install_packages() {
	local for=${1:-test} version server=1 missing=()
	PG_CONFIG=$(find_pg_config) || exit 1
	if [ -n "$PG_CONFIG" ]; then
		version=$("$PG_CONFIG" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')
		[ -x "$(pg_bin)/postgres" ] && [ -x "$(pg_bin)/psql" ] || server=0
	else
		version=${PG_MAJOR:-}
		server=0
	fi
	command -v make >/dev/null || missing+=(make)
	command -v "${CXX:-g++}" >/dev/null || missing+=(g++)
	command -v setpriv >/dev/null || missing+=(util-linux)
	local boost_ok=1
	if [ "$for" = test ]; then
		[ -f /usr/include/boost/test/included/unit_test.hpp ] && [ -d /usr/include/boost/describe ] || boost_ok=0
		command -v nm >/dev/null || missing+=(binutils)
		perl -MIPC::Run -e 1 2>/dev/null || missing+=(libipc-run-perl)
		[ "$server" -eq 0 ] || [ -x "$(pgxs_dir)/../test/regress/pg_regress" ] || server=0
		[ "$server" -eq 1 ] && [ -f "$("$PG_CONFIG" --sharedir)/extension/pg_cron.control" ] || missing+=(cron)
	fi
	if [ "$for" = bench ]; then
		/usr/bin/python3 -c 'import psycopg2, psycopg' 2>/dev/null || missing+=(python3 python3-psycopg2 python3-psycopg)
	fi
	if [ "$server" -eq 0 ] || [ "$boost_ok" -eq 0 ] || [ ${#missing[@]} -gt 0 ]; then
		command -v apt-get >/dev/null || die "missing packages (${missing[*]:-PostgreSQL}), and there is no apt-get: install them"
		say "installing packages"
		as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq ||
			die "apt-get update failed: it needs root, or sudo; or install by hand the packages that README.md names"
		if [ -z "$version" ]; then
			version=$(apt-cache pkgnames postgresql-server-dev- | grep -oE '[0-9]+$' | sort -nr | head -1)
		fi
		if [ "$boost_ok" -eq 0 ]; then
			if apt-cache show libboost1.81-dev >/dev/null 2>&1; then missing+=(libboost1.81-dev); else missing+=(libboost-dev); fi
		fi
		missing=("${missing[@]/#cron/postgresql-$version-cron}")
		as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "postgresql-$version" \
			"postgresql-client-$version" "postgresql-server-dev-$version" "${missing[@]}" >/dev/null ||
			die "apt-get install failed: it needs root, or sudo; or install by hand the packages that README.md names"
		PG_CONFIG=$(find_pg_config)
		[ -n "$PG_CONFIG" ] || die "no pg_config of PostgreSQL 15 or later after the installation"
	fi
	export PG_CONFIG
}

# .../lib/pgxs/src/makefiles of the pg_config in use.
pgxs_dir() { [ -n "${PG_CONFIG:-}" ] && dirname "$("$PG_CONFIG" --pgxs)"; }
pg_major() { "$PG_CONFIG" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/'; }
pg_bin() { "$PG_CONFIG" --bindir; }

# The number of processors, but at most $1.
processors() {
	local n
	n=$(nproc 2>/dev/null || echo 1)
	if [ "$n" -gt "$1" ]; then echo "$1"; else echo "$n"; fi
}

# As many compilers at once; each takes some hundred MB.
jobs() { processors 2; }

# Copies the sources in $1 to the folder $2, times kept; what an earlier build left in $2 stays, other files go.
copy_tree() {
	mkdir -p "$2" || return 1
	find "$2" -type f ! -name '*.o' ! -name '*.d' ! -name '*.so' ! -name .stride-flags ! -path '*/test/unit/build/*' -delete
	tar -C "$1" --exclude=./.git --exclude=./build --exclude='*.o' --exclude='*.d' --exclude='*.so' --exclude=.stride-flags \
		--exclude=./test/unit/build --exclude=results --exclude=tmp_check --exclude=output_iso --exclude='sql/pg_stride--[0-9]*.sql' \
		-cf - . | tar -C "$2" -xf - --no-same-owner
	for delta in "$1"/sql/pg_stride--*--*.sql; do
		[ -e "$delta" ] && cp -p "$delta" "$2/sql/"
	done
	return 0
}

# The folder for the build of a kind: build/KIND in the tree where that can be written, else below $work.
build_dir() {
	if mkdir -p "$root/build/$1" 2>/dev/null && [ -w "$root/build/$1" ]; then echo "$root/build/$1"; else echo "$work/build-$1"; fi
}

# Runs a command as the user who may run a server, with a clean environment: as postgres under root, else as we are.
unprivileged() {
	local keep=(PATH="$PATH" HOME="$work" LANG=C LC_ALL=C PG_CONFIG="$PG_CONFIG" TMPDIR="$work/tmp" CXX="${CXX:-g++}")
	if [ "$(id -u)" -eq 0 ]; then
		setpriv --reuid=postgres --regid=postgres --init-groups env -i "${keep[@]}" "$@"
	else
		env -i "${keep[@]}" USER="$(id -un)" "$@"
	fi
}

# Starts a function beside us, as soon as fewer than $1 run.  Each is in a process group of its own, so that end_background can
# end all that it has started; but a server is in none of them: see stop_servers.
background() {
	local most=$1 running
	shift
	while mapfile -t running < <(builtin jobs -pr) && [ ${#running[@]} -ge "$most" ]; do wait -n; done
	set -m
	"$@" </dev/null &
	set +m
}
end_background() {
	local group
	for group in $(builtin jobs -pr); do
		kill -- "-$group"
	done
	wait
}

# Gives everything in $work to the user of unprivileged().
hand_over() {
	[ "$(id -u)" -ne 0 ] || chown -R postgres:postgres "$work"
}

# The settings by which a server finds an installation under $1 (DESTDIR), for its configuration file.
destdir_settings() {
	local lib share
	lib=$("$PG_CONFIG" --pkglibdir)
	share=$("$PG_CONFIG" --sharedir)
	if [ "$(pg_major)" -ge 18 ]; then
		echo "extension_control_path = '$1$share:\$system'"
	else
		echo "extension_destdir = '$1'"
	fi
	echo "dynamic_library_path = '$1$lib:\$libdir'"
}

# What servers get into their environment besides.
server_env=()

# Makes and starts a cluster in $1 with the settings on standard input; its socket is in $1, its log $1/log.
start_cluster() {
	local settings
	settings=$(cat)
	unprivileged "$(pg_bin)/initdb" -D "$1/data" -A trust -N -U postgres --locale=C -E UTF8 >"$1.initdb" 2>&1 || {
		cat "$1.initdb"
		return 1
	}
	unprivileged tee -a "$1/data/postgresql.conf" >/dev/null <<-CONF
		listen_addresses = ''
		unix_socket_directories = '$1'
		fsync = off
		max_worker_processes = 32
		$settings
	CONF
	unprivileged env "${server_env[@]}" "$(pg_bin)/pg_ctl" -D "$1/data" -l "$1/log" -w -t 60 start >/dev/null || {
		tail -20 "$1/log"
		return 1
	}
}

# Stops the cluster in $1, if it runs.
stop_cluster() {
	[ -f "$1/data/postmaster.pid" ] || return 0
	unprivileged "$(pg_bin)/pg_ctl" -D "$1/data" -m fast -w -t 60 stop >/dev/null 2>&1 ||
		unprivileged "$(pg_bin)/pg_ctl" -D "$1/data" -m immediate -w -t 60 stop >/dev/null 2>&1
}

# Stops all servers whose data is below $work without ado, also those of tests that were cut short.
stop_servers() {
	local pid_file
	find "$work" -name postmaster.pid 2>/dev/null | while read -r pid_file; do
		unprivileged "$(pg_bin)/pg_ctl" -D "${pid_file%/*}" -m immediate -w -t 60 stop </dev/null >/dev/null 2>&1
	done
}
