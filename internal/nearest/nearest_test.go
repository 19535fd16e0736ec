// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package nearest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

func TestName(t *testing.T) {
	t.Parallel()
	fields := []string{"pid", "proc.pid", "proc.parent.pid", "containerName", "columns.hidden", "columns.hex", "max-entries", "größe"}
	tests := []struct {
		got, want string // want "" for no suggestion
	}{
		{"pdi", "pid"},                         // swapped
		{"pd", "pid"},                          // left out
		{"piid", "pid"},                        // typed twice
		{"PID", "pid"},                         // another case
		{"max_entries", "max-entries"},         // _ for -
		{"maxEntries", "max-entries"},          // the habit of another language
		{"containername", "containerName"},     // case inside
		{"contianerNmae", "containerName"},     // two swaps
		{"hidden", "columns.hidden"},           // without its name space
		{"parent.pid", "proc.parent.pid"},      // without the first part only
		{"task.pid", "pid"},                    // with a part too many
		{"columns.hex", "columns.hidden"},      // see below: never itself
		{"Größe", "größe"},                     // letters of more than one byte
		{"columns.foo", ""},                    // three letters differ: that is another word
		{"x", ""},                              // one letter is like any other
		{"", ""},                               // nothing is like nothing
		{"comm", ""},                           // simply unknown
		{strings.Repeat("a", 1<<20), ""},       // costs nothing
		{"\xff\xfe", ""},                       // not UTF-8
		{"proc.pids", "proc.pid"},              // plural
		{"procpid", "proc.pid"},                // dot left out
		{"proc.paretn.pid", "proc.parent.pid"}, // swapped in the middle
	}
	for _, test := range tests {
		names := fields
		if test.got == "columns.hex" {
			names = []string{"columns.hex"}
			test.want = ""
		}
		got, ok := nearest.Name(test.got, names)
		if got != test.want || ok != (test.want != "") {
			t.Errorf("Name(%.20q) = %q, %v, want %q", test.got, got, ok, test.want)
		}
	}
}

func TestNameOfSeveral(t *testing.T) {
	t.Parallel()
	if got, _ := nearest.Name("yid", []string{"tid", "pid", "uid"}); got != "tid" {
		t.Errorf("of equal names the first should win, got %q", got)
	}
	if got, _ := nearest.Name("uidd", []string{"pid", "uid"}); got != "uid" {
		t.Errorf("the nearest should win, got %q", got)
	}
	if got, _ := nearest.Name("pid", []string{"proc.parent.pid", "proc.pid"}); got != "proc.pid" {
		t.Errorf("the shortest of those that end in it should win, got %q", got)
	}
	long := strings.Repeat("b", 100)
	if got, ok := nearest.Name("bbb", []string{long, ""}); ok {
		t.Errorf("got %q for a name that is far too long", got)
	}
}

func TestHintEmpty(t *testing.T) {
	t.Parallel()
	if got := nearest.Hint("zzzzzz", []string{"pid"}); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
}

func ExampleHint() {
	name, names := "desciption", []string{"name", "description"}
	fmt.Printf("unknown key %q%s\n", name, nearest.Hint(name, names))
	// Output: unknown key "desciption"; did you mean "description"?
}

func FuzzName(f *testing.F) {
	f.Add("pdi", "pid", "proc.pid")
	f.Fuzz(func(t *testing.T, got, a, b string) {
		name, ok := nearest.Name(got, []string{a, b})
		if ok && (name == got || name != a && name != b) {
			t.Errorf("Name(%q, %q, %q) = %q", got, a, b, name)
		}
	})
}
