// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// workloadDir is the folder in which recorded workloads ran, which is in their events.
const workloadDir = "/tmp/gizmo-workload"

// makeRecording records a gadget's workload, and what that caused only.
func makeRecording(t *testing.T, gadget string) {
	t.Helper()
	if err := os.Mkdir(workloadDir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(workloadDir) })
	all := filepath.Join(t.TempDir(), "all.rec")
	w := startWorkload(t, gadget, workloadDir)
	g := start(t, setup{}, append([]string{"run", gadget, "-o", "json", "--record", all}, w.Args...)...)
	g.waitAttached(t)
	want := w.cause(t)
	g.interrupt(t)
	own := w.of(parseEvents(t, g.out.String()), want)
	wantEvents(t, own, want)

	pids := make(map[uint64]bool)
	for _, e := range own {
		pid, err := strconv.ParseUint(e.get("proc.pid"), 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		pids[pid] = true
	}
	if err := copyRecording(recordingOf(gadget), all, pids); err != nil {
		t.Fatal(err)
	}
}

// copyRecording copies the events of some processes, and nothing that tells of the machine.
func copyRecording(to, from string, pids map[uint64]bool) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	r, err := wire.NewReader(in)
	if err != nil {
		return err
	}
	defer r.Close()
	header := *r.Header()
	header.Machine.Kernel = "6.18.0"
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	w, err := wire.NewWriter(out, header)
	if err != nil {
		return err
	}
	if err := copyBatches(w, r, pids); err != nil {
		return err
	}
	return w.Close()
}

func copyBatches(w *wire.Writer, r *wire.Reader, pids map[uint64]bool) error {
	var b event.Batch
	for {
		err := r.Next(context.Background(), &b)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if i, ok := b.Schema.Lookup("proc.pid"); ok {
			pid := &b.Schema.Fields[i]
			b.Keep(func(row int) bool { return pids[pid.Uint(b.Rows[row])] })
		}
		if len(b.Rows) == 0 {
			continue
		}
		if err := w.Write(&b); err != nil {
			return err
		}
	}
}
