// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package again

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// ended is how a program ends with an exit code.
func ended(t *testing.T, code string) *os.ProcessState {
	t.Helper()
	cmd := exec.Command("sh", "-c", "exit "+code)
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState
}

func TestRun(t *testing.T) {
	const one, two, three = "    --- FAIL: TestA/b.c (0.1s)\n--- FAIL: TestA (0.1s)\n", "--- FAIL: TestB (1.00s)\n", "--- FAIL: TestC (1.00s)\n"
	type end struct{ out, code string }
	for name, c := range map[string]struct {
		ends     []end
		selected []string
		passes   bool
	}{
		"passes":               {[]end{{"--- PASS: TestA (0.1s)\n", "0"}}, []string{"^Test"}, true},
		"one fails once":       {[]end{{one, "1"}, {"", "0"}}, []string{"^Test", `^TestA$/^b\.c$`}, true},
		"two fail once":        {[]end{{one + two, "1"}, {"", "0"}, {"", "0"}}, []string{"^Test", `^TestA$/^b\.c$`, "^TestB$"}, true},
		"the second of two":    {[]end{{one + two, "1"}, {"", "0"}, {two, "1"}}, []string{"^Test", `^TestA$/^b\.c$`, "^TestB$"}, false},
		"one fails twice":      {[]end{{two, "1"}, {two, "1"}}, []string{"^Test", "^TestB$"}, false},
		"three fail":           {[]end{{one + two + three, "1"}}, []string{"^Test"}, false},
		"not in CI":            {[]end{{one, "1"}}, []string{"^Test"}, false},
		"panic":                {[]end{{one + "panic: x\n", "2"}}, []string{"^Test"}, false},
		"fails without a test": {[]end{{"FAIL\n", "1"}}, []string{"^Test"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			var selected []string
			state, err := Run(name != "not in CI", []string{"a.test", "-test.v", "-test.run=^Test", "-test.skip=x"}, &out, func(argv []string, out io.Writer) (*os.ProcessState, error) {
				i := slices.IndexFunc(argv, func(a string) bool { return strings.HasPrefix(a, argRun) })
				if len(argv) != 4 || argv[0] != "a.test" {
					t.Errorf("%q", argv)
				}
				selected = append(selected, strings.TrimPrefix(argv[i], argRun))
				e := c.ends[len(selected)-1]
				for _, r := range e.out { // in pieces
					_, _ = io.WriteString(out, string(r))
				}
				return ended(t, e.code), nil
			})
			if err != nil || state.Success() != c.passes || !slices.Equal(selected, c.selected) {
				t.Errorf("%v, %v; ran %q, want %q", state, err, selected, c.selected)
			}
			if unsteady := c.passes && len(c.ends) > 1; strings.Contains(out.String(), "UNSTEADY: ") != unsteady || !strings.HasPrefix(out.String(), c.ends[0].out) {
				t.Errorf("%s", out.String())
			}
		})
	}
	broken := errors.New("no such program")
	if _, err := Run(true, []string{"a.test"}, io.Discard, func([]string, io.Writer) (*os.ProcessState, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
}
