// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
	"github.com/gizmo-ebpf/gizmo/wire/wiretest"
)

// A fact holds for the batches that come after it.
func TestFacts(t *testing.T) {
	t.Parallel()
	var out writeBuffer
	w, err := wire.NewWriter(&out, exampleHeader())
	check(t, err)
	row := &event.Batch{Schema: countSchema(), Rows: [][]byte{{1, 2, 3, 4}}}
	check(t, w.Write(row))
	check(t, w.SetFact("users", json.RawMessage(`{"1000": "ada"}`)))
	check(t, w.SetFact("groups", json.RawMessage(`null`)))
	check(t, w.Write(row))
	check(t, w.SetFact("users", json.RawMessage(`{"1000": "bob"}`)))
	check(t, w.Write(row))
	check(t, w.Close())

	r := wiretest.Reader(t, out)
	var told []string
	r.OnFact(func(name string, value json.RawMessage) { told = append(told, name+"="+string(value)) })
	var b event.Batch
	for i, want := range []struct{ users, groups, told string }{
		{"", "", "[]"},
		{`{"1000": "ada"}`, "null", `[users={"1000": "ada"} groups=null]`},
		{`{"1000": "bob"}`, "null", `[users={"1000": "bob"}]`},
	} {
		check(t, r.Next(t.Context(), &b))
		if users, groups := string(r.Fact("users")), string(r.Fact("groups")); users != want.users || groups != want.groups || fmt.Sprint(told) != want.told {
			t.Errorf("batch %d: users %s, groups %s, told %v; want %v", i, users, groups, told, want)
		}
		told = nil
	}
	if r.Fact("moon") != nil {
		t.Error("a fact that was never set")
	}
	if err := r.Next(t.Context(), &b); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestFactsAreBounded(t *testing.T) {
	t.Parallel()
	w, err := wire.NewWriter(io.Discard, exampleHeader())
	check(t, err)
	for _, c := range []struct{ name, value, want string }{
		{"", "1", "it has no name"},
		{"a\x1b", "1", "unprintable"},
		{"a", "", `"a" is not JSON`},
		{"a", "{", `"a" is not JSON`},
		{"a", `"` + strings.Repeat("x", 1<<20) + `"`, `"a" has 1048578 bytes; the limit is 1048576`},
	} {
		wantError(t, w.SetFact(c.name, json.RawMessage(c.value)), c.want)
	}
	for range 2 {
		for i := range 16 {
			check(t, w.SetFact(fmt.Sprint("f", i), json.RawMessage(`1`)))
		}
	}
	wantError(t, w.SetFact("one more", json.RawMessage(`1`)), "facts of more than 16 names")
	check(t, w.Close())
	wantError(t, w.SetFact("f0", json.RawMessage(`1`)), "closed")
}

func TestHostileFacts(t *testing.T) {
	t.Parallel()
	header := rawFrame{'H', []byte(`{}`)}
	many := []rawFrame{header}
	for i := range 17 {
		many = append(many, rawFrame{'f', []byte{1, byte('a' + i), '1'}})
	}
	for _, c := range []struct {
		frames []rawFrame
		want   string
	}{
		{[]rawFrame{header, {'f', []byte{0, '1'}}}, "it has no name"},
		{[]rawFrame{header, {'f', []byte{4, 'a', '1'}}}, "shorter than"},
		{[]rawFrame{header, {'f', []byte{1, '\n', '1'}}}, "unprintable"},
		{[]rawFrame{header, {'f', []byte{1, 'a'}}}, "is not JSON"},
		{[]rawFrame{header, {'f', slices.Concat([]byte{1, 'a', '"'}, full(1<<20), []byte{'"'})}}, "1048578 bytes"},
		{many, "facts of more than 16 names"},
	} {
		_, _, err := read(join(c.frames))
		if !errors.Is(err, wire.ErrCorrupt) {
			t.Errorf("%v, want ErrCorrupt", err)
		}
		wantError(t, err, c.want)
	}
}
