// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode_test

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden writes hand-built batches in every format. Columns come once for a file and once for
// each of some terminals.
func TestGolden(t *testing.T) {
	t.Parallel()
	batches := map[string]*event.Batch{
		"trace_open": goldenOpens(),
		"top":        goldenTop(),
		"shapes":     goldenShapes(),
	}
	for name, b := range batches {
		for _, f := range encode.Formats() {
			out := bind(t, f, b.Schema, encode.Options{}).Append(bind(t, f, b.Schema, encode.Options{}).Head(nil), b)
			if f.Name == "columns" {
				for _, width := range []int{80, 132, 200} {
					enc := bind(t, f, b.Schema, encode.Options{Width: width})
					out = enc.Append(enc.Head(fmt.Appendf(out, "--- a terminal of %d cells\n", width)), b)
				}
			}
			golden(t, name+"."+f.Name, out)
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s (rewrite with -update):\ngot\n%s\nwant\n%s", path, got, want)
	}
}

func goldenOpens() *event.Batch {
	s := traceOpen()
	b := traceOpenBatch(s, 4)
	for i, name := range []string{"/tmp/\x1b[31mred\x1b[0m", "/home/界面/é/\xff", "/tmp/\u202egpj.exe", "say \"hi\"\\\n"} {
		clear(b.Rows[i][len(b.Rows[i])-512:])
		put(s, b.Rows[i], "fname", name)
	}
	return b
}

// goldenTop is an array: what a process wrote, with a histogram.
func goldenTop() *event.Batch {
	b := newBuilder("top", false)
	b.field("comm", event.String, 16, 0)
	b.field("pid", event.Uint, 4, 0).Ann.Columns = event.ColumnStyle{MinWidth: 7, Align: event.AlignRight}
	b.field("io.read", event.Uint, 8, 0)
	b.field("io.written", event.Uint, 8, 0)
	b.field("slots", event.Uint, 4, 5)
	batch := &event.Batch{Schema: &b.s}
	for i := range 3 {
		rec := make([]byte, b.s.Size)
		put(&b.s, rec, "comm", []string{"cat", "on", "12"}[i])
		put(&b.s, rec, "pid", 100*i)
		put(&b.s, rec, "io.read", math.MaxInt64-i)
		put(&b.s, rec, "io.written", -1-i) // the largest numbers
		put(&b.s, rec, "slots", 7*i)
		batch.Rows = append(batch.Rows, rec)
	}
	return batch
}

// goldenShapes has each shape of value once.
func goldenShapes() *event.Batch {
	text := []byte("1.2.3.4:80")
	s := everything(true, &text)
	rec := make([]byte, s.Size+5)
	for i := range rec {
		rec[i] = byte(i*7 + 1)
	}
	return &event.Batch{Schema: s, Rows: [][]byte{rec, make([]byte, s.Size)}}
}
