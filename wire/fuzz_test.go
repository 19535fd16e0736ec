// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// FuzzReader reads the input, unchanged and with corrected checksums. The batches must keep
// the contract of a Source, and be the same after they were written and read again.
func FuzzReader(f *testing.F) {
	recording := writeExample(f)
	f.Add(recording)
	f.Add(recording[:len(recording)/2])
	frames, _ := split(recording)
	f.Add(join(append(frames[:2:2], rawFrame{'x', nil}, rawFrame{'C', make([]byte, 8)})))
	f.Add(join([]rawFrame{{'H', []byte(`{}`)}, {'E', []byte{0}}}))
	f.Add([]byte(preamble))
	f.Add(writeSteps(f))
	var stacks bytes.Buffer
	recordStacks(f, &stacks, 5)
	f.Add(stacks.Bytes())
	frames, _ = split(stacks.Bytes())
	lines := []byte{1, 0, 1, 'a', 0, 0, 0, 0, 0, 1, 2, '/', 'a', 1, 1, 1, 1, 0, 1, 1, 7} // one of a file, without a function
	f.Add(join(append(frames[:len(frames)-1:len(frames)-1], rawFrame{'l', lines}, frames[len(frames)-1])))
	columns := writeColumns(f)
	f.Add(columns)
	frames, _ = split(columns)
	f.Add(join(append(frames[:3:3], rawFrame{'R', nil}, rawFrame{'f', []byte("\x05users{}")})))
	for _, name := range []string{"v1", "v1-sources", "v1-clock"} {
		recording, err := os.ReadFile(filepath.Join("testdata", name+".gizmo"))
		check(f, err)
		f.Add(recording)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		readAnything(t, data)
		frames, _ := split(data)
		readAnything(t, join(frames))
		readAnything(t, joinAfter(preamble1, frames))
	})
}

func readAnything(t *testing.T, data []byte) {
	r, err := wire.NewReader(bytes.NewReader(data))
	if err != nil {
		return
	}
	r.KeepLines()
	var out bytes.Buffer
	w, err := wire.NewWriter(&out, *r.Header())
	if err != nil {
		t.Fatalf("a header that was read cannot be written: %v", err)
	}
	text, err := copyAll(t, r, w)
	if !errors.Is(err, io.EOF) {
		return
	}
	check(t, w.Close())
	again, err := wire.NewReader(&out)
	check(t, err)
	sink, err := wire.NewWriter(io.Discard, *again.Header())
	check(t, err)
	if got, err := copyAll(t, again, sink); err != io.EOF || !bytes.Equal(got, text) {
		t.Fatalf("the copy differs: %v\n%q\n%q", err, got, text)
	}
}

// copyAll writes all that r has to w, and returns it as text, with the error that ended it.
func copyAll(t *testing.T, r *wire.Reader, w *wire.Writer) (text []byte, err error) {
	r.OnFact(func(name string, value json.RawMessage) { check(t, w.SetFact(name, value)) })
	var b event.Batch
	for {
		if err := r.Next(t.Context(), &b); err != nil {
			return text, err
		}
		for _, row := range b.Rows {
			if len(row) < int(b.Schema.Size) {
				t.Fatalf("a row of %d bytes for a schema of %d", len(row), b.Schema.Size)
			}
		}
		if len(text) < 1<<20 && (!b.Schema.Single || len(b.Rows)+len(b.Lost) > 0) {
			text = append(text, describe([]event.Batch{b})...)
			text = append(text, spellBatches(t, []event.Batch{b}, namesOfColumns(b.Schema)...)...)
		}
		check(t, w.Write(&b))
	}
}

// namesOfColumns returns the names of the fields that columns give values to. If several have the same name, the last one counts.
func namesOfColumns(s *event.Schema) (names []string) {
	for i := range s.Fields {
		f := &s.Fields[i]
		if last, _ := s.Lookup(f.Name); last != i || f.Kind == event.Struct {
			continue
		}
		if _, ok := f.Column(); ok {
			names = append(names, f.Name)
		}
	}
	return names
}
