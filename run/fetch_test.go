// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

// imageOf is an image with data sources by name and annotations.
func imageOf(t *testing.T, kind map[string]image.SourceKind, annotations map[string]annotation.Set) (*image.Image, specs) {
	t.Helper()
	img, all := &image.Image{}, make(specs)
	for _, name := range []string{"a", "b", "iter", "tracer"} {
		k, ok := kind[name]
		if !ok {
			continue
		}
		spec := &annotation.Spec{Source: annotations[name]}
		settings, err := spec.ParseSource()
		if err != nil {
			t.Fatal(err)
		}
		img.DataSources = append(img.DataSources, image.DataSource{
			Kind: k, Schema: &event.Schema{Name: name}, Annotations: spec, Settings: settings,
		})
		all[event.SourceID{Name: name}] = spec
	}
	return img, all
}

var everyKind = map[string]image.SourceKind{
	"a": image.MapIterator, "b": image.MapIterator, "iter": image.Iterator, "tracer": image.Tracer,
}

func TestFetches(t *testing.T) {
	annotations := map[string]annotation.Set{"b": {"fetch-interval": "5s", "fetch-count": "2", "ebpf.map.flush-on-stop": "true"}}
	type fetches = map[string]image.Fetch
	iter := image.Fetch{Count: 1}
	b := image.Fetch{Interval: 5 * time.Second, Count: 2, Flush: true}
	for _, c := range []struct {
		interval, count string
		want            fetches
	}{
		{"", "", fetches{"a": {}, "b": b, "iter": iter}},
		{"2", "", fetches{
			"a": {Interval: 2 * time.Second}, "b": {Interval: 2 * time.Second, Count: 2, Flush: true}, "iter": iter}},
		{"1000ms", "7", fetches{
			"a": {Interval: time.Second, Count: 7}, "b": {Interval: time.Second, Count: 7, Flush: true}, "iter": iter}},
		{"a:1m30s", "b:0", fetches{
			"a": {Interval: 90 * time.Second}, "b": {Interval: 5 * time.Second, Flush: true}, "iter": iter}},
		{"3s,a:0", "", fetches{
			"a": {Interval: image.AtEnd}, "b": {Interval: 3 * time.Second, Count: 2, Flush: true}, "iter": iter}},
	} {
		img, all := imageOf(t, everyKind, annotations)
		got, err := (&Plan{specs: all}).fetches(&Gadget{Image: img, FetchInterval: c.interval, FetchCount: c.count}, "")
		if err != nil || !maps.Equal(got, c.want) {
			t.Errorf("%q, %q: got %+v, %v, want %+v", c.interval, c.count, got, err, c.want)
		}
	}
}

// Outputs that add up arrays get all that programs have counted, and in time.
func TestFetchesThatAddUp(t *testing.T) {
	for _, c := range []struct {
		modes, interval string
		annotations     annotation.Set
		want            image.Fetch
	}{
		{"json", "", annotation.Set{"fetch-interval": "0"}, image.Fetch{Interval: image.AtEnd}},
		{"folded", "", annotation.Set{"fetch-interval": "0"}, image.Fetch{Interval: time.Second, Flush: true}},
		{"b:json,a:folded", "", annotation.Set{"fetch-interval": "5s"}, image.Fetch{Interval: 5 * time.Second, Flush: true}},
		{"pprof", "3s", nil, image.Fetch{Interval: 3 * time.Second, Flush: true}},
		{"pprof", "0", nil, image.Fetch{Interval: image.AtEnd, Flush: true}},
		{"pprof", "", annotation.Set{"profiles.arrays": "latest"}, image.Fetch{}},
		{"", "", annotation.Set{"metrics.print": "true"}, image.Fetch{Flush: true}},
	} {
		img, all := imageOf(t, map[string]image.SourceKind{"a": image.MapIterator, "b": image.MapIterator}, map[string]annotation.Set{"a": c.annotations})
		p := &Plan{specs: all, options: Options{Text: &Text{Modes: c.modes}}}
		got, err := p.fetches(&Gadget{Image: img, FetchInterval: c.interval}, "")
		if err != nil || got["a"] != c.want {
			t.Errorf("%+v: got %+v, %v", c, got["a"], err)
		}
	}
}

// Annotations of the command line override those of gadget.yaml.
func TestFetchesFollowAnnotations(t *testing.T) {
	img, all := imageOf(t, everyKind, map[string]annotation.Set{"a": {"fetch-interval": "5s"}})
	for _, name := range []string{"a", "iter"} {
		id := event.SourceID{Name: name}
		all[id] = annotation.Merge(all[id], &annotation.Spec{Source: annotation.Set{"fetch-interval": "7s"}})
	}
	got, err := (&Plan{specs: all}).fetches(&Gadget{Image: img}, "")
	if err != nil || got["a"].Interval != 7*time.Second || got["iter"] != (image.Fetch{Interval: 7 * time.Second}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestWrongFetches(t *testing.T) {
	for _, c := range []struct{ interval, count, want string }{
		{"soon", "", `map-fetch-interval: want a number of seconds or a duration like 1m30s, got "soon"`},
		{"-1", "", "map-fetch-interval: want a number of seconds"},
		{"a:1s,c:2s", "", `map-fetch-interval: there is no data source "c"`},
		{"iter:1s", "", `map-fetch-interval: there is no data source "iter"`},
		{"", "many", `map-fetch-count: want a whole number from 0 to 2147483647, got "many"`},
		{"", "-1", `map-fetch-count: want a whole number from 0 to 2147483647, got "-1"`},
		{"", "2147483648", "map-fetch-count: want a whole number"},
		{"", "b:", `map-fetch-count: want a whole number`},
	} {
		img, all := imageOf(t, everyKind, nil)
		if got, err := (&Plan{specs: all}).fetches(&Gadget{Image: img, FetchInterval: c.interval, FetchCount: c.count}, ""); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q, %q: got %+v and the error %v, want %q", c.interval, c.count, got, err, c.want)
		}
	}
}
