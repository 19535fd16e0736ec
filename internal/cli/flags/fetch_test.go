// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"testing"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

// imageOf is an image with data sources by name and annotations.
func imageOf(t *testing.T, kind map[string]image.SourceKind, annotations map[string]annotation.Set) *image.Image {
	t.Helper()
	img := &image.Image{}
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
	}
	return img
}

var everyKind = map[string]image.SourceKind{
	"a": image.MapIterator, "b": image.MapIterator, "iter": image.Iterator, "tracer": image.Tracer,
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
		img := imageOf(t, c.kinds, c.annotations)
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		RegisterFetch(fs, img)
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
