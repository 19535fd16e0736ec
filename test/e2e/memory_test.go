// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// mostMemory is the most memory that a replay may take, whatever the recording.
const mostMemory = 64 << 20

// bombs are small recordings that expand to much data.
var bombs = map[string]struct {
	single      bool
	size        int // of a row
	rows        int
	fields      int
	kind        event.Kind
	fieldSize   int
	nameLength  int
	sort        string
	wantRefusal string // an error; empty: all rows come out
}{
	"long names":              {single: true, size: 8, rows: 50_000, fields: 10, kind: event.Uint, fieldSize: 8, nameLength: 1000},
	"an array":                {size: 8, rows: 50_000, fields: 10, kind: event.Uint, fieldSize: 8, nameLength: 1000},
	"many fields":             {single: true, size: 8, rows: 500, fields: 4000, kind: event.Uint, fieldSize: 8, nameLength: 400},
	"wide rows":               {single: true, size: 16 << 20, rows: 3, fields: 4, kind: event.Uint, fieldSize: 8, nameLength: 8},
	"an array of wide":        {size: 1 << 20, rows: 48, fields: 4, kind: event.Uint, fieldSize: 8, nameLength: 8},
	"wide text":               {single: true, size: 1 << 20, rows: 40, fields: 1, kind: event.Bytes, fieldSize: 1 << 20, nameLength: 8},
	"narrow rows":             {single: true, size: 8, rows: 1 << 20, fields: 1, kind: event.Uint, fieldSize: 8, nameLength: 8},
	"an array of narrow":      {size: 8, rows: 1 << 20, fields: 1, kind: event.Uint, fieldSize: 8, nameLength: 8},
	"fields that overlap":     {single: true, size: 1 << 20, rows: 2, fields: 4000, kind: event.Bytes, fieldSize: 1 << 20, nameLength: 8, wantRefusal: "of text"},
	"an array that is sorted": {size: 8, rows: 1 << 20, fields: 1, kind: event.Uint, fieldSize: 8, nameLength: 8, sort: "f0000xxx", wantRefusal: "too large to be sorted"},
}

// makeBomb writes a recording of one batch.
func makeBomb(t *testing.T, name string) string {
	t.Helper()
	c := bombs[name]
	s := &event.Schema{Name: "bomb", Single: c.single, Size: uint32(c.size)}
	for i := range c.fields {
		field := fmt.Sprintf("f%04d%s", i, strings.Repeat("x", c.nameLength-5))
		s.Fields = append(s.Fields, event.Field{Name: field, Kind: c.kind, Types: []string{"t"}, Size: uint32(c.fieldSize), Parent: event.NoParent})
	}
	var out bytes.Buffer
	w, err := wire.NewWriter(&out, wire.Header{DataSources: []wire.DataSource{{Schema: s}}})
	if err != nil {
		t.Fatal(err)
	}
	b := event.Batch{Schema: s}
	row := make([]byte, c.size)
	for range c.rows {
		b.Rows = append(b.Rows, row)
	}
	if err := w.Write(&b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if out.Len() > 3<<20 {
		t.Fatalf("%d bytes: that is no small recording", out.Len())
	}
	path := filepath.Join(t.TempDir(), "bomb.rec")
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// A recording has only limited influence on the memory of its replay: batches are restored and written in parts.
func TestReplayInLittleMemory(t *testing.T) {
	for name, c := range bombs {
		t.Run(name, func(t *testing.T) {
			path := makeBomb(t, name)
			for _, mode := range []string{"json", "columns", "yaml", "jsonpretty"} {
				flags := []string{"-o", mode, "-v"}
				if c.sort != "" {
					flags = append(flags, "--sort", c.sort)
				}
				peak, p := peakOf(t, path, flags)
				t.Logf("%s: %d KiB", mode, peak>>10)
				if c.sort == "" && peak > mostMemory || peak == 0 && c.wantRefusal == "" { // sorting may take more
					t.Errorf("%s: it took %d KiB", mode, peak>>10)
				}
				if c.wantRefusal != "" {
					p.wantExit(t, 1)
					p.wantErr(t, c.wantRefusal)
					continue
				}
				p.wantExit(t, 0)
				p.wantErr(t, fmt.Sprintf("gizmo: bomb: %d events produced, %d delivered, 0 filtered, 0 lost", c.rows, c.rows))
			}
		})
	}
}

// peakOf replays a recording to its end, throws the output away, and returns the most memory that it took. The recording comes
// without its last byte at first: once gizmo waits for that, it has done all that takes memory.
func peakOf(t *testing.T, recording string, flags []string) (peak int, p *process) {
	t.Helper()
	data, err := os.ReadFile(recording)
	if err != nil {
		t.Fatal(err)
	}
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	p = start(t, setup{in: from, out: null}, append([]string{"replay", "-"}, flags...)...)
	from.Close()
	last := len(data) - 1
	_, _ = to.Write(data[:last]) // fails where the recording is refused
	for idle, before := 0, ""; idle < 10; {
		select {
		case <-p.ended:
			idle = 10
		case <-time.After(10 * time.Millisecond):
		}
		peak = max(peak, mostResident(p.cmd.Process.Pid))
		now := processorTime(p.cmd.Process.Pid)
		if idle++; now != before {
			idle, before = 0, now
		}
	}
	_, _ = to.Write(data[last:])
	to.Close()
	p.wait(t)
	return peak, p
}

// processorTime returns how much processor time a process has used, in a form that can be compared.
func processorTime(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, thread := range threads {
		more, _ := os.ReadFile(thread)
		text = append(text, strings.Fields(string(more) + " -")[0]...)
	}
	return string(text)
}

// mostResident returns a process's VmHWM in bytes; 0 if it has ended.
func mostResident(pid int) int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.Atoi(strings.Fields(text)[0])
			return n << 10
		}
	}
	return 0
}
