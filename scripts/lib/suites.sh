# shellcheck shell=bash disable=SC2154
# The suites of scripts/test: each runs to its end, whatever the others did, and counts what it ran.
# A suite's function calls count NAME PASSED FAILED; a suite that ran nothing counts one failure.

names=()
declare -A passed_in failed_in seconds_of
counted_at=$SECONDS # when the suite before ended
count() {
	local passed=$2 failed=$3
	seconds_of[$1]=$((SECONDS - counted_at))
	counted_at=$SECONDS
	if [ $((passed + failed)) -eq 0 ]; then
		echo "$1: no test was run, or the count was not understood"
		failed=1
	fi
	names+=("$1")
	passed_in[$1]=$passed
	failed_in[$1]=$failed
	echo "$1: $passed passed, $failed failed"
}

# Prints the totals; the exit status of the whole.
report() {
	local name passed=0 failed=0
	for name in "${names[@]}"; do
		printf '%-10s %5d passed %5d failed %5d s\n' "$name" "${passed_in[$name]}" "${failed_in[$name]}" "${seconds_of[$name]}"
		passed=$((passed + passed_in[$name]))
		failed=$((failed + failed_in[$name]))
	done
	if [ $((passed + failed)) -eq 0 ]; then failed=1; fi
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ]
}

# Lines of a file that match, as a number.
matches() { grep -cE "$1" "$2" 2>/dev/null || true; }

sanitize=${sanitize:-} # scripts/test --asan builds with it
built_release=1
built_devel=1
# Builds a kind: release (as users do, which must be free of warnings) or devel (witness and test points).
build() {
	local kind=$1 dir flags=()
	[ "$kind" = release ] || flags=(DEVEL=1 SANITIZE="$sanitize")
	dir=$(build_dir "$kind${sanitize:+-$sanitize}")
	(
		flock 9 || exit 1
		copy_tree "$root" "$dir" || exit 1
		make -C "$dir" -s -j"$(jobs)" PG_CONFIG="$PG_CONFIG" ${CXX:+CXX="$CXX"} "${flags[@]}" all || exit 1
		[ "$kind" = release ] || ! [ -d "$dir/test/bridge" ] ||
			make -C "$dir/test/bridge" -s -j"$(jobs)" PG_CONFIG="$PG_CONFIG" ${CXX:+CXX="$CXX"} all || exit 1
	) 9>"$dir.lock" >"$work/log/build-$kind" 2>&1
	eval "built_$kind=$?"
	cat "$work/log/build-$kind"
	eval "[ \$built_$kind -eq 0 ]" && ! grep -qi 'warning:' "$work/log/build-$kind" || {
		eval "built_$kind=1"
		echo "the $kind build failed or has warnings"
	}
}

# Installs the devel build under $work/dest, copies its tree to $work/run, and gives both to the server's user.
prepare() {
	local dir
	dir=$(build_dir "devel${sanitize:+-$sanitize}")
	if [ "$built_devel" -eq 0 ]; then
		{
			make -C "$dir" -s PG_CONFIG="$PG_CONFIG" ${CXX:+CXX="$CXX"} DEVEL=1 SANITIZE="$sanitize" DESTDIR="$work/dest" install &&
				{ ! [ -d "$dir/test/bridge" ] ||
					make -C "$dir/test/bridge" -s PG_CONFIG="$PG_CONFIG" ${CXX:+CXX="$CXX"} DESTDIR="$work/dest" install; }
		} >"$work/log/install" 2>&1 || {
			cat "$work/log/install"
			built_devel=1
		}
	fi
	mkdir -p "$work/run" && tar -C "$dir" -cf - . | tar -C "$work/run" -xf - --no-same-owner
	destdir_settings "$work/dest" >"$work/temp.conf"
	hand_over
}

# Starts the cluster that regress, isolation and bridge share; once.
cluster_up=0
need_cluster() {
	[ "$built_devel" -eq 0 ] || return 1
	[ "$cluster_up" -eq 0 ] || return 0
	{
		cat "$work/temp.conf"
		if [ -f "$root/src/module.cpp" ]; then echo "shared_preload_libraries = 'pg_stride'"; fi
	} | start_cluster "$work/pg" || return 1
	cluster_up=1
}

suite_ci() {
	local check dir passed=0 failed=0
	if [ "$built_release" -eq 0 ]; then passed=1; else failed=1; fi
	dir=$(build_dir release)
	for check in bridge_tokens core_is_pure arrows house_size guc_order tests_scheduled entry_points exported_symbols; do
		if [ $check = exported_symbols ]; then
			"$root/ci/$check" "$root" "$dir/pg_stride.so"
		else
			"$root/ci/$check" "$root"
		fi && passed=$((passed + 1)) || failed=$((failed + 1))
	done
	"$root/ci/selftest" >"$work/log/selftest" 2>&1
	local status=$?
	grep -v '^ok ' "$work/log/selftest"
	passed=$((passed + $(matches '^ok ' "$work/log/selftest")))
	local red
	red=$(matches '^not ok ' "$work/log/selftest")
	[ "$status" -eq 0 ] || [ "$red" -gt 0 ] || red=1
	count ci "$passed" $((failed + red))
}

suite_unit() {
	local log=$work/log/unit dir program out passed=0 failed=0 good bad
	dir=$(build_dir "devel${sanitize:+-$sanitize}")
	if ! make -C "$dir" -s -k -j"$(jobs)" PG_CONFIG="$PG_CONFIG" ${CXX:+CXX="$CXX"} DEVEL=1 unit-build >"$log" 2>&1; then
		tail -40 "$log"
		failed=1
	fi
	for source in "$dir"/test/unit/*.cpp; do
		[ -e "$source" ] || continue
		program=$dir/test/unit/build/$(basename "$source" .cpp)
		out=$work/log/unit-${program##*/}
		"$program" --report_level=short --report_format=XML --report_sink="$out.xml" --log_level=warning >"$out" 2>&1
		local status=$?
		good=$(grep -oE 'test_cases_passed(_with_warnings)?="[0-9]+"' "$out.xml" 2>/dev/null | grep -oE '[0-9]+' | awk '{ n += $1 } END { print n + 0 }')
		bad=$(grep -oE 'test_cases_(failed|aborted|timed_out)="[0-9]+"' "$out.xml" 2>/dev/null | grep -oE '[0-9]+' | awk '{ n += $1 } END { print n + 0 }')
		if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ] || [ $((good + bad)) -eq 0 ]; then bad=$((bad + 1)); fi
		echo "${program##*/}: $good passed, $bad failed"
		[ "$bad" -eq 0 ] || tail -30 "$out"
		passed=$((passed + good))
		failed=$((failed + bad))
	done
	count unit "$passed" "$failed"
}

# Runs one pg_regress or pg_isolation_regress by make, and counts its files: name, folder, and make's arguments.
pg_regress_suite() {
	local name=$1 dir=$2 log=$work/log/$1 status good bad
	shift 2
	if ! need_cluster; then
		echo "$name: no server to run against"
		count "$name" 0 1
		return
	fi
	unprivileged env PGHOST="$work/pg" PGUSER=postgres PGDATABASE=postgres make -C "$dir" PG_CONFIG="$PG_CONFIG" \
		${CXX:+CXX="$CXX"} DEVEL=1 SANITIZE="$sanitize" "$@" >"$log" 2>&1
	status=$?
	good=$(matches '^(test |     )[^ ].* \.\.\. ok( |$)|^ok [0-9]+ ' "$log")
	bad=$(matches '^(test |     )[^ ].* \.\.\. (FAILED|failed)|^not ok [0-9]+ ' "$log")
	[ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
	grep -E '^(test |     [^ ].* \.\.\. |not ok|ok )' "$log"
	if [ "$bad" -gt 0 ]; then
		tail -15 "$log"
		find "$dir" -name regression.diffs -exec tail -150 {} \;
		echo "--- server log"
		grep -E 'PANIC|FATAL|terminated by signal|TRAP' "$work/pg/log" | tail -20
	fi
	count "$name" "$good" "$bad"
}

suite_bridge() { pg_regress_suite bridge "$work/run/test/bridge" installcheck; }
suite_regress() { pg_regress_suite regress "$work/run" ISOLATION= TAP_TESTS= PROVE_TESTS= installcheck; }
suite_isolation() { pg_regress_suite isolation "$work/run" REGRESS= TAP_TESTS= PROVE_TESTS= installcheck; }

# One TAP file by itself, as PGXS's prove_installcheck runs it: the file counts one, and so does each assertion.  Leaves the two
# counts in its .count, and prints all that it has to say at once, for there may be another beside it.
tap_file() {
	local base=$1 log=$work/log/tap-$1 pgxs started=$SECONDS status good bad
	pgxs=$(cd "$(pgxs_dir)/.." && pwd)
	unprivileged env TESTDIR="$work/run" TESTDATADIR="$work/run/tmp_check" TESTLOGDIR="$work/run/tmp_check/log" PATH="$(pg_bin):$PATH" PGPORT=65432 PG_REGRESS="$pgxs/test/regress/pg_regress" \
		PERL5LIB="$pgxs/test/perl" TEMP_CONFIG="$work/temp.conf" PG_TEST_TIMEOUT_DEFAULT=120 \
		sh -c "cd '$work/run' && exec prove -v -I '$pgxs/test/perl' -I '$work/run/test/lib' 'test/t/$base.pl'" >"$log" 2>&1
	status=$?
	good=$(matches '^ok [0-9]+' "$log")
	bad=$(matches '^not ok [0-9]+' "$log")
	{
		if [ "$status" -eq 0 ] && [ "$good" -gt 0 ] && [ "$bad" -eq 0 ]; then
			good=$((good + 1))
		elif [ "$status" -eq 0 ] && [ $((good + bad)) -eq 0 ] && grep -q skipped "$log"; then
			echo "$base: $(grep -oE 'skipped.*' "$log" | head -1)"
		else
			bad=$((bad + 1))
			# What a test died of is in its regress_log; the servers' logs come after it.
			tail -40 "$log"
			tail -n 30 "$work"/run/tmp_check/log/regress_log_"$base" "$work"/run/tmp_check/log/"$base"*.log 2>/dev/null
		fi
		echo "$base: $good passed, $bad failed, $((SECONDS - started)) s"
	} >"$log.report"
	echo "$good $bad" >"$log.count"
	flock "$work/log" cat "$log.report"
}

# All TAP files whose names match $tap_pattern, as many at once as there are processors: they mostly wait.  Long files come first, so
# that no long one is left alone at the end.
suite_tap() {
	local base files=() passed=0 failed=0 good bad
	if [ "$built_devel" -ne 0 ]; then
		count tap 0 1
		return
	fi
	for base in $(cd "$work/run/test/t" && ls -S -- *.pl); do
		base=${base%.pl}
		# shellcheck disable=SC2053 # a pattern is what is wanted
		[[ $base == $tap_pattern ]] || continue
		background "$(processors 4)" tap_file "$base"
		files+=("$base")
	done
	wait
	for base in "${files[@]}"; do
		read -r good bad <"$work/log/tap-$base.count" || {
			echo "$base: it was cut short"
			good=0 bad=1
		}
		passed=$((passed + good))
		failed=$((failed + bad))
	done
	count tap "$passed" "$failed"
}

# The kill loop and the mutants: test/fault/run prints lines 'ok ...' and 'not ok ...', as TAP does.
suite_fault() {
	local log=$work/log/fault status good bad
	if [ ! -x "$root/test/fault/run" ]; then
		echo "fault: there is no test/fault/run"
		count fault 0 1
		return
	fi
	unprivileged env PATH="$(pg_bin):$PATH" STRIDE_WORK="$work" STRIDE_TEMP_CONFIG="$work/temp.conf" "$work/run/test/fault/run" 2>&1 |
		tee "$log"
	status=${PIPESTATUS[0]}
	good=$(matches '^ok ' "$log")
	bad=$(matches '^not ok ' "$log")
	[ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
	count fault "$good" "$bad"
}

# The benchmark over tables so small that its figures say nothing: a task counts one, when it has found what it was to leave.
suite_bench() {
	local log=$work/log/bench good tasks
	tasks=$(find "$root/bench/tasks" -name '*.py' | wc -l)
	"$root/bench/run" --rows 2000 --rounds 1 >"$log" 2>"$log.progress" || tail -30 "$log.progress"
	good=$(matches '^### ' "$log")
	count bench "$good" $((tasks - good))
}
