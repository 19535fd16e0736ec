// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// account has the sums of a data source's ledger at the end of a run.
type account struct{ produced, delivered, filtered, lost int }

var (
	accountLine = regexp.MustCompile(`(?m)^gizmo: open: (\d+) events produced, (\d+) delivered, (\d+) filtered, (\d+) lost$`)
	cpuLine     = regexp.MustCompile(`(?m)^gizmo: open: +(\d+) lost(?: on CPU \d+)?: .+$`)
)

// ledgerOf reads the ledger of the data source "open" on a program's standard error.
func ledgerOf(t testing.TB, p *process) account {
	t.Helper()
	m := accountLine.FindStringSubmatch(p.err.String())
	if m == nil {
		t.Fatalf("there is no ledger on standard error:\n%s", p.err.String())
	}
	n := numbers(m[1:])
	a := account{n[0], n[1], n[2], n[3]}
	sum := 0
	for _, m := range cpuLine.FindAllStringSubmatch(p.err.String(), -1) {
		sum += numbers(m[1:])[0]
	}
	if sum != a.lost {
		t.Errorf("the losses by CPU and cause sum up to %d, not %d:\n%s", sum, a.lost, p.err.String())
	}
	return a
}

func numbers(texts []string) []int {
	list := make([]int, len(texts))
	for i, text := range texts {
		list[i], _ = strconv.Atoi(text)
	}
	return list
}

// A stopped reader loses events, and gizmo says how many: produced = delivered + lost, exactly.
func TestEveryLostEventIsCounted(t *testing.T) {
	kerneltest.RequireRoot(t)
	const opened = 5000
	recording := filepath.Join(t.TempDir(), "lossy")
	o := startOpener(t)
	g := start(t, setup{}, "run", "trace_open", "-o", "json", "--pid", o.pid(), "--buffer-size", "4096",
		"--fail-on-loss", "--record", recording, "-v")
	g.waitAttached(t)
	o.open(t, 10, "/proc/version")
	g.signal(t, syscall.SIGSTOP)
	o.open(t, opened-20, "/proc/version")
	g.signal(t, syscall.SIGCONT)
	eventually(t, "warned of the loss", func() bool { return warning.MatchString(g.err.String()) })
	o.open(t, 10, "/proc/version")
	g.signal(t, syscall.SIGINT)
	g.wantExit(t, 3)
	g.wantErr(t, "gizmo: events were lost")

	delivered := len(parseEvents(t, g.out.String()))
	got := ledgerOf(t, g)
	want := account{produced: opened, delivered: delivered, lost: opened - delivered}
	if got != want {
		t.Errorf("the ledger says %+v, the output %+v", got, want)
	}
	if delivered < 20 || delivered > opened/2 {
		t.Errorf("%d of %d events delivered: the reader did not stand still", delivered, opened)
	}
	replayTellsOfLosses(t, recording, want)
}

var warning = regexp.MustCompile(`(?m)^gizmo: warning: open: \d+ events lost \(.+\)$`)

// replayTellsOfLosses checks that a recording has the same account as the run that made it.
func replayTellsOfLosses(t *testing.T, recording string, want account) {
	t.Helper()
	if err := os.Chmod(recording, 0o644); err != nil {
		t.Fatal(err)
	}
	r := run(t, setup{}, "replay", recording, "-o", "json", "--fail-on-loss")
	r.wantExit(t, 3)
	if got := ledgerOf(t, r); got != want {
		t.Errorf("the replay's ledger says %+v, the run's %+v", got, want)
	}
}
