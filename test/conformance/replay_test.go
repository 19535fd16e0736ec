// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/user"
	"slices"
	"strconv"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/host"
	"github.com/gizmo-ebpf/gizmo/semtype"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// recording has the records that the kernel returned when it was made.
const recording = "testdata/conformance.rec"

// openRecording reads the header of the recording.
func openRecording(t testing.TB) *wire.Reader {
	t.Helper()
	file, err := os.ReadFile(recording)
	if err != nil {
		t.Fatalf("%v (-record makes it)", err)
	}
	r, err := wire.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// replayed returns the rows of a data source of the recording.
func replayed(t testing.TB, name string) taken {
	t.Helper()
	r := openRecording(t)
	var k taken
	for _, s := range r.Schemas() {
		if s.Name == name {
			k.schema = s
		}
	}
	var b event.Batch
	for {
		err := r.Next(context.Background(), &b)
		if errors.Is(err, io.EOF) {
			return k
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range b.Rows {
			if b.Schema == k.schema {
				k.rows = append(k.rows, bytes.Clone(row))
			}
		}
	}
}

// replay returns the rows of the data source all.
func replay(t testing.TB) taken { return replayed(t, "all") }

// specOf returns the annotations that the recording has for a data source.
func specOf(t testing.TB, name string) *annotation.Spec {
	t.Helper()
	for _, d := range openRecording(t).Header().DataSources {
		if d.Schema.Name == name {
			var spec annotation.Spec
			if err := json.Unmarshal(d.Annotations, &spec); err != nil {
				t.Fatal(err)
			}
			return &spec
		}
	}
	t.Fatalf("the recording has no data source %s", name)
	return nil
}

// The recording holds the rows that are in the source code of this test, and they read as they did.
func TestReplay(t *testing.T) {
	t.Parallel()
	k := replay(t)
	wantRows(t, k, false)
	k = k.compose(t, specOf(t, "all"), machine())
	k.writeGolden(t)
	k.wantGolden(t)
}

func TestReplayOfTrailingData(t *testing.T) {
	t.Parallel()
	k := replayed(t, "tail")
	if want := tails(); !slices.EqualFunc(k.rows, want, bytes.Equal) {
		t.Errorf("got %x\nwant %x", k.rows, want)
	}
	k = k.compose(t, specOf(t, "tail"), machine())
	k.writeGolden(t)
	k.wantGolden(t)
}

// The object has the recorded schema, except for the enum, which comes from the kernel's types.
func TestObjectHasTheRecordedSchema(t *testing.T) {
	t.Parallel()
	img := buildImage(t)
	if err := catalog.Check(img); err != nil {
		t.Error(err)
	}
	for i, s := range openRecording(t).Schemas() {
		built := img.DataSources[i].Schema.Clone()
		if j, ok := built.Lookup("kernel_raw"); ok {
			if got := nameOf(built.Fields[j].Enum, 1); got != "OBJECT_TGID" {
				t.Errorf("1 is called %q by the object", got)
			}
			k, _ := s.Lookup("kernel_raw")
			built.Fields[j].Enum = s.Fields[k].Enum
		}
		wantSame(t, "the schema of the object", describe(t, built), describe(t, s))
	}
}

// The names of users are those that the system itself has for them.
func TestNamesOfThisMachine(t *testing.T) {
	t.Parallel()
	machine := host.New()
	k := replay(t)
	k.rows = nil
	for _, id := range []uint32{0, 1, 2, 1000, 12345, 65534, 4294967295} {
		r := record{User: id, Group: id, Owner: creds{id, id}}
		k.rows = append(k.rows, r.bytes(""))
	}
	k = k.compose(t, specOf(t, "all"), &semtype.Env{Arch: machine.Arch(), Clock: machine.Clock(), Users: machine.Users(), Groups: machine.Groups()})
	for i, e := range decodeEvents(t, k, noOptions) {
		var r record
		parse(t, k.rows[i], &r)
		userName, groupName := strconv.Itoa(int(r.User)), strconv.Itoa(int(r.Group))
		if u, err := user.LookupId(userName); err == nil {
			userName = u.Username
		}
		if g, err := user.LookupGroupId(groupName); err == nil {
			groupName = g.Name
		}
		owner := e["owner"].(map[string]any)
		for what, got := range map[string]any{"user": e["user"], "owner.user": owner["user"]} {
			if got != userName {
				t.Errorf("%s of %d reads %q, want %q", what, r.User, got, userName)
			}
		}
		for what, got := range map[string]any{"group": e["group"], "owner.group": owner["group"]} {
			if got != groupName {
				t.Errorf("%s of %d reads %q, want %q", what, r.Group, got, groupName)
			}
		}
	}
}

// describe returns a schema as text.
func describe(t testing.TB, s *event.Schema) string {
	t.Helper()
	text, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// nameOf returns the first name that an enum has for a value.
func nameOf(e *event.Enum, value uint64) string {
	for _, v := range e.Values {
		if v.Value == value {
			return v.Name
		}
	}
	return ""
}

// No kind of field and no enriched type allocates memory when it is written, in any format.
func TestWritingAllocatesNothing(t *testing.T) {
	k := replay(t).compose(t, specOf(t, "all"), machine())
	b := event.Batch{Schema: k.schema, Rows: k.rows}
	for _, f := range encode.Formats() {
		o := encode.Options{}
		if f.Name == "columns" {
			o.Fields = k.everyField(t)
		}
		e, err := f.Bind(k.schema, o)
		if err != nil {
			t.Fatal(err)
		}
		buf := e.Append(e.Append(nil, &b), &b) // with room to spare
		if n := testing.AllocsPerRun(5, func() { buf = e.Append(buf[:0], &b) }); n != 0 {
			t.Errorf("%s: %v allocations for %d events", f.Name, n, len(b.Rows))
		}
	}
}
