// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/symbol/names"
)

func TestDemangle(t *testing.T) {
	t.Parallel()
	for system, want := range map[string]string{
		"_ZNSt6vectorIiSaIiEE9push_backERKi":                                       "std::vector<int, std::allocator<int> >::push_back",
		"_ZN4core3ptr13drop_in_place17h1234567890abcdefE":                          "core::ptr::drop_in_place",
		"_RNvNtCsb7mbsFMgYQE_4core3fmt5write":                                      "core::fmt::write",
		"_RNvMsr_NtCs3ssYzQotkvD_3std4pathNtB5_7PathBuf3newCs15kBYyAo9fc_7mycrate": "<std::path::PathBuf>::new",
		"_ZL6hiddenv":         "hidden",
		"_Z3fooi.part.0":      "foo",
		"main":                "main",
		"_start":              "_start",
		"_Z!":                 "_Z!",
		"_R":                  "_R",
		"main.(*T).method":    "main.(*T).method",
		"":                    "",
		"__libc_start_main":   "__libc_start_main",
		"memcpy@@GLIBC_2.14":  "memcpy",
		"old@GLIBC_2.2.5":     "old",
		"runtime.goexit.abi0": "runtime.goexit",
		"puts@plt":            "puts@plt",
		"@":                   "@",
	} {
		if got := names.Demangle(system); got != want {
			t.Errorf("%s: %q, want %q", system, got, want)
		}
	}
}

// hostile is a name of n types, each of which consists of two of the one before.
func hostile(n int) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	var b strings.Builder
	b.WriteString("_Z1fI1AIiiE")
	for i := range n {
		fmt.Fprintf(&b, "S0_IS%c_S%c_E", digits[i+1], digits[i+1])
	}
	return b.String() + "Evv"
}

func TestHostileNames(t *testing.T) {
	t.Parallel()
	if got, want := names.Demangle(hostile(1)), "f<A<int, int>, A<A<int, int>, A<int, int> > >"; got != want {
		t.Fatalf("%q, want %q: the fixture is wrong", got, want)
	}
	for name, system := range map[string]string{
		"types that double":     hostile(22),
		"types without end":     "_Z1f" + strings.Repeat("P", 100_000) + "i",
		"names within names":    "_Z" + strings.Repeat("N1A", 1000),
		"templates within":      "_Z1f" + strings.Repeat("I1A", 1300),
		"Rust without end":      "_R" + strings.Repeat("I", 4000),
		"Rust that goes back":   "_RMC0" + strings.Repeat("TB_", 1000),
		"expressions":           "_Z1fIX" + strings.Repeat("pl", 2000) + "EEvv",
		"operators of types":    "_Zcv" + strings.Repeat("cv", 2000),
		"lambdas within":        "_Z" + strings.Repeat("ZN", 2000),
		"pointers to members":   "_Z1f" + strings.Repeat("M", 4000),
		"functions of pointers": "_Z1f" + strings.Repeat("PF", 2000),
	} {
		start := time.Now()
		got := names.Demangle(system)
		if d := time.Since(start); d > 100*time.Millisecond { // the bound is 1 ms, on a machine that does nothing else
			t.Errorf("%s took %s", name, d)
		}
		if len(got) > max(len(system), 8<<10) {
			t.Errorf("%s has %d bytes", name, len(got))
		}
	}
}

func FuzzDemangle(f *testing.F) {
	for _, s := range []string{"_ZNSt6vectorIiSaIiEE9push_backERKi", "_RNvNtCsb7mbsFMgYQE_4core3fmt5write", hostile(22), hostile(3)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, system string) {
		start := time.Now()
		names.Demangle(system)
		if d := time.Since(start); d > time.Second {
			t.Errorf("%q took %s", system, d)
		}
	})
}

func BenchmarkHostileName(b *testing.B) {
	system := hostile(22)
	b.ReportAllocs()
	for b.Loop() {
		names.Demangle(system)
	}
}
