// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os/exec"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	g := run(t, setup{}, "version")
	g.wantExit(t, 0)
	if !strings.HasPrefix(g.out.String(), "gizmo "+buildVersion+" linux/") {
		t.Errorf("got %q", g.out.String())
	}
}

// The program has the gadgets that there are folders of, and says so.
func TestHelpListsTheGadgets(t *testing.T) {
	g := run(t, setup{}, "run", "--help")
	g.wantExit(t, 0)
	want := "\nBuilt-in gadgets: " + strings.Join(gadgetNames(t), ", ") + "\n"
	if !strings.Contains(g.out.String(), want) {
		t.Errorf("the help lacks %q:\n%s", want, g.out.String())
	}
	c := run(t, setup{}, "__complete", "run", "")
	for _, name := range gadgetNames(t) {
		if !strings.Contains("\n"+c.out.String(), "\n"+name+"\n") {
			t.Errorf("completion does not offer %s: %s", name, c.out.String())
		}
	}
}

// The help of a gadget needs no privileges: it is in the object.
func TestHelpOfGadgets(t *testing.T) {
	for _, name := range gadgetNames(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := run(t, setup{}, "run", name, "--help")
			g.wantExit(t, 0)
			golden(t, name+".help", g.out.String())
			first, _, _ := strings.Cut(g.out.String(), "\n")
			if _, description, _ := strings.Cut(first, ": "); description == "" {
				t.Errorf("the gadget has no description: %q", first)
			}
		})
	}
}

// Shells must accept their completion scripts. The test skips shells that are not installed.
func TestCompletionScriptsAreWellFormed(t *testing.T) {
	for shell, check := range map[string][]string{"bash": {"-n"}, "zsh": {"-n"}, "fish": {"--no-execute"}} {
		t.Run(shell, func(t *testing.T) {
			g := run(t, setup{}, "completion", shell)
			g.wantExit(t, 0)
			if g.out.Len() == 0 {
				t.Fatal("no script")
			}
			path, err := exec.LookPath(shell)
			if err != nil {
				return
			}
			cmd := exec.Command(path, check...)
			cmd.Stdin = strings.NewReader(g.out.String())
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
