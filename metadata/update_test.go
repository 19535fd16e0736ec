// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"bytes"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// testObject is the object by which the files in testdata/update are extended.
func testObject() *Object {
	return &Object{
		Name: "my_gadget",
		DataSources: []ObjectSource{
			{Name: "open", Fields: []ObjectField{{Name: "time_raw"}, {Name: "proc.comm", Described: true}, {Name: "proc.pid"}, {Name: "fname"}, {Name: "time"}}},
			{Name: "close", Fields: []ObjectField{{Name: "fd"}}},
		},
		Params: []ObjectParam{
			{Var: "failed", Key: "failed", Default: "false"},
			{Var: "prefix", Key: "prefix"},
			{Var: "odd", Key: "odd", Default: "a\x01b"},
			{Var: "count", Key: "count", Default: "1"},
		},
	}
}

// TestUpdate compares the results for files of all forms with golden files.
func TestUpdate(t *testing.T) {
	t.Parallel()
	for file, data := range inputs(t, "update") {
		text := checkUpdate(t, file, data)
		golden(t, file, string(text))
	}
}

// checkUpdate extends a file, and checks that its entries are still there.
func checkUpdate(t *testing.T, file string, data []byte) []byte {
	t.Helper()
	text, added, err := Update("gadget.yaml", data, testObject())
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if (added == 0) != bytes.Equal(text, data) {
		t.Errorf("%s: %d entries were added: %s", file, added, text)
	}
	again, added, err := Update("gadget.yaml", text, testObject())
	if err != nil || added != 0 || !bytes.Equal(again, text) {
		t.Errorf("%s: a second time: %d entries, %v:\n%s\nwas\n%s", file, added, err, again, text)
	}
	before, err := Parse("before", data)
	if err != nil {
		t.Fatal(err)
	}
	after, err := Parse("after", text)
	if err != nil {
		t.Fatal(err)
	}
	checkKept(t, file, before, after)
	doc, _ := readDocument(data)
	checkComments(t, file, doc, string(text))
	return text
}

func checkComments(t *testing.T, file string, n *yaml.Node, text string) {
	t.Helper()
	if n == nil {
		return
	}
	for line := range strings.Lines(n.HeadComment + "\n" + n.LineComment + "\n" + n.FootComment) {
		if line = strings.TrimSpace(line); !strings.Contains(text, line) {
			t.Errorf("%s: the comment %q got lost:\n%s", file, line, text)
		}
	}
	for _, child := range n.Content {
		checkComments(t, file, child, text)
	}
}

// checkKept removes entries from after that before does not have, and compares the rest.
func checkKept(t *testing.T, file string, before, after *Metadata) {
	t.Helper()
	if _, ok := before.Position(keyName); !ok {
		after.Name = ""
	}
	for name, spec := range after.DataSources {
		old, ok := before.DataSources[name]
		if !ok {
			delete(after.DataSources, name)
		}
		for field := range spec.Fields {
			if _, ok := old.Fields[field]; !ok {
				delete(spec.Fields, field)
			}
		}
		if len(spec.Fields) == 0 && ok {
			spec.Fields = nil
			after.DataSources[name] = spec
		}
	}
	for name := range after.Params.EBPF {
		if _, ok := before.Params.EBPF[name]; !ok {
			delete(after.Params.EBPF, name)
		}
	}
	if diff := compare(before, after); diff != "" {
		t.Errorf("%s: something got lost: %s", file, diff)
	}
}

// All files that are valid can be extended.
func TestUpdateValid(t *testing.T) {
	t.Parallel()
	for file, data := range inputs(t, "valid") {
		text := checkUpdate(t, file, data)
		if !strings.Contains(string(text), "fname:") {
			t.Errorf("%s: got %s", file, text)
		}
	}
}

func TestUpdateInvalid(t *testing.T) {
	t.Parallel()
	for file, data := range inputs(t, "invalid") {
		text, added, err := Update("gadget.yaml", data, testObject())
		_, want := Parse("gadget.yaml", data)
		if text != nil || added != 0 || err == nil || err.Error() != want.Error() {
			t.Errorf("%s: got %d entries, %v; want what Parse says", file, added, err)
		}
	}
}

func TestUpdateBadNames(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]*Object{
		"of the gadget":   {Name: "a\x1bb"},
		"of a field":      {Name: "x", DataSources: []ObjectSource{{Name: "a", Fields: []ObjectField{{Name: "a\x1bb"}}}}},
		"of a param":      {Name: "x", Params: []ObjectParam{{Var: "a", Key: "\xff"}}},
		"of no character": {Name: "x", DataSources: []ObjectSource{{}}},
	} {
		if text, added, err := Update("gadget.yaml", nil, o); err == nil || text != nil || added != 0 {
			t.Errorf("%s: got %q, %d, %v", name, text, added, err)
		}
	}
}

func TestUpdateNothing(t *testing.T) {
	t.Parallel()
	const text = "description:\n\n\nname:\t\"x\"   # odd looks stay\n"
	got, added, err := Update("gadget.yaml", []byte(text), &Object{Name: "y"})
	if string(got) != text || added != 0 || err != nil {
		t.Errorf("got %q, %d, %v", got, added, err)
	}
}

// FuzzUpdate extends files of all looks.
func FuzzUpdate(f *testing.F) {
	for _, folder := range []string{"valid", "update"} {
		for _, data := range inputs(f, folder) {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := Parse("gadget.yaml", data); err != nil {
			t.Skip("not valid by itself")
		}
		if _, _, err := Update("gadget.yaml", data, testObject()); err != nil {
			return // refused, and nothing written
		}
		checkUpdate(t, "fuzz", data)
	})
}
