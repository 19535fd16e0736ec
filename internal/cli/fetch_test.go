// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

// imageOf is an image with data sources by name and annotations.
func imageOf(t *testing.T, kind map[string]image.SourceKind, annotations map[string]annotation.Set) (*image.Image, map[string]*annotation.Spec) {
	t.Helper()
	img, specs := &image.Image{}, make(map[string]*annotation.Spec)
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
		specs[name] = spec
	}
	return img, specs
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
		args string
		want fetches
	}{
		{"", fetches{"a": {}, "b": b, "iter": iter}},
		{"--map-fetch-interval 2", fetches{
			"a": {Interval: 2 * time.Second}, "b": {Interval: 2 * time.Second, Count: 2, Flush: true}, "iter": iter}},
		{"--map-fetch-interval 1000ms --map-fetch-count 7", fetches{
			"a": {Interval: time.Second, Count: 7}, "b": {Interval: time.Second, Count: 7, Flush: true}, "iter": iter}},
		{"--map-fetch-interval a:1m30s --map-fetch-count b:0", fetches{
			"a": {Interval: 90 * time.Second}, "b": {Interval: 5 * time.Second, Flush: true}, "iter": iter}},
		{"--map-fetch-interval 3s,a:0", fetches{
			"a": {Interval: image.AtEnd}, "b": {Interval: 3 * time.Second, Count: 2, Flush: true}, "iter": iter}},
	} {
		img, specs := imageOf(t, everyKind, annotations)
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		f := registerFetch(fs, img)
		if err := fs.Parse(strings.Fields(c.args)); err != nil {
			t.Fatal(err)
		}
		got, err := f.fetches(img, specs)
		if err != nil || !maps.Equal(got, c.want) {
			t.Errorf("%q: got %+v, %v, want %+v", c.args, got, err, c.want)
		}
	}
}

// What the command line annotates comes before gadget.yaml.
func TestFetchesFollowAnnotations(t *testing.T) {
	img, specs := imageOf(t, everyKind, map[string]annotation.Set{"a": {"fetch-interval": "5s"}})
	for _, name := range []string{"a", "iter"} {
		specs[name] = annotation.Merge(specs[name], &annotation.Spec{Source: annotation.Set{"fetch-interval": "7s"}})
	}
	got, err := registerFetch(pflag.NewFlagSet("", pflag.ContinueOnError), img).fetches(img, specs)
	if err != nil || got["a"].Interval != 7*time.Second || got["iter"] != (image.Fetch{Interval: 7 * time.Second}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestWrongFetches(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--map-fetch-interval soon", `--map-fetch-interval: want a number of seconds or a duration like 1m30s, got "soon"`},
		{"--map-fetch-interval -1", "--map-fetch-interval: want a number of seconds"},
		{"--map-fetch-interval a:1s,c:2s", `--map-fetch-interval: there is no data source "c"`},
		{"--map-fetch-interval iter:1s", `--map-fetch-interval: there is no data source "iter"`},
		{"--map-fetch-count many", `--map-fetch-count: want a whole number from 0 to 2147483647, got "many"`},
		{"--map-fetch-count=-1", `--map-fetch-count: want a whole number from 0 to 2147483647, got "-1"`},
		{"--map-fetch-count 2147483648", "--map-fetch-count: want a whole number"},
		{"--map-fetch-count b:", `--map-fetch-count: want a whole number`},
	} {
		img, specs := imageOf(t, everyKind, nil)
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		f := registerFetch(fs, img)
		if err := fs.Parse(strings.Fields(c.args)); err != nil {
			t.Fatal(err)
		}
		if got, err := f.fetches(img, specs); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %+v and the error %v, want %q", c.args, got, err, c.want)
		}
	}
}

func TestFetchFlagsAreForMapsOnly(t *testing.T) {
	for _, c := range []struct {
		kinds           map[string]image.SourceKind
		annotations     map[string]annotation.Set
		interval, count string // defaults; empty: no flags
	}{
		{map[string]image.SourceKind{"tracer": image.Tracer, "iter": image.Iterator}, nil, "", ""},
		{map[string]image.SourceKind{"tracer": image.Tracer, "a": image.MapIterator}, nil, "1s", "0"},
		{everyKind, nil, "1s", "0"},
		{everyKind, map[string]annotation.Set{"a": {"fetch-interval": "0", "fetch-count": "1"}, "b": {"fetch-count": "1"}}, "a:0,b:1s", "1"},
	} {
		img, _ := imageOf(t, c.kinds, c.annotations)
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		registerFetch(fs, img)
		for name, want := range map[string]string{flagMapInterval: c.interval, flagMapCount: c.count} {
			got := ""
			if flag := fs.Lookup(name); flag != nil {
				got = flag.DefValue
			}
			if got != want {
				t.Errorf("%v: --%s: default %q, want %q", c.kinds, name, got, want)
			}
		}
	}
}
