// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/build"
	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/clock"
	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/host/userdb"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/run"
	"github.com/gizmo-ebpf/gizmo/semtype"
)

var (
	update        = flag.Bool("update", false, "rewrite the golden files")
	makeRecording = flag.Bool("record", false, "remake the recording and the golden files")
)

// buildOnce compiles the gadget for all tests.
var buildOnce = sync.OnceValues(func() (*build.Result, error) {
	return build.Dir(context.Background(), "gadget", &build.Options{Include: "../../include"})
})

// buildImage builds the gadget and analyses it.
func buildImage(t testing.TB) *image.Image {
	t.Helper()
	built, err := buildOnce()
	if errors.Is(err, build.ErrNoClang) {
		kerneltest.RequireProgram(t, "clang")
	}
	if err != nil {
		t.Fatal(err)
	}
	if built.Warnings != "" {
		t.Errorf("the compiler warns:\n%s", built.Warnings)
	}
	img, err := catalog.Parse("conformance", bytes.NewReader(built.Object), built.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// machine is the machine that the meaning of events depends on: not a real one, so that the results are the same
// everywhere.
func machine() *semtype.Env {
	return &semtype.Env{
		Arch: "amd64", Clock: clock.New(bootOffset),
		Users: userdb.Table(userNames), Groups: userdb.Table(groupNames),
	}
}

// taken has the rows of one data source and their schema.
type taken struct {
	schema *event.Schema
	rows   [][]byte
}

// compose completes a copy of the schema.
func (k taken) compose(t testing.TB, spec *annotation.Spec, env *semtype.Env) taken {
	t.Helper()
	k.schema = k.schema.Clone()
	if err := run.Compose(k.schema, spec, env, nil); err != nil {
		t.Fatal(err)
	}
	return k
}

// encode writes the rows in a format.
func (k taken) encode(t testing.TB, format string, o encode.Options) string {
	t.Helper()
	f, err := encode.Lookup(format)
	if err != nil {
		t.Fatal(err)
	}
	e, err := f.Bind(k.schema, o)
	if err != nil {
		t.Fatal(err)
	}
	var b event.Batch
	b.Reset(k.schema)
	b.Rows = append(b.Rows, k.rows...)
	return string(e.Append(e.Head(nil), &b))
}

// everyField chooses all fields, which are more than the columns format shows by default.
func (k taken) everyField(t testing.TB) []int {
	t.Helper()
	var names []string
	for i := range k.schema.Fields {
		if f := &k.schema.Fields[i]; f.Kind != event.Struct || f.Text != nil {
			names = append(names, f.Name)
		}
	}
	fields, err := encode.Select(k.schema, strings.Join(names, ","), nil)
	if err != nil {
		t.Fatal(err)
	}
	return fields
}

// outputs returns the rows in every format, by the names of the golden files.
func (k taken) outputs(t testing.TB) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, f := range encode.Formats() {
		all[f.Name] = k.encode(t, f.Name, encode.Options{})
	}
	all["columns.all"] = k.encode(t, "columns", encode.Options{Fields: k.everyField(t)})
	all["columns.narrow"] = k.encode(t, "columns", encode.Options{Width: 120, Fields: k.choose(t, "seq,text,comm,src,error,size,rest")})
	return all
}

// choose selects those of the named fields that there are.
func (k taken) choose(t testing.TB, names string) []int {
	t.Helper()
	var fields []int
	for name := range strings.SplitSeq(names, ",") {
		if i, ok := k.schema.Lookup(name); ok {
			fields = append(fields, i)
		}
	}
	return fields
}

// wantGolden compares the rows in every format with the golden files.
func (k taken) wantGolden(t testing.TB) {
	t.Helper()
	for name, got := range k.outputs(t) {
		path := k.goldenPath(name)
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v (-update writes it)", err)
		}
		wantSame(t, path, got, string(want))
	}
}

// writeGolden rewrites the golden files if a flag says so. Only one test of each data source
// does that: the others must read the same.
func (k taken) writeGolden(t testing.TB) {
	t.Helper()
	if !*update && !*makeRecording {
		return
	}
	for name, got := range k.outputs(t) {
		if err := os.WriteFile(k.goldenPath(name), []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (k taken) goldenPath(name string) string {
	return filepath.Join("testdata", k.schema.Name+"."+name+".golden")
}

// wantSame compares texts and shows the first line that differs.
func wantSame(t testing.TB, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.SplitAfter(got, "\n"), strings.SplitAfter(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Errorf("%s differs from line %d on:\n got %q\nwant %q", what, i+1, g[i], w[i])
			return
		}
	}
	t.Errorf("%s has %d lines, want %d", what, len(g), len(w))
}
