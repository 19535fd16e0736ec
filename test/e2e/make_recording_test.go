// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// workloadDir is the folder in which recorded workloads ran, which is in their events.
const workloadDir = "/tmp/gizmo-workload"

// Recordings are kept small: so many events, each of so many bytes of JSON at most.
const (
	maxRecorded = 20
	maxJSON     = 1000
)

// makeRecording records the beginning of what a gadget's workload causes, and nothing else.
func makeRecording(t *testing.T, gadget string) {
	t.Helper()
	if err := os.Mkdir(workloadDir, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(workloadDir)
	whole := filepath.Join(t.TempDir(), "whole.rec")
	w := startWorkload(t, gadget, workloadDir)
	g := start(t, setup{}, append([]string{"run", gadget, "-o", "json", "--record", whole}, w.Args...)...)
	g.waitAttached(t)
	want := w.cause(t)
	g.interrupt(t)
	all := parseEvents(t, g.out.String())
	own := w.of(all, want)
	wantEvents(t, own, want)
	if err := copyRecording(recordingOf(gadget), whole, choose(all, own)); err != nil {
		t.Fatal(err)
	}
}

// choose says which of all events to keep.
func choose(all, own []jsonEvent) []bool {
	pids := make(map[string]bool)
	for _, e := range own {
		pids[e.get("proc.pid")] = true
	}
	keep := make([]bool, len(all))
	n := 0
	for i, e := range all {
		if pids[e.get("proc.pid")] && len(e.String()) <= maxJSON && n < maxRecorded {
			keep[i] = true
			n++
		}
	}
	return keep
}

// copyRecording copies the events to keep, and nothing that tells of the machine.
func copyRecording(to, from string, keep []bool) error {
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
	header.Machine.Users = map[uint32]string{0: "root", nobody: "nobody"}
	header.Machine.Groups = map[uint32]string{0: "root", nobody: "nogroup"}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	w, err := wire.NewWriter(out, header)
	if err != nil {
		return err
	}
	if err := copyBatches(w, r, keep); err != nil {
		return err
	}
	return w.Close()
}

// copyBatches makes several batches of what may have been one, for readers to have something to do.
func copyBatches(w *wire.Writer, r *wire.Reader, keep []bool) error {
	var b event.Batch
	for {
		err := r.Next(context.Background(), &b)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, row := range b.Rows {
			if keep[0] {
				one := event.Batch{Schema: b.Schema, Rows: [][]byte{row}}
				if err := w.Write(&one); err != nil {
					return err
				}
			}
			keep = keep[1:]
		}
	}
}
