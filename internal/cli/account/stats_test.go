// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package account

import (
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/gadget"
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
