// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// Answers, ports of clients, packets within the namespace and to groups are no rows: there are those that the workload lists, and
// no others.
func TestNetworkPolicyRowsAreExact(t *testing.T) {
	kerneltest.RequireRoot(t)
	w := startWorkload(t, "advise_networkpolicy", t.TempDir())
	undisturbed(t, w, func(t *kerneltest.Attempt, w *workload) {
		r := w.run(t)
		r.wantExpected(t)
		wantRows(t, r.events.rows, r.want.rows, true)
	})
}

// Connections that the map has no room for are counted as lost, and the others are there.
func TestNetworkPolicyWithoutRoom(t *testing.T) {
	kerneltest.RequireRoot(t)
	w := startWorkload(t, "advise_networkpolicy", t.TempDir())
	r := w.run(t, "--max-connections", "2")
	if n := len(r.events.rows); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
	if lost := regexp.MustCompile(`, 2 delivered, 0 filtered, ([1-9]\d*) lost`); !lost.MatchString(r.err.String()) {
		t.Errorf("no losses are reported:\n%s", r.err.String())
	}
}

// The gadget writes policies if the user names no mode, and so does a replay. The host is in no pod.
func TestNetworkPolicyOutput(t *testing.T) {
	kerneltest.RequireRoot(t)
	const want = "# No policies: gizmo saw no connections of pods with labels.\n# Without a policy: connections of the host.\n"
	w := startWorkload(t, "advise_networkpolicy", t.TempDir())
	file := filepath.Join(t.TempDir(), "recording")
	undisturbed(t, w, func(t *kerneltest.Attempt, w *workload) { w.run(t, "--record", file).wantExpected(t) })
	for _, args := range [][]string{{}, {"-o", "networkpolicy"}, {"--policy-format", "cilium"}} {
		r := run(t, setup{}, append([]string{"replay", file}, args...)...)
		r.wantExit(t, 0)
		if got := r.out.String(); got != want {
			t.Errorf("%v: got %q, want %q", args, got, want)
		}
	}
	live := run(t, setup{}, "run", "advise_networkpolicy", "--host", "-t", "100ms")
	live.wantExit(t, 0)
	if got := live.out.String(); !strings.HasPrefix(want, got) || got == "" {
		t.Errorf("got %q", got)
	}
	empty := run(t, setup{}, "replay", file, "-o", "json", "-F", "egress==7")
	empty.wantExit(t, 0)
	if got := strings.TrimSpace(empty.out.String()); got != "[]" {
		t.Errorf("got %q", got)
	}
}

func TestNetworkPolicyMistakes(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, tt := range []struct{ args, want string }{
		{"advise_networkpolicy --policy-format k9s", `--policy-format: unknown format of policies "k9s" (known: k8s, cilium); did you mean "k8s"?`},
		{"trace_open -o networkpolicy", `--output: networkpolicy: policies need the peer of each connection, and data source "open" has no endpoint.addr`},
		{"advise_networkpolicy --fields endpoint", `--fields: data source "network_connections": the output mode networkpolicy has no fields to choose`},
		{"advise_networkpolicy -o networkpolice", `"networkpolice"`},
	} {
		r := run(t, setup{}, append([]string{"run"}, strings.Fields(tt.args)...)...)
		r.wantExit(t, 1)
		r.wantErr(t, tt.want)
	}
}
