// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
)

var update = flag.Bool("update", false, "rewrite the golden recording of the current version")

// The example in version 1 stays readable.
func TestVersion1StaysReadable(t *testing.T) {
	t.Parallel()
	golden, err := os.ReadFile(filepath.Join("testdata", "v1.gizmo"))
	check(t, err)
	wantExample(t, golden)
}

// Recordings of version 2 stay readable. Once a release has been made, a change of the file is a change of the format, and
// takes a new version and a new file.
func TestVersion2StaysReadable(t *testing.T) {
	t.Parallel()
	for name, written := range map[string][]byte{
		"v2.gizmo": writeExample(t), "v2-columns.gizmo": writeColumns(t), "v2-steps.gizmo": writeSteps(t),
	} {
		path := filepath.Join("testdata", name)
		if *update {
			check(t, os.WriteFile(path, written, 0o644))
		}
		golden, err := os.ReadFile(path)
		check(t, err)
		if !bytes.Equal(written, golden) {
			t.Errorf("%s is now written otherwise (is that meant? -update):\n%s", name, hex.Dump(written))
		}
		switch name {
		case "v2.gizmo":
			wantExample(t, golden)
		case "v2-columns.gizmo":
			wantColumns(t, golden)
		default:
			wantSteps(t, golden)
		}
	}
}

func wantExample(t *testing.T, recording []byte) {
	t.Helper()
	got, r, err := read(recording)
	check(t, err)
	h := exampleHeader()
	if !reflect.DeepEqual(*r.Header(), h) {
		t.Errorf("header:\n got %+v\nwant %+v", *r.Header(), h)
	}
	if got, want := describe(got), describeWritten(exampleBatches(h)); got != want {
		t.Errorf("batches:\n got %s\nwant %s", got, want)
	}
}

// The example in the documentation is a recording that this package writes.
func TestDocumentedExample(t *testing.T) {
	t.Parallel()
	s := &event.Schema{Name: "open", Single: true, Size: 8, Fields: []event.Field{
		{Name: "pid", Kind: event.Uint, Types: []string{"gadget_pid", "__u32"}, Size: 4, Parent: event.NoParent},
		{Name: "ret", Kind: event.Int, Types: []string{"__s32"}, Off: 4, Size: 4, Parent: event.NoParent},
	}}
	var names event.Texts
	s.AddColumn(event.Field{Name: "container", Kind: event.String, Parent: event.NoParent, Table: &names})
	b := &event.Batch{Schema: s,
		Rows: [][]byte{{0x39, 5, 0, 0, 0, 0, 0, 0}, {0x3a, 5, 0, 0, 0xfe, 0xff, 0xff, 0xff}, {0x3b, 5, 0, 0, 0, 0, 0, 0, 'h', 'i'}},
		Lost: []event.Loss{{CPU: 2, Cause: event.BufferFull, Count: 300}}}
	setHandles(b, 0, names.Handle("db"), names.Handle("db"), 0)
	var out writeBuffer
	w, err := wire.NewWriter(&out, wire.Header{Machine: wire.Machine{BootOffset: 1000}, DataSources: []wire.DataSource{{Schema: s}}})
	check(t, err)
	check(t, w.Write(b))
	check(t, w.SetBootOffset(2000))
	check(t, w.SetFact("users", []byte(`{"7":"x"}`)))
	check(t, w.Close())
	page, err := os.ReadFile(filepath.Join("..", "docs", "recording-format.md"))
	check(t, err)
	if dump := hex.Dump(out); !strings.Contains(string(page), dump) {
		t.Errorf("docs/recording-format.md should have this example:\n%s", dump)
	}
}
