# shellcheck shell=bash disable=SC2034,SC2154
# scripts/test --asan: the module built with AddressSanitizer, in a server that is not.  What the module takes from malloc
# and new is watched, and so are its own stack frames; what PostgreSQL gives it by palloc is not.
# Sourced after suites.sh.

# Has start_cluster() start servers with the runtime loaded first, as the module's build needs it.  The runtime alone hangs
# PostgreSQL's programs at start, for another library's constructor allocates before it is ready: a library of one
# allocation that is initialised first of all wakes it.
load_asan() {
	local runtime
	runtime=$("${CXX:-g++}" -print-file-name=libasan.so)
	[ -e "$runtime" ] || die "${CXX:-g++} has no libasan.so: use g++"
	mkdir -p "$work/asan" && chmod 1777 "$work/asan"
	printf '#include <stdlib.h>\n__attribute__((constructor)) static void early(void) { free(malloc(1)); }\n' |
		gcc -x c -O0 -fno-builtin -shared -fPIC -Wl,-z,initfirst -o "$work/asan/first.so" - || die "the start of the runtime does not build"
	server_env=("LD_PRELOAD=$(readlink -f "$runtime") $work/asan/first.so"
		"ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:detect_stack_use_after_return=0:quarantine_size_mb=4:log_path=$work/asan/report")
}

# 10,000 chunks, and then what the runtime has found in this run, in all suites.
suite_asan() {
	local log=$work/log/asan good bad report
	if ! need_cluster; then
		count asan 0 1
		return
	fi
	unprivileged env PGHOST="$work/pg" PGUSER=postgres "$(pg_bin)/psql" -XAtq -v ON_ERROR_STOP=1 -d postgres -f "$work/run/test/soak/chunks.sql" 2>&1 |
		sed -E 's/^psql:[^ ]* INFO:  //' >"$log"
	[ "${PIPESTATUS[0]}" -eq 0 ] || echo "not ok - the soak test ran to its end" >>"$log"
	for report in "$work"/asan/report.*; do
		[ -e "$report" ] || { echo "ok - AddressSanitizer has found nothing" >>"$log" && continue; }
		echo "not ok - AddressSanitizer has found nothing" >>"$log"
		head -40 "$report"
	done
	cat "$log"
	good=$(matches '^ok ' "$log")
	bad=$(matches '^not ok ' "$log")
	count asan "$good" "$bad"
}
