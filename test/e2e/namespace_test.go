// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// In a time namespace the boot clock of processes is shifted; that of the kernel's records is not. A recording made there has the same
// times, wherever it is replayed.
func TestTimeNamespace(t *testing.T) {
	kerneltest.RequireRoot(t)
	unshare := kerneltest.RequireProgram(t, "unshare")
	for _, shift := range []string{"86400", "-3"} {
		o, recording := startOpener(t), filepath.Join(t.TempDir(), "recording")
		shifted := []string{unshare, "-T", "--fork", "--boottime", shift, gizmoPath}
		g := startProgram(t, setup{}, append(slices.Clone(shifted), "run", "trace_open", "--host", "--pid", o.pid(), "-o", "json", "--record", recording, "--timeout", "5"))
		eventually(t, "an event", func() bool {
			o.open(t, 1, "/proc/version")
			return g.out.Len() > 0
		})
		line, _, _ := strings.Cut(g.out.String(), "\n")
		raw, err := strconv.ParseInt(fmt.Sprint(parseEvents(t, line+"\n")[0]["timestamp_raw"]), 10, 64)
		if d := time.Since(time.Unix(0, raw)); err != nil || d < -time.Second || d > 10*time.Second {
			t.Errorf("shifted by %s s: the event happened %v ago: %s", shift, d, line)
		}
		g.wantExit(t, 0)
		for name, again := range map[string]*process{
			"outside": run(t, setup{}, "replay", recording, "-o", "json"),
			"inside":  startProgram(t, setup{}, append(slices.Clone(shifted), "replay", recording, "-o", "json")),
		} {
			again.wantExit(t, 0)
			wantSame(t, "the replay "+name, again.out.String(), g.out.String())
		}
	}
}

// In a pid namespace --pid takes the number that the user sees there.
func TestPIDNamespace(t *testing.T) {
	kerneltest.RequireRoot(t)
	unshare := kerneltest.RequireProgram(t, "unshare")
	script := `"$1" run trace_open --host --pid $$ -o json -t 3 & n=0
		while kill -0 $! 2>/dev/null && [ $n -lt 200 ]; do : < /etc/hostname; sleep 0.05; n=$((n+1)); done; wait`
	g := startProgram(t, setup{}, []string{unshare, "-pf", "--mount-proc", "sh", "-c", script, "sh", gizmoPath})
	g.wait(t)
	events := parseEvents(t, g.out.String())
	if len(events) == 0 || !strings.Contains(g.out.String(), "/etc/hostname") {
		t.Errorf("no event of the shell: %s\n%s", g.out.String(), g.err.String())
	}
	if !strings.Contains(g.err.String(), "pid namespace") {
		t.Errorf("whose numbers the events have is not told: %s", g.err.String())
	}
	g = startProgram(t, setup{}, []string{unshare, "-pf", "--mount-proc", gizmoPath, "run", "trace_open", "--host", "--pid", "31999", "-t", "3"})
	g.wantExit(t, 1)
	g.wantErr(t, "no such process in this pid namespace: 31999")
}
