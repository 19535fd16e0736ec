// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package account

import (
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/run"
)

func TestMissedRunsAreToldOf(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	Missed(&out, []gadget.ProgramStats{{Name: "good", Runs: 9}, {Name: "bad", Missed: 7}})
	want := "gizmo: warning: program bad: the kernel skipped 7 runs, "
	if got := out.String(); !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLostStacksAreToldOf(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	Stacks(&out, []run.StackLoss{{LostStacks: gadget.LostStacks{Full: 7}}, {Gadget: "a", LostStacks: gadget.LostStacks{Busy: 1, Exhausted: 2, Forgotten: 3}}})
	want := `gizmo: 7 stacks lost: the buffer for new stacks was full
gizmo: a: 1 stacks lost: programs interrupted too many others on a CPU
gizmo: a: 2 stacks lost: there is no number left for another stack
gizmo: a: 3 stacks lost: they were older than gizmo remembers
`
	if got := out.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
