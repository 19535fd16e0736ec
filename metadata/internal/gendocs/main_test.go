// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

// TestPage fails when the tables or the page's source have changed since the page was written.
func TestPage(t *testing.T) {
	t.Parallel()
	want, err := render()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../../docs/gadget-yaml.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/gadget-yaml.md is stale; run go generate ./metadata")
	}
}

// TestPageHasEverything looks for each row of each table.
func TestPageHasEverything(t *testing.T) {
	t.Parallel()
	text, err := render()
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	find := func(name, doc string) {
		row := regexp.MustCompile("(?m)^\\| `([^`]*\\.)?" + regexp.QuoteMeta(name) + "` \\| .*" + regexp.QuoteMeta(doc))
		if !row.MatchString(page) {
			t.Errorf("%s (%s) is not on the page", name, doc)
		}
	}
	for _, k := range metadata.Keys() {
		find(k.Path[strings.LastIndexByte(k.Path, '.')+1:], k.Doc)
	}
	for _, k := range annotation.FieldKeys() {
		find(k.Name, k.Doc)
	}
	for _, k := range annotation.SourceKeys() {
		find(k.Name, k.Doc)
	}
	for _, k := range annotation.Templates() {
		find(k.Name, k.Doc)
	}
}

// TestSettings makes sure that the page lists everything that templates set: the annotations that it names
// for a template have the same effect.
func TestSettings(t *testing.T) {
	t.Parallel()
	for _, template := range annotation.Templates() {
		var want event.Annotations
		template.Apply(&want)
		set := make(annotation.Set)
		for _, s := range settings(&want) {
			set[s.key] = s.value
		}
		got, err := set.ParseField()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v gives %+v, %v; want %+v", template.Name, set, got, err, want)
		}
	}
}

var example = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// TestExamples reads the page's examples as the files that they are said to be, and lays the patches
// of their custom params.
func TestExamples(t *testing.T) {
	t.Parallel()
	examples := example.FindAllStringSubmatch(page, -1)
	if len(examples) < 2 {
		t.Fatalf("found %d examples", len(examples))
	}
	for _, e := range examples {
		m, err := metadata.Parse("example", []byte(e[1]))
		if err == nil {
			_, err = m.WithCustom(nil)
		}
		if err != nil {
			t.Errorf("%v\n%s", err, e[1])
		}
	}
}
