// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// workload is a gadget's workload, started and waiting: a program that causes events of its gadget
// and lists them. The package documentation says how to write one.
type workload struct {
	*process
	// Args are more arguments for "gizmo run GADGET".
	Args []string
	// PID is the id of the workload's process.
	PID json.Number

	ready  int // size of the first line
	signal *os.File
}

// buildWorkload builds the workload of a gadget.
func buildWorkload(t testing.TB, gadget string) string {
	t.Helper()
	program := filepath.Join(filepath.Dir(gizmoPath), "workloads", gadget, "workload")
	if _, err := os.Stat(program); err == nil {
		return program
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
	wl := &workload{signal: w}
	wl.process = startProgram(t, setup{in: r, dir: dir}, []string{buildWorkload(t, gadget), dir})
	eventually(t, "the workload is ready", func() bool {
		select {
		case <-wl.ended:
			t.Fatalf("the workload has ended: %v\n%s", wl.cmd.ProcessState, wl.err.String())
		default:
		}
		wl.ready = strings.IndexByte(wl.out.String(), '\n') + 1
		return wl.ready > 0
	})
	if err := json.Unmarshal([]byte(wl.out.String()[:wl.ready]), wl); err != nil {
		t.Fatalf("the workload's first line: %v", err)
	}
	return wl
}

// cause lets the workload cause its events and returns them.
func (w *workload) cause(t testing.TB) []jsonEvent {
	t.Helper()
	if _, err := w.signal.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
	w.wantExit(t, 0)
	events := parseEvents(t, w.out.String()[w.ready:])
	for _, e := range events {
		if e.get("proc.pid") == "" || e.get("proc.tid") == "" {
			t.Fatalf("the workload lists an event without proc.pid or proc.tid: %s", e)
		}
	}
	if len(events) == 0 {
		t.Fatal("the workload lists no events")
	}
	return events
}

// of returns the events that the workload and its descendants have caused.
func (w *workload) of(got, want []jsonEvent) []jsonEvent {
	pids := []string{w.PID.String()}
	for _, e := range want {
		pids = append(pids, e.get("proc.pid"))
	}
	return ofProcesses(got, pids...)
}
