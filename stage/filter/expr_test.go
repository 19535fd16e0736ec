// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/stage/filter"
)

func TestExpr(t *testing.T) {
	t.Parallel()
	tests := []struct{ expr, want string }{
		{`proc.pid == 12`, "cat"},
		{`12 == proc.pid`, "cat"},
		{`proc.pid != 12`, "bash full"},
		{`12 < proc.pid`, "bash"},
		{`12 >= proc.pid`, "cat full"},
		{`proc.pid > 3 * 4 - 1`, "cat bash"},
		{`proc.pid == 12.0`, "cat"},
		{`proc.pid < 12.5`, "cat full"},
		{`proc?.pid == 12`, "cat"},
		{`proc["pid"] == 12`, "cat"},
		{`$env.proc.pid == 12`, "cat"},
		{`$env["in"] == 1`, "cat"},
		{`count == 7`, "cat"}, // as a builtin function is called
		{`count([1, 2], # == $env["in"]) == 1`, "cat"},
		{`proc.pid == 12 && fname startsWith "/etc" && error == "ENOENT"`, "cat"},
		{"proc.pid == 12 // a comment\n or error == 'EACCES'", "cat full"},
		{`proc.pid == 12 or error == "EACCES"`, "cat full"},
		{`not (proc.pid == 12)`, "bash full"},
		// Exact for all 64 bits.
		{`size > 9223372036854775807`, "cat"},
		{`size >= 0x7fffffffffffffff`, "cat bash"},
		{`offset == -9223372036854775807 - 1`, "bash"},
		{`offset < 0`, "cat bash"},
		{`delta == -300`, "cat"},
		{`level in [-4, 3]`, "cat bash"},
		{`wide == -2`, "cat"},
		{`wide + 1 == -1`, "cat"},
		{`timestamp_raw == 1700000000000000005`, "cat"},
		{`timestamp_raw + 1 == 1700000000000000006`, "cat"},
		{`timestamp > "2023-11-14T22:13:20.5"`, "bash"},
		{`offset == offset && delta - 1 == -301`, "cat"},
		// Other kinds.
		{`truncated`, "cat"},
		{`!truncated`, "bash full"},
		{`truncated == true`, "cat"},
		{`truncated != (1 < 2)`, "bash full"},
		{`ratio == 0.1`, "cat"},
		{`ratio < 0`, "bash"},
		{`ratio * 2 == -5`, "bash"},
		{`mean > 1`, "cat bash"},
		{`mean != mean`, "full"},
		{`hash == "DEADBEEF"`, "cat"},
		{`hash startsWith "dead"`, "cat"},
		{`hash + "" == "deadbeef"`, "cat"},
		{`payload == "01ff"`, "cat"},
		{`len(payload) == 6`, "full"},
		// Text.
		{`proc.comm in ["cat", "bash"]`, "cat bash"},
		{`proc.comm not in ["cat", "bash"]`, "full"},
		{`"cat" == proc.comm`, "cat"},
		{`proc.comm contains "a"`, "cat bash"},
		{`proc.comm endsWith "sh"`, "bash"},
		{`proc.comm startsWith "a name that is longer"`, ""},
		{`"bash -c" startsWith proc.comm`, "bash"},
		{`proc.comm matches "^(cat|bash)$"`, "cat bash"},
		{`not (proc.comm matches "^ba")`, "cat full"},
		{`proc.comm < "cat"`, "bash"},
		{`len(proc.comm) == 3`, "cat"},
		{`upper(proc.comm) == "CAT"`, "cat"},
		{`proc.comm | upper() == "CAT"`, "cat"},
		{`proc.comm[0:2] == "ba"`, "bash"},
		{`error == ""`, "bash"},
		{`flags contains "O_CREAT"`, "cat"},
		{`any(["pass", "shadow"], fname contains #)`, "cat"},
		{`let name = proc.comm; name == "cat" || name == "bash"`, "cat bash"},
		{`error == "ENOENT" ? proc.pid == 12 : truncated`, "cat"},
		{`(error == "ENOENT" ? proc.pid : 0) == 12`, "cat"},
		// Numbers against each other, and long lists.
		{`proc.pid > proc.creds.uid`, "cat bash"},
		{`proc.pid in 10..20`, "cat"},
		{`proc.pid in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]`, "cat"},
		{`proc.pid % 5 == 2`, "cat"},
		{`proc.pid in []`, ""},
		// Networks.
		{`cidr(dst.addr, "10.0.0.0/8")`, "cat"},
		{`cidr(dst, "10.0.0.0/8")`, "cat"},
		{`cidr(dst, "fd00::/8")`, "bash"},
		{`!cidr(dst.addr, "10.0.0.0/8")`, "bash full"},
		{`cidr(dst.addr, "::ffff:10.0.0.0/104")`, "cat"},
		{`cidr(dst.addr + "", "10.0.0.0/" + "8")`, "cat"},
		{`cidr("10.1.1.1", "10.0.0.0/8") && cidr(fname, "::/0") == false`, "cat bash full"},
		{`cidr("fe80::1%eth0", "fe80::/10") && cidr("[fe80::1%eth0]:80", "fe80::/10")`, "cat bash full"},
		{`any(["10.0.0.0/8", "fd00::/16"], cidr(dst.addr, #))`, "cat bash"},
		// What a stage added.
		{`runtime.containerName == "web-1"`, "cat"},
		{`runtime.containerPid == 401`, "cat"},
		{`runtime.containerPid + 0 == 402`, "bash"},
		{`k8s.hostnetwork`, "cat"},
		{`k8s.hostnetwork == false`, "bash"},
		{`load > 0`, "cat"},
		{`load + 0 < 0`, "bash"},
	}
	for _, test := range tests {
		st, err := filter.NewExpr(map[string]string{"": test.expr})
		if got := kept(t, st, err); got != test.want {
			t.Errorf("%s: kept %q, want %q", test.expr, got, test.want)
		}
	}
}

// TestExprCannotBeEvaluated: an event for which an expression has no value ends the run.
func TestExprCannotBeEvaluated(t *testing.T) {
	t.Parallel()
	tests := []struct{ expr, want string }{
		{`size + 1 == 0`, `column 1: field "size" is larger than`},
		{`proc.pid % (proc.pid - 12) == 0`, "column 10: runtime error: integer divide by zero"},
		{`[1, 2][proc.pid] == 1`, "column 7: index out of range: 12"},
		{`cidr(dst.addr, fname)`, `"/etc/passwd" is not a network`},
		{`all(1..1000, all(1..1000, # > 0))`, "memory budget exceeded"},
	}
	for _, test := range tests {
		st, err := filter.NewExpr(map[string]string{"": test.expr})
		if err != nil {
			t.Fatal(err)
		}
		s := sample(t)
		f, err := st.Bind(s, event.FieldSet{})
		if err != nil {
			t.Errorf("%s: %v", test.expr, err)
			continue
		}
		if err := f(sampleBatch(s)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want one with %q", test.expr, err, test.want)
		}
	}
}

// A recording can have values of many MiB. Expressions compare them with constants, and make no copies of them.
func TestExprOfALongText(t *testing.T) {
	t.Parallel()
	s := &event.Schema{Name: "long", Single: true, Size: 1<<20 + 1}
	s.Fields = []event.Field{{Name: "text", Kind: event.String, Size: s.Size, Parent: event.NoParent}}
	for length, want := range map[int]string{
		1 << 20:   "",
		1<<20 + 1: `field "text" has 1048577 bytes of text, and expressions calculate with at most 1048576; compare it with a constant instead`,
	} {
		row := make([]byte, s.Size)
		copy(row, strings.Repeat("a", length))
		for _, text := range []string{`upper(text) != ""`, `text contains "a"`} {
			st, err := filter.NewExpr(map[string]string{"": text})
			if err != nil {
				t.Fatal(err)
			}
			f, err := st.Bind(s, event.FieldSet{})
			if err != nil {
				t.Fatal(err)
			}
			err = f(&event.Batch{Schema: s, Rows: [][]byte{row}})
			if calculates := strings.HasPrefix(text, "upper"); calculates && want != "" {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s, %d bytes: got %v, want %s", text, length, err, want)
				}
			} else if err != nil {
				t.Errorf("%s, %d bytes: %v", text, length, err)
			}
		}
	}
}

// TestExprIsBounded: whatever is written, compiling it and running it ends soon.
func TestExprIsBounded(t *testing.T) {
	t.Parallel()
	s := sample(t)
	for _, text := range []string{
		strings.Repeat("(", 16000),
		strings.Repeat("(", 8000) + "true" + strings.Repeat(")", 8000),
		strings.Repeat("!", 9000) + "true",
		strings.Repeat("-", 9000) + "1 == 1",
		strings.Repeat("[", 16000),
		"proc.pid == 1" + strings.Repeat("+1", 4000),
		"proc.pid" + strings.Repeat("+proc.pid", 1500) + " == 0",
		"proc.pid in [" + strings.Repeat("1,", 8000) + "1]",
		"proc" + strings.Repeat(".a", 8000),
		strings.Repeat("fname == 'x' || ", 1000) + "true",
		strings.Repeat("true ? ", 2500) + "true" + strings.Repeat(" : false", 1000),
		`all(1..100000000, true)`,
		`all(1..99000, all(1..99000, true))`,
		`len(repeat(fname, 1000000)) > 1`,
		`fname matches "((a{100}){100}){100}"`,
	} {
		start := time.Now()
		if st, err := filter.NewExpr(map[string]string{"": text}); err == nil {
			if f, err := st.Bind(s, event.FieldSet{}); err == nil {
				_ = f(sampleBatch(s))
			}
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%.40s took %v", text, took)
		}
	}
}
