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
	maxJSON     = 3000
)

// makeRecording records the first events that a gadget's workload causes, and no others.
func makeRecording(t *testing.T, gadget string) {
	t.Helper()
	if err := os.Mkdir(workloadDir, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(workloadDir)
	w := startWorkload(t, gadget, workloadDir)
	if missing := hooksOf(t, gadget, w.Args).missing(offered(t)); len(missing) > 0 {
		t.Skipf("this kernel lacks %s; the lab's may have it: go run ./test/vm -record -run TestReplayOfRecordings/%s", summary(missing), gadget)
	}
	*update = true
	whole := filepath.Join(t.TempDir(), "whole.rec")
	r := w.run(t, "--record", whole)
	r.wantExpected(t)
	// The recording also has the events that the workload's arguments filter out.
	recorded := run(t, setup{}, "replay", whole, "-o", "json")
	recorded.wantExit(t, 0)
	r.all = parseOutput(t, recorded.out.String())
	if err := copyRecording(recordingOf(gadget), whole, r.choose()); err != nil {
		t.Fatal(err)
	}
}

// choose says which of all events to keep.
func (r *watched) choose() []bool {
	own := make(map[string]bool)
	for _, e := range r.events.rows {
		own[e.String()] = true
	}
	keep := make([]bool, len(r.all.rows))
	n := 0
	for i, e := range r.all.rows {
		if text := e.String(); own[text] && len(text) <= maxJSON && n < maxRecorded {
			keep[i] = true
			n++
		}
	}
	return keep
}

// copyRecording copies the events to keep, and nothing about the machine.
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

// copyBatches copies the rows to keep. An array stays one batch; each single event becomes a batch, so that
// the recording has many of them.
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
		if err := writeBatches(w, &b, keep[:len(b.Rows)]); err != nil {
			return err
		}
		keep = keep[len(b.Rows):]
	}
}

func writeBatches(w *wire.Writer, b *event.Batch, keep []bool) error {
	kept := &event.Batch{Schema: b.Schema}
	var from []int
	for i, row := range b.Rows {
		if !keep[i] {
			continue
		}
		kept.Rows, from = append(kept.Rows, row), append(from, i)
		if !b.Schema.Single {
			continue
		}
		if err := writeWithColumns(w, kept, b, from); err != nil {
			return err
		}
		kept, from = &event.Batch{Schema: b.Schema}, nil
	}
	if b.Schema.Single {
		return nil
	}
	return writeWithColumns(w, kept, b, from)
}

// writeWithColumns writes rows of another batch with what stages have found about them: from are their places there.
func writeWithColumns(w *wire.Writer, kept, whole *event.Batch, from []int) error {
	for i := range kept.Schema.Fields {
		column, ok := kept.Schema.Fields[i].Column()
		if !ok || column.Handles(whole) == nil {
			continue
		}
		handles := column.Fill(kept)
		for row := range handles {
			handles[row] = column.At(whole, from[row])
		}
	}
	return w.Write(kept)
}
