// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/builtin"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/fixture"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

func parseYAML(t *testing.T, text string) *metadata.Metadata {
	t.Helper()
	meta, err := metadata.Parse("gadget.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return meta
}

func TestWithoutObject(t *testing.T) {
	t.Parallel()
	img, err := Parse(nil, parseYAML(t, `
operator:
  process: {emitstats: true, interval: 2s, first-interval: 250ms, count: 3}
  cgroup: {emitstats: true}
datasources:
  processes:
    annotations: {description: Mine}
    fields:
      comm: {annotations: {columns.width: 3}}
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(img.DataSources) != 2 || len(img.Programs) != 0 {
		t.Fatalf("%+v", img)
	}
	d := &img.DataSources[0]
	if d.Kind != BuiltIn || d.Kind.String() != "built-in" || d.BuiltIn.Kind != builtin.Processes || d.Schema.Name != "processes" {
		t.Errorf("%+v", d)
	}
	if f := d.Fetch(&d.Settings); f != (Fetch{Interval: 2 * time.Second, First: 250 * time.Millisecond, Count: 3}) {
		t.Errorf("fetch %+v", f)
	}
	second := &img.DataSources[1]
	if f := second.Fetch(&second.Settings); f != (Fetch{Interval: 5 * time.Second}) {
		t.Errorf("fetch %+v", f)
	}
	// What the author says comes before what gizmo says.
	if a := d.Annotations; a.Fields["comm"]["columns.width"] != "3" || a.Fields["pid"]["description"] == "" || a.Source["description"] != "Mine" {
		t.Errorf("annotations %+v", a)
	}
	// Annotations say how often, as for other arrays.
	minute, none, two := time.Minute, time.Duration(0), 2
	for want, a := range map[Fetch]annotation.Source{
		{Interval: time.Minute, First: 250 * time.Millisecond, Count: 2}:                  {FetchInterval: &minute, FetchCount: &two},
		{Interval: AtEnd, First: 250 * time.Millisecond, Count: 3}:                        {FetchInterval: &none},
		{Interval: 2 * time.Second, First: 250 * time.Millisecond, Count: 3, Flush: true}: {FlushOnStop: true},
	} {
		if f := d.Fetch(&a); f != want {
			t.Errorf("%+v: %+v, want %+v", a, f, want)
		}
	}
	if img.IsReadAgain(d) {
		t.Error("it has no map")
	}
}

func TestWithoutAnything(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "name: x", "operator: {process: {interval: 3s}}"} {
		if _, err := Parse(nil, parseYAML(t, text)); !errors.Is(err, ErrNothing) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := Parse(nil, nil); !errors.Is(err, ErrNothing) {
		t.Errorf("got %v", err)
	}
}

// A gadget may have programs and built-in data sources, but not two data sources of one name.
func TestObjectWithBuiltIn(t *testing.T) {
	t.Parallel()
	img := parseWith(t, "minimal", "operator: {ebpf: {emitstats: true}}")
	if _, ok := img.DataSource("bpfstats"); !ok || len(img.DataSources) < 2 || len(img.Programs) == 0 {
		t.Errorf("%+v", img.DataSources)
	}
	without, err := img.WithMetadata(parseYAML(t, ""))
	if err != nil || len(without.DataSources) != len(img.DataSources)-1 {
		t.Errorf("%v", err)
	}
}

func TestBuiltInClash(t *testing.T) {
	t.Parallel()
	img, err := parseObject(fixture.Compile(t, "iterators").Object, "operator:\n  process:\n    emitstats: true\n")
	if err == nil || !strings.Contains(err.Error(), `gadget.yaml:3:16: this switches on the built-in data source "processes", and the object has one of that name`) {
		t.Errorf("got %v, %v", img, err)
	}
}
