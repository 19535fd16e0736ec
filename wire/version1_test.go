// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// Recordings of version 1 give the same texts as when version 1 was the newest: the golden texts were made then.
// Neither they nor the recordings are ever rewritten.
func TestVersion1Recordings(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"v1-sources", "v1-clock"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recording, err := os.ReadFile(filepath.Join("testdata", name+".gizmo"))
			check(t, err)
			want, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
			check(t, err)
			if got := spellOut(t, recording); got != string(want) {
				t.Errorf("%s reads as\n%s\nwant\n%s", name, got, want)
			}
		})
	}
}

// spellOut writes everything that a recording says as text.
func spellOut(t *testing.T, recording []byte) string {
	t.Helper()
	r, err := wire.NewReader(bytes.NewReader(recording))
	check(t, err)
	var text strings.Builder
	h := r.Header()
	fmt.Fprintf(&text, "gadget %s, recorded by %s at %v on %s\n", gadgetOf(h), h.Gizmo, h.Start, asJSON(t, h.Machine))
	for _, ds := range h.DataSources {
		fmt.Fprintf(&text, "%s: single %v, %d bytes, annotations %s\n", ds.Schema.ID(), ds.Schema.Single, ds.Schema.Size, ds.Annotations)
		for _, f := range ds.Schema.Fields {
			fmt.Fprintf(&text, "  %s\n", asJSON(t, f))
		}
	}
	var b event.Batch
	for err = r.Next(t.Context(), &b); err == nil; err = r.Next(t.Context(), &b) {
		fmt.Fprintf(&text, "%s, boot offset %d, %d rows, lost %v\n", b.Schema.ID(), r.Clock().Last().Offset, len(b.Rows), b.Lost)
		for row := range b.Rows {
			fmt.Fprintf(&text, "  %s\n", strings.Join(valuesOf(t, &b, row), " "))
		}
	}
	fmt.Fprintf(&text, "then %v, boot offset %d\n", err, r.Clock().Last().Offset)
	return text.String()
}

func asJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	check(t, err)
	return text
}

// valuesOf returns the values of the row's fields as name=value.
func valuesOf(t *testing.T, b *event.Batch, row int) (values []string) {
	t.Helper()
	for i := range b.Schema.Fields {
		if !b.Schema.Fields[i].HasValue() {
			continue
		}
		reader, err := b.Schema.Reader(i)
		check(t, err)
		values = append(values, fmt.Sprintf("%s=%q", b.Schema.Fields[i].Name, reader.String(b, row)))
	}
	return values
}

// gadgetOf returns the gadget's reference, which is all that version 1 has.
func gadgetOf(h *wire.Header) string {
	if len(h.Gadgets) != 1 || h.Gadgets[0].Name != "" || h.Gadgets[0].Metadata != nil {
		return "unexpected"
	}
	return h.Gadgets[0].Reference
}
