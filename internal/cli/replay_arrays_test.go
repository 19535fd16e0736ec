// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// Arrays come back as they were, the empty ones too, and are sorted and shortened one by one.
func TestReplayOfArrays(t *testing.T) {
	schema := &event.Schema{Name: "top", Size: 1, Fields: []event.Field{
		{Name: "n", Kind: event.Uint, Types: []string{"__u8"}, Size: 1, Parent: event.NoParent},
	}}
	var tape bytes.Buffer
	w, err := wire.NewWriter(&tape, wire.Header{DataSources: []wire.DataSource{{
		Schema: schema, Annotations: []byte(`{"source":{"cli.clear-screen-before":"true","fetch-interval":"1h"}}`),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range []string{"\x03\x01\x02", "", "\x09", "\x01\x05\x07\x04"} {
		b := event.Batch{Schema: schema}
		for i := range len(rows) {
			b.Rows = append(b.Rows, []byte(rows[i:i+1]))
		}
		if err := w.Write(&b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-o", "json"}, "[{\"n\":3},{\"n\":1},{\"n\":2}]\n[]\n[{\"n\":9}]\n[{\"n\":1},{\"n\":5},{\"n\":7},{\"n\":4}]\n"},
		{[]string{"-o", "json", "--sort", "-n", "--max-entries", "2"}, "[{\"n\":3},{\"n\":2}]\n[]\n[{\"n\":9}]\n[{\"n\":7},{\"n\":5}]\n"},
		{[]string{"--filter", "n>4"}, "N\nN\nN\n9\nN\n5\n7\n"},
	} {
		got := invoke(tape.String(), append([]string{"replay", "-"}, c.args...)...)
		if got.code != 0 || got.err != "" || got.out != c.want {
			t.Errorf("%q: %+v\nwant %q", c.args, got, c.want)
		}
	}
}
