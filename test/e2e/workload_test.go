// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// workload is a gadget's workload, started and waiting: a program that causes events of its gadget
// and lists them. The package documentation says how to write one.
type workload struct {
	*process
	// Args are more arguments for "gizmo run GADGET".
	Args []string
	// PID is the id of the workload's process.
	PID json.Number
	// Snapshot says that the gadget shows a state, not events: the test runs it while the
	// workload waits, and it ends without a signal.
	Snapshot bool

	// as says how gizmo is started.
	as setup

	// name is the gadget whose workload it is, and gadget the one that runs: the same, unless a test wants another.
	name, gadget string
	ready        int // size of the first line
	signal       *os.File
	ran          *watched // the run of the gadget, nil before it has ended
}

// buildWorkload builds the workload of a gadget, unless that has been done before.
func buildWorkload(t testing.TB, gadget string) string {
	t.Helper()
	program := filepath.Join(filepath.Dir(gizmoPath), "workloads", gadget, "workload")
	if _, err := os.Stat(program); err == nil {
		return program
	}
	if *programs != "" {
		t.Fatalf("there is no workload of %s in %s", gadget, *programs)
	}
	if err := goCommand("build", "-buildvcs=false", "-o", program, "./gadgets/"+gadget+"/workload"); err != nil {
		t.Fatalf("each gadget needs a workload with the events that it causes: %v", err)
	}
	return program
}

// startWorkload starts a workload up to the point where it would cause events. All that its start
// causes has then been: gizmo is to be started after it.
func startWorkload(t testing.TB, gadget, dir string) *workload {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	t.Cleanup(func() { w.Close() })
	wl := &workload{name: gadget, gadget: gadget, signal: w}
	wl.process = startProgram(t, setup{in: r, dir: dir}, []string{buildWorkload(t, gadget), dir})
	t.Cleanup(wl.stop)
	eventually(t, "the workload is ready", func() bool {
		select {
		case <-wl.ended:
			t.Fatalf("the workload has ended: %v\n%s", wl.cmd.ProcessState, wl.err.String())
		default:
		}
		wl.ready = strings.IndexByte(wl.out.String(), '\n') + 1
		return wl.ready > 0
	})
	if text := wl.err.String(); text != "" {
		t.Logf("standard error of the workload: %s", text)
	}
	if err := json.Unmarshal([]byte(wl.out.String()[:wl.ready]), wl); err != nil {
		t.Fatalf("the workload's first line: %v", err)
	}
	return wl
}

// stop lets the workload end before it is killed: what it has made on the machine goes with it.
func (w *workload) stop() {
	w.signal.Close()
	select {
	case <-w.ended:
	case <-time.After(5 * time.Second):
	}
}

// watched is a run of a gadget together with its workload.
type watched struct {
	*process
	// events are the run's own, those of the workload and its descendants.
	events output
	// all are the run's events.
	all output
	// want are those that the workload lists.
	want output
	// held are the objects that gizmo held in the kernel, and attached names the programs among them. A snapshot
	// ends too fast to look at them.
	held     []kerneltest.Object
	attached []string
	before   leftovers
}

// asRows returns the flags with which a gadget writes rows, also if its metrics are to take their place.
func asRows(t testing.TB, gadget string) (flags []string) {
	t.Helper()
	found, err := (&catalog.Catalog{}).Find(t.Context(), gadget)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range found.Image.DataSources {
		if d.Settings.Metrics.Print {
			flags = append(flags, "--annotate", d.Schema.Name+":metrics.print=false")
		}
	}
	return flags
}

// run runs the gadget together with the workload. The arguments for "gizmo run" come
// before those of the workload.
func (w *workload) run(t testing.TB, args ...string) *watched {
	t.Helper()
	args = append(append(append([]string{"run", w.gadget, "-o", "json"}, asRows(t, w.gadget)...), args...), w.Args...)
	r := &watched{before: findLeftovers(t)}
	if w.Snapshot {
		r.process = run(t, w.as, args...)
		r.wantExit(t, 0)
		r.want = w.cause(t)
	} else {
		r.process = start(t, w.as, args...)
		r.held = r.waitAttached(t)
		r.attached = programNames(r.held)
		if !hasProgram(w.gadget) { // it compares with its first reading
			eventually(t, "the first array comes", func() bool { return r.out.Len() > 0 })
		}
		r.want = w.cause(t)
		r.interrupt(t)
	}
	r.all = parseOutput(t, r.out.String())
	r.events = output{rows: w.of(r.all.rows, r.want.rows), arrays: r.all.arrays}
	w.ran = r
	return r
}

// undisturbed runs a test with a workload, and again, with another one, if it fails because of the machine. That also includes what
// the kernel skipped: it does not interrupt a program to run it again on the same CPU, but counts these skips, and gizmo
// warns about them.
func undisturbed(t *testing.T, w *workload, test func(t *kerneltest.Attempt, w *workload)) {
	t.Helper()
	first := true
	kerneltest.Undisturbed(t, func(a *kerneltest.Attempt) {
		if !first {
			before := w
			w = startWorkload(a, before.name, a.TempDir())
			w.as, w.gadget = before.as, before.gadget
		}
		first = false
		defer func() {
			w.stop()
			if w.ran != nil && strings.Contains(w.ran.err.String(), "the kernel skipped ") {
				a.Disturbed()
			}
		}()
		test(a, w)
	})
}

// cause lets the workload cause its events and returns them.
func (w *workload) cause(t testing.TB) output {
	t.Helper()
	if _, err := w.signal.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
	w.wantExit(t, 0)
	want := parseOutput(t, w.out.String()[w.ready:])
	if len(want.rows) == 0 {
		t.Fatal("the workload lists no events")
	}
	return want
}

// of returns the events that the workload and its descendants have caused. If the events that the workload
// lists do not have a process, it returns all events.
func (w *workload) of(got, want []jsonEvent) []jsonEvent {
	pids := []string{w.PID.String()}
	for _, e := range want {
		pid := e.pid()
		if pid == "" {
			return got
		}
		pids = append(pids, pid)
	}
	return ofProcesses(got, pids...)
}

// wantExpected checks that the run's events are those that the workload lists.
func (r *watched) wantExpected(t testing.TB) {
	t.Helper()
	if !r.events.arrays {
		wantEvents(t, r.events.rows, r.want.rows)
		if t.Failed() {
			r.logEventsWithoutProcess(t)
		}
		return
	}
	wantRows(t, r.events.rows, r.want.rows, r.want.rows[0].pid() != "")
}

// logEventsWithoutProcess shows the events whose process is not known: one that is missing may be among them.
func (r *watched) logEventsWithoutProcess(t testing.TB) {
	t.Helper()
	for _, e := range r.all.rows {
		if e.pid() == "0" {
			t.Logf("an event without a process: %s", e)
		}
	}
}

// hooks returns the hooks that the run has taken.
func (r *watched) hooks(g *gadgetHooks) []hook {
	if r.held == nil {
		return g.hooks
	}
	return g.of(r.attached)
}

// wantNothingLeft checks that the run has left nothing behind.
func (r *watched) wantNothingLeft(t testing.TB) {
	t.Helper()
	r.wantAlone(t)
	if r.held != nil {
		wantGone(t, r.held)
	}
	r.before.wantSame(t)
}
