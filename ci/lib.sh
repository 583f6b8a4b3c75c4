# shellcheck shell=bash
# Shared by the checks: the root of the tree (the first argument, else the repository) and how a check reports.
# A check prints one line a finding and exits 1, or prints one line and exits 0; a tree without sources is an error.
set -u
root=$(cd "${1:-$(dirname "$0")/..}" && pwd) || exit 2
cd "$root" || exit 2
check=$(basename "$0")
findings=0
fail() {
	echo "$check: $*"
	findings=$((findings + 1))
}
finish() {
	[ "$findings" -eq 0 ] || exit 1
	echo "$check: ok"
	exit 0
}
# Prints a C++ file without comments, line numbers kept.
code() {
	awk '
	{
		line = $0; out = ""
		while (length(line) > 0) {
			if (inside) {
				at = index(line, "*/")
				if (at == 0) { line = ""; break }
				line = substr(line, at + 2); inside = 0
			} else {
				block = index(line, "/*"); slash = index(line, "//")
				if (slash > 0 && (block == 0 || slash < block)) { out = out substr(line, 1, slash - 1); line = ""; break }
				if (block == 0) { out = out line; line = ""; break }
				out = out substr(line, 1, block - 1) " "; line = substr(line, block + 2); inside = 1
			}
		}
		print out
	}' "$1"
}
sources() {
	find src "$@" -type f \( -name '*.cpp' -o -name '*.hpp' \) | sort
}
[ -d src ] || fail "no src/ in $root"
